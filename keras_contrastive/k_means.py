"""k-means by scikit-learn, the same for the same points and seed."""

import numpy as np

LARGE = 100_000  # points beyond which mini-batches of a sample are clustered
_BLOCK = 2**24  # entries of a block of distances: 64 MiB


def k_means(points, num_clusters: int, seed, iterations=20, restarts=5):
    """Find the cluster centres of points.

    Up to 100,000 points it is Lloyd's algorithm from points drawn at random, `restarts`
    times, and the solution with the smallest sum of squared distances counts. Of more
    points a random sample, of 100,000 or of 10 for each cluster if that is more, is
    clustered in mini-batches (Sculley, 2010), from the best of `restarts` starts, and
    then every point joins its nearest centre.

    Args:
        points: Float array `(n, dim)`.
        num_clusters: K, at most n.
        seed: Integer or tuple of integers. The same points and seed give the same
            clusters.
        iterations: Steps of each start, or passes over the sample, at most.
        restarts: Number of starts.

    Returns:
        Float32 centres `(K, dim)`, int32 numbers of the clusters `(n,)`, and float32
        distances of the points to their centres `(n,)`.

    Raises:
        ImportError: scikit-learn is missing.

    Example:
    >>> centres, clusters, distances = k_means(np.eye(3), num_clusters=3, seed=0)
    >>> sorted(clusters), distances
    ([np.int32(0), np.int32(1), np.int32(2)], array([0., 0., 0.], dtype=float32))
    """
    try:
        from sklearn.cluster import KMeans, MiniBatchKMeans
        from threadpoolctl import threadpool_limits
    except ImportError as error:
        raise ImportError(
            "Clusters of a data set need scikit-learn: "
            'pip install "keras-contrastive[plots]"'
        ) from error
    points = np.asarray(points, "float32")
    random = np.random.default_rng(seed)
    arguments = {
        "n_clusters": num_clusters,
        "init": "random",
        "n_init": restarts,
        "max_iter": iterations,
        "random_state": int(random.integers(2**31)),
    }
    # A sum of two threads' sums does not depend on which is first, one of more does,
    # and a resumed run would become another one.
    with threadpool_limits(2, user_api="openmp"):
        if len(points) <= LARGE:
            centres = KMeans(**arguments).fit(points).cluster_centers_
        else:
            size = min(len(points), max(LARGE, 10 * num_clusters))
            sample = points[random.choice(len(points), size, replace=False)]
            algorithm = MiniBatchKMeans(
                **arguments, batch_size=max(1024, num_clusters), max_no_improvement=None
            )
            centres = algorithm.fit(sample).cluster_centers_
    clusters = _nearest(points, centres)
    distances = np.linalg.norm(points - centres[clusters], axis=1)
    return centres.astype("float32"), clusters, distances


def _nearest(points, centres):
    """The number of the nearest centre of each point."""
    lengths = np.square(centres).sum(axis=1)
    size = max(1, _BLOCK // len(centres))
    return np.concatenate(
        [
            np.argmin(lengths - 2 * points[i : i + size] @ centres.T, axis=1)
            for i in range(0, len(points), size)
        ]
    ).astype("int32")

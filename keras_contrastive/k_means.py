"""k-means on the device, for as many clusters as a data set of images has."""

import numpy as np
import tensorflow as tf

_CHUNK = 2**26  # entries of a block of distances: 256 MiB


def k_means(points, num_clusters: int, seed: int, iterations=20, restarts=5):
    """Find the cluster centres of points by Lloyd's algorithm.

    It starts from points drawn at random, `restarts` times, and returns the solution
    with the smallest sum of squared distances. A cluster that becomes empty takes the
    point that is farthest from its centre.

    Args:
        points: Float array `(n, dim)`.
        num_clusters: K, at most n.
        seed: Integer or tuple of integers. The same points and seed give the same
            clusters.
        iterations: Steps of each start, at most; it ends where nothing changes.
        restarts: Number of starts.

    Returns:
        Float32 centres `(K, dim)`, int32 numbers of the clusters `(n,)`, and float32
        distances of the points to their centres `(n,)`.

    Example:
    >>> centres, clusters, distances = k_means(np.eye(3), num_clusters=3, seed=0)
    >>> sorted(clusters), distances
    ([np.int32(0), np.int32(1), np.int32(2)], array([0., 0., 0.], dtype=float32))
    """
    points = tf.constant(points, tf.float32)
    random = np.random.default_rng(seed)
    best, least = None, np.inf
    for _ in range(restarts):
        start = random.choice(len(points), num_clusters, replace=False)
        centres, clusters, squares = _lloyd(
            points, tf.gather(points, start), iterations
        )
        total = float(tf.reduce_sum(squares))
        if best is None or total < least:
            best, least = (centres, clusters, tf.sqrt(squares)), total
    return tuple(part.numpy() for part in best)


def _lloyd(points, centres, iterations):
    clusters, squares = _nearest(points, centres)
    for _ in range(iterations):
        centres = _means(points, clusters, squares, len(centres))
        before = clusters
        clusters, squares = _nearest(points, centres)
        if bool(tf.reduce_all(clusters == before)):
            break
    return centres, clusters, squares


def _nearest(points, centres):
    """The nearest centre of each point, and the squared distance."""
    size = max(1, _CHUNK // len(centres))
    parts = [
        _nearest_of(points[i : i + size], centres) for i in range(0, len(points), size)
    ]
    return (tf.concat(column, 0) for column in zip(*parts, strict=True))


@tf.function(reduce_retracing=True)
def _nearest_of(points, centres):
    lengths = tf.reduce_sum(tf.square(centres), axis=1)
    products = tf.matmul(points, centres, transpose_b=True)
    clusters = tf.argmin(lengths - 2 * products, axis=1, output_type=tf.int32)
    # Not from the products: a difference of large numbers is no small distance.
    offsets = points - tf.gather(centres, clusters)
    return clusters, tf.reduce_sum(tf.square(offsets), axis=1)


@tf.function(reduce_retracing=True)
def _means(points, clusters, squares, num_clusters):
    sizes = tf.math.bincount(clusters, minlength=num_clusters, maxlength=num_clusters)
    means = tf.math.unsorted_segment_mean(points, clusters, num_clusters)
    empty = tf.where(sizes == 0)
    far = tf.math.top_k(squares, tf.shape(empty)[0]).indices
    return tf.tensor_scatter_nd_update(means, empty, tf.gather(points, far))

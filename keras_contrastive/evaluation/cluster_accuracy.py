"""Clusters of features, found without labels and compared with them."""

import numpy as np

from keras_contrastive.checks import check_count
from keras_contrastive.evaluation.cluster_result import ClusterResult
from keras_contrastive.evaluation.labelled import check_rows, is_labelled
from keras_contrastive.k_means import k_means


def cluster_accuracy(
    features, labels, num_clusters: int | None = None, seed: int = 0, restarts: int = 10
) -> ClusterResult:
    """Cluster features by k-means and say how far the clusters are the classes.

    The labels have no part in the clustering. Afterwards each cluster stands for one
    class, no class for two: the assignment with the most rows right (the Hungarian
    method), of which `accuracy` is the share. Distances are Euclidean: divide features
    by their length for clusters by cosine.

    Args:
        features: `(n, dim)`. All rows are clustered.
        labels: Integer classes or class names, `(n,)`; rows with the label -1
            (unlabelled) are not counted.
        num_clusters: K; by default the number of classes. Rows in clusters beyond the
            number of classes are wrong, by `nmi` and `ari` they need not be.
        seed: Of the starts of k-means: the same seed, the same clusters.
        restarts: Number of starts, of which the best counts.

    Returns:
        A `ClusterResult` with `accuracy`, `nmi`, `ari` and the clusters.

    Raises:
        ImportError: scikit-learn is missing.
        ValueError: A wrong shape or dtype, features that are not finite, no labels, or
            more clusters than rows.

    Example:
    >>> x, y = np.repeat(np.eye(3), 10, axis=0), np.repeat(["ant", "bee", "fly"], 10)
    >>> result = keras_contrastive.evaluation.cluster_accuracy(x, y)
    >>> result.accuracy, round(result.nmi, 6)
    (1.0, 1.0)

    References:
        - [Vinh et al., 2010](https://jmlr.org/papers/v11/vinh10a.html): measures of
          clusterings, NMI (normalised by the arithmetic mean) and ARI
    """
    features, labels = check_rows(features, labels, "features", "labels")
    labelled = is_labelled(labels)
    classes, numbers = np.unique(labels[labelled], return_inverse=True)
    if num_clusters is None:
        num_clusters = len(classes)
    if check_count("num_clusters", num_clusters) > len(features):
        raise ValueError(
            "`num_clusters` can be the number of rows at most. Received: "
            f"num_clusters={num_clusters}, {len(features)} rows"
        )
    check_count("restarts", restarts)
    _, clusters, _ = k_means(features, num_clusters, seed, restarts=restarts)

    from scipy.optimize import linear_sum_assignment
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    found = clusters[labelled]
    counts = np.zeros((num_clusters, len(classes)), "int64")
    np.add.at(counts, (found, numbers), 1)
    rows, columns = linear_sum_assignment(counts, maximize=True)
    return ClusterResult(
        accuracy=float(counts[rows, columns].sum() / len(found)),
        nmi=float(normalized_mutual_info_score(numbers, found)),
        ari=float(adjusted_rand_score(numbers, found)),
        clusters=clusters,
        class_of_cluster=dict(
            zip(rows.tolist(), classes[columns].tolist(), strict=True)
        ),
    )

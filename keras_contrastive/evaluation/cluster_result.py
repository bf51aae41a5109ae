"""How far clusters are the classes."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class ClusterResult:
    """What `cluster_accuracy` returns.

    Args:
        accuracy: Share of the labelled rows in the cluster that stands for their class,
            in [0, 1].
        nmi: Normalised mutual information of clusters and classes, in [0, 1]; 0 if
            they are independent.
        ari: Adjusted Rand index, at most 1; 0 on average for clusters at random.
        clusters: The cluster of every row, int32 `(n,)`.
        class_of_cluster: Number of a cluster to the class it stands for; a cluster too
            many has none.

    Example:
    >>> result = keras_contrastive.evaluation.ClusterResult(
    ...     0.75, 0.6, 0.5, np.array([0, 1, 1, 1]), {0: "cat", 1: "dog"})
    >>> print(result)
    accuracy 75.0 %, NMI 0.600, ARI 0.500 of 2 clusters
    """

    accuracy: float
    nmi: float
    ari: float
    clusters: np.ndarray
    class_of_cluster: dict

    def __str__(self):
        return (
            f"accuracy {100 * self.accuracy:.1f} %, NMI {self.nmi:.3f}, "
            f"ARI {self.ari:.3f} of {len(np.unique(self.clusters))} clusters"
        )

"""What can be said of an encoder without a label."""

import dataclasses

_ROWS = (
    # attribute, its name, what it says
    ("effective_rank", "effective rank", "directions in use; more is good"),
    ("rankme", "RankMe", "the same with its authors' constant"),
    ("lidar", "LiDAR", "those that tell images apart; more is good"),
    ("alignment", "alignment", "of two views, in [0, 4]; less is good"),
    ("uniformity", "uniformity", "on the sphere, in [-8, 0]; less is good"),
    ("silhouette", "silhouette", "of clusters, in [-1, 1]; more is good"),
    ("spread", "spread", "of the whole sphere: 1; 0 is collapse"),
)


@dataclasses.dataclass(frozen=True)
class Judgement:
    """What `judge` returns: prints as a table, and holds the protocol.

    None of these numbers is an accuracy. They rank encoders of one feature size on the
    same images, and they can be wrong: see each function.

    Args:
        effective_rank: See `effective_rank`, of the images' features.
        rankme: See `rankme`, of the same.
        lidar: See `lidar`, of the features of `num_views` views.
        alignment: See `alignment`, of the features of two views.
        uniformity: See `uniformity`, of the images' features.
        silhouette: Mean silhouette coefficient (Rousseeuw, 1987) of k-means clusters of
            the images' features at length 1; of one cluster, as after collapse, 0.
        spread: Mean standard deviation of the features at length 1, times the square
            root of their number: 1 on the whole sphere, 0 after collapse.
        num_images: Images that were judged by.
        num_views: Views of each for LiDAR.
        num_clusters: Clusters for the silhouette.
        dim: Number of features.

    Example:
    >>> print(keras_contrastive.evaluation.Judgement(
    ...     31.2, 31.2, 18.4, 0.35, -3.1, 0.12, 0.81, 2000, 10, 10, 128))
    2,000 images, 128 features, 10 views of each, 10 clusters
    effective rank      31.200  directions in use; more is good
    RankMe              31.200  the same with its authors' constant
    LiDAR               18.400  those that tell images apart; more is good
    alignment            0.350  of two views, in [0, 4]; less is good
    uniformity          -3.100  on the sphere, in [-8, 0]; less is good
    silhouette           0.120  of clusters, in [-1, 1]; more is good
    spread               0.810  of the whole sphere: 1; 0 is collapse
    """

    effective_rank: float
    rankme: float
    lidar: float
    alignment: float
    uniformity: float
    silhouette: float
    spread: float
    num_images: int
    num_views: int
    num_clusters: int
    dim: int

    def __str__(self):
        head = (
            f"{self.num_images:,} images, {self.dim} features, {self.num_views} views "
            f"of each, {self.num_clusters} clusters"
        )
        rows = [
            f"{name:16}{getattr(self, key):10.3f}  {meaning}"
            for key, name, meaning in _ROWS
        ]
        return "\n".join([head, *rows])

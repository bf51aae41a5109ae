"""Which cluster every example of the data set belongs to."""

import keras
import numpy as np
import tensorflow as tf

from keras_contrastive.checks import check_count
from keras_contrastive.layers.state_weight import state_weight
from keras_contrastive.losses.contrastive_loss import check_temperature
from keras_contrastive.unit_vectors import l2_normalize


@keras.saving.register_keras_serializable(package="keras_contrastive")
class Clustering(keras.layers.Layer):
    """Clusters of the data set's embeddings, made anew between epochs.

    `callbacks.ClusterFeatures` fills it, and a method reads it in its loss: the cluster
    of each example, and each cluster's prototype and concentration, as in PCL. With z
    the points of a cluster, c their mean and n their number:

        prototype = c / |c|,    concentration ~ mean |z - c| / log(n + 10)

    Clusters of one point get the largest concentration. Then all are clipped to the
    range from the 10th to the 90th percentile, and scaled so that their mean is the
    temperature. A method that clusters more than once has one layer for each number of
    clusters.

    All of it is weights, saved and restored with the model that holds the layer; no
    optimizer touches them.

    Args:
        num_examples: Size of the data set, a positive integer.
        num_clusters: A positive integer, at most `num_examples`. PCL: 25,000, 50,000
            and 100,000 for ImageNet.
        dim: Width of an embedding, a positive integer.
        temperature: Mean of the concentrations, positive. PCL: 0.2.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Attributes:
        prototypes: Float32 weight `(num_clusters, dim)`, unit vectors.
        concentrations: Float32 weight `(num_clusters,)`.
        clusters: Int32 weight `(num_examples,)`, the cluster of each example.
        ready: Bool weight: whether the clusters have been filled. A loss leaves them
            out before, by `ops.where(ready, loss, 0)`.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.layers import Clustering
        >>> clustering = Clustering(num_examples=4, num_clusters=2, dim=2)
        >>> points = np.array([[0.6, 0.8], [1.0, 0.0], [1.0, 0.0], [0.6, 0.8]])
        >>> clustering.fill(points[:2], np.array([0, 1, 1, 0]), np.zeros(4))
        >>> clustering.of(np.array([3, 1])).numpy()
        array([0, 1], dtype=int32)

    Reference:
        [Prototypical Contrastive Learning of Unsupervised Representations](
        https://arxiv.org/abs/2005.04966) (Li et al., 2021), section 3.3; the clipping
        is that of the authors' code, https://github.com/salesforce/PCL.
    """

    def __init__(self, num_examples, num_clusters, dim, temperature=0.2, **kwargs):
        super().__init__(**kwargs)
        self.num_examples = check_count("num_examples", num_examples)
        self.num_clusters = check_count("num_clusters", num_clusters)
        self.dim = check_count("dim", dim)
        self.temperature = check_temperature("temperature", temperature)
        if num_clusters > num_examples:
            raise ValueError(
                f"`num_clusters` must be at most num_examples={num_examples}. "
                f"Received: num_clusters={num_clusters}"
            )
        sizes = (self.num_clusters, self.dim)
        self.prototypes = state_weight(self, "prototypes", sizes)
        self.concentrations = state_weight(self, "concentrations", sizes[:1])
        self.clusters = state_weight(
            self, "clusters", (self.num_examples,), dtype="int32"
        )
        self.ready = state_weight(self, "ready", dtype="bool")
        self.built = True

    def of(self, ids):
        """Return the clusters of these examples, int32 of the shape of `ids`."""
        return tf.gather(self.clusters.value, tf.convert_to_tensor(ids))

    def fill(self, centres, clusters, distances):
        """Take what a clustering found.

        Args:
            centres: Float array `(num_clusters, dim)`, of any length.
            clusters: Integer array `(num_examples,)`, the cluster of each example.
            distances: Float array `(num_examples,)`, of the examples to their centres.
        """
        concentrations = self._concentrations(np.asarray(clusters), distances)
        self.prototypes.assign(l2_normalize(centres))
        self.concentrations.assign(concentrations)
        self.clusters.assign(np.asarray(clusters, "int32"))
        self.ready.assign(True)

    def _concentrations(self, clusters, distances):
        counts = np.bincount(clusters, minlength=self.num_clusters)
        sums = np.bincount(clusters, distances, minlength=self.num_clusters)
        spread = sums / np.maximum(counts, 1) / np.log(counts + 10)
        spread[counts < 2] = spread.max()
        spread = np.clip(spread, *np.percentile(spread, (10, 90)))
        # Of points that lie on their centres nothing is known: all are alike.
        spread = spread if spread.max() > 0 else np.ones_like(spread)
        return self.temperature * spread / spread.mean()

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "num_examples": self.num_examples,
            "num_clusters": self.num_clusters,
            "dim": self.dim,
            "temperature": self.temperature,
        }

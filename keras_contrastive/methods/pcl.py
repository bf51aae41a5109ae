"""PCL: prototypical contrastive learning (Li et al., 2021)."""

import keras
import tensorflow as tf
from keras import ops

from keras_contrastive import distribute, recipes
from keras_contrastive.checks import check_count
from keras_contrastive.layers.clustering import Clustering
from keras_contrastive.losses.proto_nce_loss import ProtoNCELoss
from keras_contrastive.methods.batch import Needs
from keras_contrastive.methods.moco import MoCo


@keras.saving.register_keras_serializable(package="keras_contrastive")
class PCL(MoCo):
    """MoCo whose queries also find the prototypes of their clusters.

    Between epochs k-means clusters the target's embeddings of all images, several times
    with different numbers of clusters: `kc.callbacks.ClusterFeatures`. With M
    clusterings, each with prototypes c and concentrations phi, the loss of image i is

    `InfoNCE_i + 1/M sum_m -log( exp(q_i.c_i/phi_i) / sum_j exp(q_i.c_j/phi_j) )`

    (equation 11), where j goes over the prototypes of the batch's images and over
    `num_negatives` others, drawn in every step from clusters that the batch does not
    hit. Until the first clustering the second term is 0.

    Args:
        encoder: Functional `keras.Model`, images in [0, 255] to features.
        projector: Layer, features to embeddings; by default the version's.
        num_examples: Number of images of the data set, whose ids the data give
            (`with_ids=True`).
        num_clusters: Number of clusters of each clustering; the paper's 25,000, 50,000
            and 100,000 for ImageNet. Small data sets take about a tenth of their size
            and less.
        num_negatives: r, the paper's 16,384; where fewer clusters are left, these.
        version: 1 (a linear head) or 2.
        temperature: t > 0, of InfoNCE and the mean of the concentrations.
        queue_size: Number of earlier keys, as in MoCo.
        num_classes, augmentation, concatenate_views, symmetric: See `MoCo`.

    Example:
        encoder = kc.encoders.resnet(depth=18, input_shape=(32, 32, 3))
        model = kc.PCL(encoder, num_examples=len(images), num_clusters=(1000, 2000))
        model.compile()
        clusters = kc.callbacks.ClusterFeatures(images, first_epoch=20)
        model.fit(two_views_with_ids, epochs=200, callbacks=[clusters])

    Reference: Prototypical Contrastive Learning of Unsupervised Representations (2021),
    https://arxiv.org/abs/2005.04966; https://github.com/salesforce/PCL.
    """

    versions = {1: recipes.PCL_V1_IMAGENET, 2: recipes.PCL_V2_IMAGENET}
    needs = Needs(ids=True)
    draws = True

    def __init__(
        self,
        encoder: keras.Model,
        projector: keras.layers.Layer | None = None,
        *,
        num_examples: int,
        num_clusters: tuple[int, ...] = (25_000, 50_000, 100_000),
        num_negatives: int = 16_384,
        version: int = 2,
        temperature: float = 0.2,
        queue_size: int = 16_384,
        **kwargs,
    ):
        super().__init__(encoder, projector, version, temperature, queue_size, **kwargs)
        self.num_examples = num_examples
        self.num_clusters = tuple(num_clusters)
        self.num_negatives = check_count("num_negatives", num_negatives)
        self.clusterings = [
            Clustering(num_examples, k, self.embedding_dim, temperature, name=f"of_{k}")
            for k in self.num_clusters
        ]
        self.prototype_loss = ProtoNCELoss()

    def contrastive_loss(self, outputs, batch):
        """Return equation 11: InfoNCE, and the mean of ProtoNCE over clusterings."""
        terms = [
            self.of_prototypes(clustering, queries, batch)
            for clustering in self.clusterings
            for _, queries in outputs["pairs"]
        ]
        return super().contrastive_loss(outputs, batch) + sum(terms) / len(terms)

    def of_prototypes(self, clustering, queries, batch):
        """Return ProtoNCE of one clustering; 0 before it is made."""
        assignments = clustering.of(batch.ids)
        negatives = self.drawn(clustering.num_clusters, assignments, batch.step)
        # Before, all concentrations are 0, and nothing may be divided by them.
        phi = ops.where(clustering.ready, clustering.concentrations, 1.0)
        targets = assignments, clustering.prototypes, phi, negatives
        loss = self.prototype_loss(targets, queries)
        return ops.where(clustering.ready, loss, 0.0)

    def drawn(self, num_clusters, assignments, step):
        """Return clusters that the global batch does not hit; -1 where none is left."""
        hit = distribute.all_gather(assignments)
        seed = ops.stack([ops.cast(step, "int32"), num_clusters])
        chances = tf.random.stateless_uniform((num_clusters,), seed)
        chances = tf.tensor_scatter_nd_update(
            chances, hit[:, None], -ops.ones_like(hit, dtype="float32")
        )
        values, numbers = tf.math.top_k(chances, min(self.num_negatives, num_clusters))
        return ops.where(values >= 0, numbers, -1)

    def get_config(self):
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "num_examples": self.num_examples,
            "num_clusters": list(self.num_clusters),
            "num_negatives": self.num_negatives,
        }

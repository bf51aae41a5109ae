"""NNCLR: nearest neighbours as positives (Dwibedi et al., 2021)."""

import dataclasses

import keras
from keras import ops

from keras_contrastive import recipes
from keras_contrastive.layers.feature_queue import FeatureQueue
from keras_contrastive.losses.info_nce_loss import InfoNCELoss
from keras_contrastive.methods.batch import Needs
from keras_contrastive.methods.contrastive_model import ContrastiveModel
from keras_contrastive.unit_vectors import l2_normalize


@keras.saving.register_keras_serializable(package="keras_contrastive")
class NNCLR(ContrastiveModel):
    """The nearest neighbour of one view finds the other view among a batch.

    With z = projector(encoder(v)) and p = predictor(z), the positive of an image is an
    embedding of another one: the most similar entry of the support set Q, a queue of
    the embeddings z_1 of earlier batches. With n(x) = x / |x|

    `NN(z) = argmax_{q in Q} n(z).q`

    `l_i = -log( exp(NN(z_1i).n(p_2i)/t) / sum_j exp(NN(z_1i).n(p_2j)/t) )`

    and the loss is the mean of this and of its swap, from NN(z_2) to p_1. Neighbours
    vary in ways that no augmentation has. No gradient passes through them.

    Args:
        encoder: Functional `keras.Model`, images in [0, 255] to features.
        projector: Layer, features to embeddings; by default the paper's three layers,
            2048 - BN - ReLU - 2048 - BN - ReLU - 256 - BN.
        predictor: Layer, embeddings to embeddings; by default the paper's
            4096 - BN - ReLU - 256.
        temperature: t > 0; the paper's 0.1.
        queue_size: Number of embeddings in the support set, not below the batch size;
            98,304 (default) for ImageNet, 16,384 to 65,536 for small images.
        num_classes, augmentation, concatenate_views: See `ContrastiveModel`. One
            forward per view is the default.

    Example:
        encoder = kc.encoders.resnet(depth=18, input_shape=(32, 32, 3))
        model = kc.recipes.NNCLR_SMALL.model(encoder)
        model.fit(two_view_dataset, epochs=100)

    Reference: With a Little Help from My Friends: Nearest-Neighbor Contrastive Learning
    of Visual Representations (2021), https://arxiv.org/abs/2104.14548. This is its
    pseudo-code. The text also has the softmax over the neighbours, for which the four
    terms are averaged.
    """

    recipe = recipes.NNCLR_IMAGENET
    needs = Needs(predictor=True)

    def __init__(
        self,
        encoder: keras.Model,
        projector: keras.layers.Layer | None = None,
        predictor: keras.layers.Layer | None = None,
        temperature: float = 0.1,
        queue_size: int = 98304,
        num_classes: int | None = None,
        **kwargs,
    ):
        super().__init__(
            encoder, projector, predictor, num_classes=num_classes, **kwargs
        )
        self.temperature = temperature
        self.paper_loss = InfoNCELoss(temperature)
        self.queue_size = queue_size
        self.queue = FeatureQueue(queue_size, self.embedding_dim, name="queue")
        self.needs = dataclasses.replace(self.needs, max_batch=queue_size)

    def default_loss(self):
        """Return InfoNCE at the model's temperature."""
        return self.paper_loss

    def forward(self, batch, training):
        """Predictions, and the neighbours that are to find them."""
        features, embeddings = self.online(batch.views, training)
        p_1, p_2 = (self.predictor(z, training=training) for z in embeddings)
        n_1, n_2 = (self.nearest(z) for z in embeddings)
        return {
            "features": features,
            "anchor": p_1,
            "positive": embeddings[1],
            "directions": ((p_2, n_1), (p_1, n_2)),
            "new": embeddings[0],
        }

    def nearest(self, embeddings):
        """Return NN(z) of embeddings `(batch, dim)`, float32 `(batch, dim)`."""
        support = self.queue.value  # Q (size, dim)
        similarity = ops.matmul(l2_normalize(embeddings), ops.transpose(support))
        return ops.take(support, ops.argmax(similarity, axis=1), axis=0)

    def contrastive_loss(self, outputs, batch):
        """Return the mean of both directions; the predictions are the candidates."""
        losses = [self.loss((p, None), n) for p, n in outputs["directions"]]
        return sum(losses) / len(losses)

    def after_step(self, outputs, batch, applied):
        """Put z_1 into the support set, after the loss."""
        self.queue.enqueue(outputs["new"], applied)

    def get_config(self):
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "queue_size": self.queue_size,
        }

"""Barlow Twins: redundancy reduction (Zbontar et al., 2021)."""

import keras

from keras_contrastive import recipes
from keras_contrastive.losses.barlow_twins_loss import BarlowTwinsLoss
from keras_contrastive.methods.contrastive_model import ContrastiveModel


@keras.saving.register_keras_serializable(package="keras_contrastive")
class BarlowTwins(ContrastiveModel):
    """Each dimension of the embedding agrees between views and repeats no other one.

    With z_1, z_2 the two views' embeddings, standardised over the batch, and their
    cross-correlation `C = z_1^T z_2 / N`, the loss is (equation 1)

    `sum_i (1 - C_ii)^2 + w sum_{i != j} C_ij^2`

    There are no negatives and no target; collapse would make C zero. It gains from
    embeddings that are wider than the features.

    Args:
        encoder: Functional `keras.Model`, images in [0, 255] to features.
        projector: Layer, features to embeddings; by default the paper's three layers of
            8,192, which are made for ImageNet: 2,048 is usual for small images.
        off_diagonal_weight: w >= 0; the paper's 0.0051.
        num_classes, augmentation, concatenate_views: See `ContrastiveModel`. One
            forward per view is the default, as in the authors' code.

    Example:
        encoder = kc.encoders.resnet(depth=18, input_shape=(32, 32, 3))
        model = kc.recipes.BARLOW_TWINS_SMALL.model(encoder)
        model.fit(two_view_dataset, epochs=100)

    Reference: Barlow Twins: Self-Supervised Learning via Redundancy Reduction (2021),
    https://arxiv.org/abs/2103.03230. The authors train biases and batch norm with a
    lower rate of their own (0.0048 per 256 images), here there is one rate.
    """

    recipe = recipes.BARLOW_TWINS_IMAGENET

    def __init__(
        self,
        encoder: keras.Model,
        projector: keras.layers.Layer | None = None,
        off_diagonal_weight: float = 0.0051,
        num_classes: int | None = None,
        **kwargs,
    ):
        super().__init__(encoder, projector, num_classes=num_classes, **kwargs)
        self.off_diagonal_weight = off_diagonal_weight
        self.paper_loss = BarlowTwinsLoss(off_diagonal_weight)

    def default_loss(self):
        """Return equation 1."""
        return self.paper_loss

    def forward(self, batch, training):
        """Embeddings of both views."""
        features, (z_1, z_2) = self.online(batch.views, training)
        return {"features": features, "anchor": z_1, "positive": z_2}

    def contrastive_loss(self, outputs, batch):
        """Return equation 1, a value of the global batch."""
        return self.loss(outputs["anchor"], outputs["positive"])

    def get_config(self):
        """Return the constructor's arguments."""
        return {**super().get_config(), "off_diagonal_weight": self.off_diagonal_weight}

"""VICReg: variance, invariance and covariance regularisation (Bardes et al., 2022)."""

import keras

from keras_contrastive import recipes
from keras_contrastive.losses.vicreg_loss import VICRegLoss
from keras_contrastive.methods.contrastive_model import ContrastiveModel


@keras.saving.register_keras_serializable(package="keras_contrastive")
class VICReg(ContrastiveModel):
    """Both views have one embedding, whose dimensions vary and do not repeat others.

    With z_1, z_2 the two views' embeddings, a batch of N images (section 4.1):

    `invariance mean (z_1 - z_2)^2 + variance v + covariance c`

    where v counts what each dimension's standard deviation lacks to 1, which prevents
    collapse, and c squares the covariances of different dimensions; each is taken for
    every view by itself. There are no negatives, no target and no normalisation. The
    embedding is wider than the features, the paper calls its projector an expander.

    Args:
        encoder: Functional `keras.Model`, images in [0, 255] to features.
        projector: Layer, features to embeddings; by default the paper's three layers of
            8,192, which are made for ImageNet: 2,048 is usual for small images.
        invariance, variance, covariance: Weights >= 0 of the three terms as the
            authors' code has them; the paper's 25, 25 and 1.
        num_classes, augmentation, concatenate_views: See `ContrastiveModel`. One
            forward per view is the default, as in the authors' code.

    Example:
        encoder = kc.encoders.resnet(depth=18, input_shape=(32, 32, 3))
        model = kc.recipes.VICREG_SMALL.model(encoder)
        model.fit(two_view_dataset, epochs=100)

    Reference: VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised
    Learning (2022), https://arxiv.org/abs/2105.04906. Its code differs from its
    formulas: see `VICRegLoss`.
    """

    recipe = recipes.VICREG_IMAGENET

    def __init__(
        self,
        encoder: keras.Model,
        projector: keras.layers.Layer | None = None,
        invariance: float = 25.0,
        variance: float = 25.0,
        covariance: float = 1.0,
        num_classes: int | None = None,
        **kwargs,
    ):
        super().__init__(encoder, projector, num_classes=num_classes, **kwargs)
        self.terms = {
            "invariance": invariance,
            "variance": variance,
            "covariance": covariance,
        }
        self.paper_loss = VICRegLoss(**self.terms)

    def default_loss(self):
        """Return the three terms with the model's weights."""
        return self.paper_loss

    def forward(self, batch, training):
        """Embeddings of both views."""
        features, (z_1, z_2) = self.online(batch.views, training)
        return {"features": features, "anchor": z_1, "positive": z_2}

    def contrastive_loss(self, outputs, batch):
        """Return the sum of the three terms, a value of the global batch."""
        return self.loss(outputs["anchor"], outputs["positive"])

    def get_config(self):
        """Return the constructor's arguments."""
        return {**super().get_config(), **self.terms}

"""Alignment and uniformity on the hypersphere (Wang and Isola, 2020)."""

import keras

from keras_contrastive import recipes
from keras_contrastive.losses.align_uniform_loss import AlignUniformLoss
from keras_contrastive.methods.contrastive_model import ContrastiveModel


@keras.saving.register_keras_serializable(package="keras_contrastive")
class AlignUniform(ContrastiveModel):
    """Views of one image lie close together, images spread over the unit sphere.

    With x, y the two views' L2-normalised embeddings of a batch, the loss is

    `align_weight align + uniform_weight (uniform(x) + uniform(y)) / 2`

    `align = mean_i |x_i - y_i|^alpha` (equation 1)

    `uniform(x) = log mean_{i < j} exp(-t |x_i - x_j|^2)` (equation 2)

    It is what a contrastive loss tends to with many negatives. Of features the same
    two are `kc.evaluation.alignment` and `kc.evaluation.uniformity`.

    Args:
        encoder: Functional `keras.Model`, images in [0, 255] to features.
        projector: Layer, features to embeddings; by default one hidden layer as wide
            as the features, and 128 dimensions.
        alpha: Power of the distance, > 0.
        t: Inverse width of the kernel, > 0.
        align_weight, uniform_weight: Weights >= 0 of the two terms.
        num_classes, augmentation, concatenate_views: See `ContrastiveModel`. Both
            views as one batch is the default.

    Example:
        encoder = kc.encoders.resnet(depth=18, input_shape=(32, 32, 3))
        model = kc.AlignUniform(encoder)
        model.compile()
        model.fit(two_view_dataset, epochs=100)

    Reference: Understanding Contrastive Representation Learning through Alignment and
    Uniformity on the Hypersphere (2020), https://arxiv.org/abs/2005.10242; the defaults
    are those of https://github.com/SsnL/align_uniform for STL-10.
    """

    recipe = recipes.ALIGN_UNIFORM_SMALL

    def __init__(
        self,
        encoder: keras.Model,
        projector: keras.layers.Layer | None = None,
        alpha: float = 2.0,
        t: float = 2.0,
        align_weight: float = 1.0,
        uniform_weight: float = 1.0,
        concatenate_views: bool = True,
        **kwargs,
    ):
        super().__init__(
            encoder, projector, concatenate_views=concatenate_views, **kwargs
        )
        self.terms = {
            "alpha": alpha,
            "t": t,
            "align_weight": align_weight,
            "uniform_weight": uniform_weight,
        }
        self.paper_loss = AlignUniformLoss(**self.terms)

    def default_loss(self):
        """Return both terms with the model's weights."""
        return self.paper_loss

    def forward(self, batch, training):
        """Embeddings of both views."""
        features, (x, y) = self.online(batch.views, training)
        return {"features": features, "anchor": x, "positive": y}

    def contrastive_loss(self, outputs, batch):
        """Return the sum of both terms, a value of the global batch."""
        return self.loss(outputs["anchor"], outputs["positive"])

    def get_config(self):
        """Return the constructor's arguments."""
        return {**super().get_config(), **self.terms}

"""MMCL: max-margin contrastive learning (Shah et al., 2022)."""

import keras

from keras_contrastive import recipes
from keras_contrastive.losses.mmcl_loss import MMCLLoss
from keras_contrastive.methods.contrastive_model import ContrastiveModel


@keras.saving.register_keras_serializable(package="keras_contrastive")
class MMCL(ContrastiveModel):
    """Negatives count as a support vector machine weights them.

    With x, z the two views' L2-normalised embeddings of a batch, the loss of image i is

    `sum_{j != i} a_ij (k(z_i, x_j) - k(x_i, z_i))`

    with `k(a, b) = exp(-|a - b|^2 / sigma)`. The weights a_i >= 0, which carry no
    gradient, separate x_i from all other x_j by the largest margin (see
    `kc.losses.MMCLLoss`): many negatives get the weight 0, those near the margin a
    large one. Only the first view has negatives, as in the authors' code.

    Args:
        encoder: Functional `keras.Model`, images in [0, 255] to features.
        projector: Layer, features to embeddings; by default the recipe's: one hidden
            layer as wide as the features, and 128 dimensions.
        sigma: Width of the kernel, > 0: 10 for ImageNet (default), 0.5 for small
            images.
        regularization: Added to the machine's diagonal, > 0.
        upper: Largest weight, > 0; None for no limit.
        steps: Steps of projected gradient; None for the closed form.
        num_classes, augmentation, concatenate_views: See `ContrastiveModel`.

    A step factorises a matrix as large as the global batch: at 256 images that is less
    than the network's work, at 4,096 it is not.

    Example:
        encoder = kc.encoders.resnet(depth=18, input_shape=(32, 32, 3))
        model = kc.recipes.MMCL_SMALL.model(encoder)
        model.fit(two_view_dataset, epochs=100)

    Reference: Max-Margin Contrastive Learning (2022),
    https://arxiv.org/abs/2112.11450, sections 3.2 and 3.3;
    https://github.com/anshulbshah/MMCL.
    """

    recipe = recipes.MMCL_IMAGENET

    def __init__(
        self,
        encoder: keras.Model,
        projector: keras.layers.Layer | None = None,
        sigma: float = 10.0,
        regularization: float = 0.1,
        upper: float | None = None,
        steps: int | None = None,
        num_classes: int | None = None,
        **kwargs,
    ):
        super().__init__(encoder, projector, num_classes=num_classes, **kwargs)
        self.machine = {
            "sigma": sigma,
            "regularization": regularization,
            "upper": upper,
            "steps": steps,
        }
        self.paper_loss = MMCLLoss(**self.machine)

    def default_loss(self):
        """Return the loss with the model's kernel and bounds."""
        return self.paper_loss

    def forward(self, batch, training):
        """Embeddings of both views."""
        features, (x, z) = self.online(batch.views, training)
        return {"features": features, "anchor": x, "positive": z}

    def contrastive_loss(self, outputs, batch):
        """Return one value per image."""
        return self.loss(outputs["anchor"], outputs["positive"])

    def get_config(self):
        """Return the constructor's arguments."""
        return {**super().get_config(), **self.machine}

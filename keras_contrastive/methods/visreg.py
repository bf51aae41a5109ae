"""VISReg: variance, invariance and sketching regularisation (Wu et al., 2026)."""

import keras

from keras_contrastive import recipes
from keras_contrastive.losses.visreg_loss import VISRegLoss
from keras_contrastive.methods.sliced_method import SlicedMethod


@keras.saving.register_keras_serializable(package="keras_contrastive")
class VISReg(SlicedMethod):
    """All views of an image agree; scale, shape and centre are those of a Gaussian.

    With z_nv the embedding of view v of image n, and c_n the mean of its global views,

    `(1 - w) mean_{n, v} |z_nv - c_n|^2 / dim + w (scale + shape + center)`

    Scale and centre compare each dimension's deviation with 1 and its mean with 0.
    Shape is a sliced Wasserstein distance: standardised embeddings, projected on random
    directions and sorted, against the quantiles of N(0, 1); see `kc.losses.VISRegLoss`.
    There is no target and no predictor. Unlike a test of the whole distribution, scale
    has a strong gradient where the embeddings have collapsed.

    The directions are new in every step, but depend on the step alone. The loss says
    why batches of fewer than about 64 images make the embeddings small.

    Args:
        encoder: Functional `keras.Model`, images in [0, 255] to features.
        projector: Layer, features to embeddings; by default the recipe's two hidden
            layers of 2,048 with batch norm.
        weight: w in [0, 1], the paper's lambda: 0.6 for small data (default), 0.9 for
            ImageNet.
        num_slices: Number of directions, >= 1; the authors' configurations have 4,096.
        num_global: Number of global views, which come first in the dataset.
        scale, shape, center: Weights of the three terms, >= 0.
        num_classes, augmentation, concatenate_views: See `ContrastiveModel`. The views
            of one size pass as one batch, as in the authors' code.

    Any number of views, at least two; those after the second may be smaller.

    Example:
        policy = kc.augmentations.lejepa(32, global_views=4, local_views=0)
        views = kc.data.views_from_arrays(images, augmentation=policy)
        encoder = kc.encoders.resnet(depth=18, input_shape=(32, 32, 3))
        model = kc.recipes.VISREG_SMALL.model(encoder)  # 4 global views
        model.fit(views, epochs=100)

    Reference: VISReg: Variance-Invariance-Sketching Regularization for JEPA training
    (2026), https://arxiv.org/abs/2606.02572. Written from the formulas.
    """

    recipe = recipes.VISREG_SMALL

    def __init__(
        self,
        encoder: keras.Model,
        projector: keras.layers.Layer | None = None,
        weight: float = 0.6,
        num_slices: int = 1024,
        num_global: int = 2,
        scale: float = 1.0,
        shape: float = 1.0,
        center: float = 1.0,
        num_classes: int | None = None,
        **kwargs,
    ):
        loss = VISRegLoss(
            weight, num_slices, num_global, scale=scale, shape=shape, center=center
        )
        super().__init__(encoder, projector, loss, num_classes=num_classes, **kwargs)

    def get_config(self):
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "scale": self.paper_loss.scale,
            "shape": self.paper_loss.shape,
            "center": self.paper_loss.center,
        }

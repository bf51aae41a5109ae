"""LeJEPA: joint embedding without heuristics (Balestriero and LeCun, 2025)."""

import keras

from keras_contrastive import recipes
from keras_contrastive.losses.lejepa_loss import LeJEPALoss
from keras_contrastive.methods.sliced_method import SlicedMethod


@keras.saving.register_keras_serializable(package="keras_contrastive")
class LeJEPA(SlicedMethod):
    """All views of an image agree, and the embeddings are an isotropic Gaussian.

    With z_nv the embedding of view v of image n, and c_n the mean of its global views,

    `(1 - w) mean_{n, v} |z_nv - c_n|^2 / dim + w mean_{v, a} T_va`

    where T_va tests the batch of view v, projected on the random direction a, against
    N(0, 1): SIGReg, see `kc.losses.sigreg`. There is no target, no predictor and no
    stopped gradient: what prevents collapse is that one point is no Gaussian.

    The directions are new in every step, but depend on the step alone.

    Args:
        encoder: Functional `keras.Model`, images in [0, 255] to features.
        projector: Layer, features to embeddings; by default the recipe's two hidden
            layers of 2,048 with batch norm.
        weight: w in [0, 1], the paper's lambda: 0.05 for ImageNet (default), 0.02 for
            Imagenette.
        num_slices: Number of directions, >= 1.
        num_global: Number of global views, which come first in the dataset.
        num_classes, augmentation, concatenate_views: See `ContrastiveModel`. The views
            of one size pass as one batch, as in the authors' code.

    Any number of views, at least two; those after the second may be smaller.

    Example:
        policy = kc.augmentations.lejepa(32, local_size=16)  # 2 global and 6 local
        views = kc.data.views_from_arrays(images, augmentation=policy)
        encoder = kc.encoders.resnet(depth=18, input_shape=(None, None, 3))
        model = kc.recipes.LEJEPA_SMALL.model(encoder, num_global=2)
        model.fit(views, epochs=100)

    Reference: LeJEPA: Provable and Scalable Self-Supervised Learning Without the
    Heuristics (2025), https://arxiv.org/abs/2511.08544. The paper's listing integrates
    over [-5, 5], the authors' code over [-3, 3], and so does this.
    """

    recipe = recipes.LEJEPA_IMAGENET

    def __init__(
        self,
        encoder: keras.Model,
        projector: keras.layers.Layer | None = None,
        weight: float = 0.05,
        num_slices: int = 1024,
        num_global: int = 2,
        num_classes: int | None = None,
        **kwargs,
    ):
        loss = LeJEPALoss(weight, num_slices, num_global)
        super().__init__(encoder, projector, loss, num_classes=num_classes, **kwargs)

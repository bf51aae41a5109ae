"""The loss of VISReg, one value for the whole batch."""

import math

import keras
from keras import ops

from keras_contrastive import distribute
from keras_contrastive.losses.sliced_loss import SlicedLoss, projected

_EPSILON = 1e-6  # beside the standard deviation, in the authors' code


@keras.saving.register_keras_serializable(package="keras_contrastive")
class VISRegLoss(SlicedLoss):
    """Views agree; scale, shape and centre of their embeddings are a Gaussian's.

    Over the global batch of `N` images, for each view `v` with the mean `m`, centred
    embeddings `y = z - m` and `s = sqrt(mean_n y^2) + 1e-6`, each per dimension:

        center = mean_{v, d} m^2
        scale  = mean_{v, d} (s - 1)^2
        shape  = mean_{v, n, a} (sort_n(a . y / sg(s)) - Q(n / (N + 1)))^2

    with directions `a`, Q the quantiles of N(0, 1) and sg without a gradient; and with
    `c_n` the mean over the global views of image `n`

        l = (1 - weight) mean_{n, v, d} (z_nvd - c_nd)^2
            + weight (scale_weight * scale + shape_weight * shape
                      + center_weight * center)

    where the three weights are the arguments `scale`, `shape` and `center`. The loss is
    a scalar of the batch, not a value per example.

    The variance of these quantiles is below 1: 0.57 for 8 images, 0.89 for 64, 0.96
    for 256. So shape shrinks the embeddings a little, and in a batch of 8 more than
    scale widens them, however small they are: the loss rises. Take larger batches.

    lightly adds no 1e-6 to the scale and 1e-4 to the divisor of the shape. The authors'
    code prints that the centre is detached, but does not detach it; neither does this.

    Args:
        weight: Share of the regularisers, in [0, 1]. Defaults to 0.6, the authors' for
            a small data set; 0.9 for ImageNet.
        num_slices: Number of directions that are drawn. Defaults to 1,024; the
            authors' configurations have 4,096.
        num_global: Number of global views, which come first. Defaults to 2.
        scale, shape, center: Weights of the three terms, >= 0. Default to 1.
        reduction: As in `keras.losses.Loss`; of a single value there is nothing to
            reduce.
        name: Name of the loss.

    Call arguments:
        targets: Directions `(dim, slices)`, unit columns, the same on all replicas; or
            None: `num_slices` new ones in each call, the same on all replicas.
        predictions: Embeddings `(batch, views, dim)`, the global views first, neither
            normalised nor standardised.

    Raises:
        ValueError: If an argument is out of range, the shapes do not fit, or there are
            fewer views than `num_global`.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.losses import VISRegLoss
        >>> z = np.random.default_rng(0).normal(size=(64, 1, 8)).astype("float32")
        >>> z = np.repeat(z, 4, axis=1)  # four equal views, already Gaussian
        >>> bool(VISRegLoss()(None, z) < VISRegLoss()(None, 0 * z))
        True

    Reference:
        [VISReg](https://arxiv.org/abs/2606.02572) (Wu et al., 2026).
    """

    def __init__(
        self,
        weight=0.6,
        num_slices=1024,
        num_global=2,
        scale=1,
        shape=1,
        center=1,
        reduction="sum_over_batch_size",
        name="visreg_loss",
    ):
        super().__init__(weight, num_slices, num_global, reduction=reduction, name=name)
        for term, value in (("scale", scale), ("shape", shape), ("center", center)):
            if not value >= 0:
                raise ValueError(f"`{term}` must be >= 0. Received: {term}={value!r}")
        self.scale, self.shape, self.center = scale, shape, center

    def regularizer(self, directions, z):
        """Return scale, shape and centre, weighted: a scalar of the global batch."""
        z = distribute.all_gather(z)  # (N, V, D)
        mean = ops.mean(z, axis=0)
        y = z - mean
        variance = ops.mean(ops.square(y), axis=0)
        # A floor below float32's eyes: the root has a gradient at 0.
        deviation = ops.sqrt(ops.maximum(variance, 1e-24)) + _EPSILON
        y = y / ops.stop_gradient(deviation)
        x = ops.sort(ops.transpose(projected(y, directions), (1, 2, 0)), axis=-1)
        shape = ops.mean(ops.square(x - _quantiles(ops.shape(z)[0])))
        scale = ops.mean(ops.square(deviation - 1))
        center = ops.mean(ops.square(mean))
        return self.scale * scale + self.shape * shape + self.center * center

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "scale": self.scale,
            "shape": self.shape,
            "center": self.center,
        }


def _quantiles(n):
    """Those of N(0, 1) at 1 / (n + 1), ..., n / (n + 1)."""
    places = ops.arange(1, n + 1, dtype="float32") / ops.cast(n + 1, "float32")
    return math.sqrt(2) * ops.erfinv(2 * places - 1)

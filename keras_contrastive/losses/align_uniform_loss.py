"""Alignment and uniformity on the unit sphere, one value for the whole batch."""

import keras
from keras import ops

from keras_contrastive import distribute
from keras_contrastive.checks import check_not_negative
from keras_contrastive.losses.contrastive_loss import (
    MASKED,
    ContrastiveLoss,
    check_temperature,
    check_two_views,
    unit_vectors,
)


@keras.saving.register_keras_serializable(package="keras_contrastive")
class AlignUniformLoss(ContrastiveLoss):
    """Views of one image lie close together, images spread over the unit sphere.

    What a contrastive loss does in the limit of many negatives, said directly. Of
    L2-normalised embeddings `x`, `y` of `N` images (equations 1 and 2 of the paper):

        align(x, y) = mean_i |x_i - y_i|^alpha
        uniform(x)  = log mean_{i < j} exp(-t |x_i - x_j|^2)
        l = align_weight * align(x, y)
            + uniform_weight * (uniform(x) + uniform(y)) / 2

    over the `N (N - 1) / 2` pairs of different images. `align` is in [0, 2^alpha],
    `uniform` in [-4 t, 0], so that the loss may be negative. For features
    `kc.evaluation.alignment` and `kc.evaluation.uniformity` are the same two functions.

    The loss is a scalar of the batch, not a value per example: it cannot be weighted
    by example. Under `tf.distribute` it is that of the global batch, and all replicas
    compute the same value. It needs at least two images; a single one whose number is
    not known beforehand has uniformity 0.

    Args:
        alpha: Power of the distance, positive. Defaults to 2.
        t: Inverse width of the kernel, positive. Defaults to 2.
        align_weight: Weight of the alignment, not negative. Defaults to 1.
        uniform_weight: Weight of the uniformity, not negative. Defaults to 1.
        reduction: As in `keras.losses.Loss`; of a single value there is nothing to
            reduce.
        name: Name of the loss.

    Call arguments:
        targets: Embeddings `x` of the first view, `(batch, dim)`, any float dtype, any
            length: they are L2-normalised here, in float32. They receive gradients.
        predictions: Embeddings `y` of the second view, `(batch, dim)`.

    Raises:
        ValueError: If an argument is out of its range, the embeddings are not two
            matrices of one shape, or the batch has one image.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.losses import AlignUniformLoss
        >>> x = np.eye(4)  # aligned with itself, all squared distances are 2
        >>> round(float(AlignUniformLoss()(x, x)), 5)
        -4.0

    Reference:
        [Understanding Contrastive Representation Learning through Alignment and
        Uniformity on the Hypersphere](https://arxiv.org/abs/2005.10242) (Wang and
        Isola, 2020), equations 1 and 2; https://github.com/SsnL/align_uniform.
    """

    def __init__(
        self,
        alpha=2.0,
        t=2.0,
        align_weight=1.0,
        uniform_weight=1.0,
        reduction="sum_over_batch_size",
        name="align_uniform_loss",
    ):
        super().__init__(reduction=reduction, name=name)
        self.alpha = check_temperature("alpha", alpha)
        self.t = check_temperature("t", t)
        self.align_weight = float(check_not_negative("align_weight", align_weight))
        self.uniform_weight = float(
            check_not_negative("uniform_weight", uniform_weight)
        )

    def call(self, targets, predictions):
        """Return the loss of the global batch, a scalar."""
        x, y = check_two_views(targets, predictions, names=("x", "y"), least=2)
        both = ops.concatenate([unit_vectors(x), unit_vectors(y)], axis=1)  # (n, 2D)
        both = distribute.all_gather(both)  # (N, 2D): one collective, not two
        x, y = ops.split(both, 2, axis=1)
        uniform = (_uniform(x, self.t) + _uniform(y, self.t)) / 2
        return (
            self.align_weight * _align(x, y, self.alpha) + self.uniform_weight * uniform
        )

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "alpha": self.alpha,
            "t": self.t,
            "align_weight": self.align_weight,
            "uniform_weight": self.uniform_weight,
        }


def _align(x, y, alpha):
    """Equation 1 of unit vectors."""
    squares = ops.sum(ops.square(x - y), axis=1)  # (N,)
    # The root has no gradient at 0: equal vectors get the value 0, and no gradient.
    apart = squares > 0
    powers = ops.power(ops.where(apart, squares, 1.0), alpha / 2)
    return ops.mean(ops.where(apart, powers, 0.0))


def _uniform(x, t):
    """Equation 2 of unit vectors; each pair stands twice, no vector beside itself."""
    n = ops.shape(x)[0]
    squares = ops.maximum(2 - 2 * ops.matmul(x, ops.transpose(x)), 0.0)  # (N, N)
    itself = ops.arange(n)[:, None] == ops.arange(n)[None, :]
    log_sum = ops.logsumexp(ops.where(itself, MASKED, -t * squares))
    pairs = ops.cast(n, "float32") * ops.cast(n - 1, "float32")
    return ops.where(pairs > 0, log_sum - ops.log(ops.maximum(pairs, 1.0)), 0.0)

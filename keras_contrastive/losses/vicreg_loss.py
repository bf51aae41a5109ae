"""The loss of VICReg, one value for the whole batch."""

import keras
from keras import ops

from keras_contrastive import distribute
from keras_contrastive.checks import check_not_negative
from keras_contrastive.losses.contrastive_loss import (
    ContrastiveLoss,
    check_two_views,
    to_float32,
)

_EPSILON = 1e-4  # under the square root of the variance, as in paper and code


@keras.saving.register_keras_serializable(package="keras_contrastive")
class VICRegLoss(ContrastiveLoss):
    """Invariance between views, variance and no covariance of each view's dimensions.

    With `N` images in the global batch, embeddings of `D` dimensions, and `C(z)` the
    covariance of `z` over the batch, divided by `N - 1`:

        invariance = mean over N and D of (z_1 - z_2)^2
        variance   = 1/2 sum over views of mean_d relu(1 - sqrt(C(z)_dd + 1e-4))
        covariance = sum over views of sum_{i != j} C(z)_ij^2 / D
        l          = invariance weight * invariance + ...

    Each dimension shall have a standard deviation of at least 1, which prevents
    collapse, and shall repeat no other one. The views are not compared with other
    images, and are not L2-normalised: their scale matters.

    These are the formulas of the authors' code (facebookresearch/vicreg). The paper
    differs in two: its variance lacks the 1/2 (as in solo-learn: with these arguments
    twice `variance`), and its invariance is the squared distance, a mean over N alone
    (`D` times `invariance`). The weights 25, 25 and 1 stand in both.

    The loss is a scalar of the batch, not a value per example: it cannot be weighted
    by example. Under `tf.distribute` it is that of the global batch, and all replicas
    compute the same value. It needs at least two images; a single one whose number is
    not known beforehand has variance and covariance 0.

    Args:
        invariance: Weight of the invariance, not negative. Defaults to 25.
        variance: Weight of the variance, not negative. Defaults to 25.
        covariance: Weight of the covariance, not negative. Defaults to 1.
        reduction: As in `keras.losses.Loss`; of a single value there is nothing to
            reduce.
        name: Name of the loss.

    Call arguments:
        targets: Embeddings of the first view, `(batch, dim)`. They receive gradients.
        predictions: Embeddings of the second view, `(batch, dim)`.

    Raises:
        ValueError: If a weight is negative, the embeddings are not two matrices of one
            shape, or the batch has one image.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.losses import VICRegLoss
        >>> z = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
        >>> round(float(VICRegLoss()(z, z)), 6)  # equal, spread and uncorrelated
        0.0

    Reference:
        [VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised
        Learning](https://arxiv.org/abs/2105.04906) (Bardes et al., 2022), section 4.1.
    """

    def __init__(
        self,
        invariance=25.0,
        variance=25.0,
        covariance=1.0,
        reduction="sum_over_batch_size",
        name="vicreg_loss",
    ):
        super().__init__(reduction=reduction, name=name)
        self.invariance = float(check_not_negative("invariance", invariance))
        self.variance = float(check_not_negative("variance", variance))
        self.covariance = float(check_not_negative("covariance", covariance))

    def call(self, targets, predictions):
        """Return the loss of the global batch, a scalar."""
        z_1, z_2 = check_two_views(targets, predictions, least=2)
        both = ops.concatenate([to_float32(z_1), to_float32(z_2)], axis=1)  # (n, 2D)
        both = distribute.all_gather(both)  # (N, 2D): one collective, not two
        z_1, z_2 = ops.split(both, 2, axis=1)
        loss = self.invariance * ops.mean(ops.square(z_1 - z_2))
        freedom = ops.cast(ops.maximum(ops.shape(both)[0] - 1, 1), "float32")
        for z in (z_1, z_2):
            z = z - ops.mean(z, axis=0)
            c = ops.matmul(ops.transpose(z), z) / freedom  # (D, D)
            variances = ops.diagonal(c)
            deviations = ops.sqrt(variances + _EPSILON)
            loss += self.variance * ops.mean(ops.relu(1 - deviations)) / 2
            off_diagonal = ops.sum(ops.square(c)) - ops.sum(ops.square(variances))
            loss += self.covariance * off_diagonal / z.shape[1]
        return loss

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "invariance": self.invariance,
            "variance": self.variance,
            "covariance": self.covariance,
        }

"""The loss of Barlow Twins, one value for the whole batch."""

import keras
from keras import ops

from keras_contrastive import distribute
from keras_contrastive.losses.contrastive_loss import (
    ContrastiveLoss,
    check_two_views,
)

_EPSILON = 1e-5  # that of the batch norm which standardises in the authors' code


@keras.saving.register_keras_serializable(package="keras_contrastive")
class BarlowTwinsLoss(ContrastiveLoss):
    """Make the cross-correlation of two views' embeddings the identity matrix.

    Each dimension is standardised over the global batch of `N` images, view by view
    (biased variance plus 1e-5). With `C = z_1^T z_2 / N`, `(dim, dim)`, and `w` the
    weight (equations 1 and 2 of the paper):

        l = sum_i (1 - C_ii)^2 + w sum_i sum_{j != i} C_ij^2

    The loss is a scalar of the batch, not a value per example: it cannot be weighted
    by example. Embeddings are not L2-normalised. With a batch smaller than `dim` the
    matrix cannot be the identity; a batch of one has `C = 0` and the value `dim`.

    Under `tf.distribute` the statistics are those of the global batch, and all
    replicas compute the same value. (The authors' code sums `C` over the processes
    without a gradient, which leaves each process with its own part of it.)

    Args:
        off_diagonal_weight: `w`, not negative. Defaults to 0.0051, the paper's.
        reduction: As in `keras.losses.Loss`; of a single value there is nothing to
            reduce.
        name: Name of the loss.

    Call arguments:
        targets: Embeddings of the first view, `(batch, dim)`. They receive gradients.
        predictions: Embeddings of the second view, `(batch, dim)`.

    Raises:
        ValueError: If `off_diagonal_weight` is negative, or the embeddings are not two
            matrices of one shape.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.losses import BarlowTwinsLoss
        >>> z = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
        >>> round(float(BarlowTwinsLoss()(z, z)), 6)  # equal and uncorrelated
        0.0

    Reference:
        [Barlow Twins: Self-Supervised Learning via Redundancy Reduction](
        https://arxiv.org/abs/2103.03230) (Zbontar et al., 2021), equations 1 and 2.
        solo-learn multiplies the value by 0.1 for small images.
    """

    def __init__(
        self,
        off_diagonal_weight=0.0051,
        reduction="sum_over_batch_size",
        name="barlow_twins_loss",
    ):
        super().__init__(reduction=reduction, name=name)
        if not off_diagonal_weight >= 0:
            raise ValueError(
                "`off_diagonal_weight` must be >= 0. "
                f"Received: off_diagonal_weight={off_diagonal_weight!r}"
            )
        self.off_diagonal_weight = float(off_diagonal_weight)

    def call(self, targets, predictions):
        """Return the loss of the global batch, a scalar."""
        z_1, z_2 = check_two_views(targets, predictions)
        both = ops.concatenate([z_1, z_2], axis=1)  # (n, 2D): one collective, not two
        both = distribute.all_gather(ops.cast(both, "float32"))  # (N, 2D)
        z_1, z_2 = ops.split(_standardised(both), 2, axis=1)
        batch = ops.cast(ops.shape(both)[0], "float32")
        c = ops.matmul(ops.transpose(z_1), z_2) / batch  # (D, D)
        diagonal = ops.diagonal(c)
        on_diagonal = ops.sum(ops.square(diagonal - 1))
        off_diagonal = ops.sum(ops.square(c)) - ops.sum(ops.square(diagonal))
        return on_diagonal + self.off_diagonal_weight * off_diagonal

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "off_diagonal_weight": self.off_diagonal_weight,
        }


def _standardised(z):
    """Zero mean and unit variance of every column."""
    z = z - ops.mean(z, axis=0)
    return z / ops.sqrt(ops.mean(ops.square(z), axis=0) + _EPSILON)

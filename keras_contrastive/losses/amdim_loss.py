"""The loss of AMDIM: a summary of one view finds the places of the other."""

import keras
from keras import ops

from keras_contrastive.checks import check_not_negative
from keras_contrastive.losses.contrastive_loss import (
    MASKED,
    ContrastiveLoss,
    check_temperature,
)
from keras_contrastive.losses.dim_loss import scores


@keras.saving.register_keras_serializable(package="keras_contrastive")
class AMDIMLoss(ContrastiveLoss):
    """InfoNCE between the global features of one view and the places of another.

    With `g` the global features of one view, `l` the local ones of the other, `D` their
    width, `s_ijk = g_i . l_jk / sqrt(D)` over the global batch, and the soft clip
    `t(s) = clip * tanh(s / clip)`,

        l_i = -mean_k log( exp(t(s_iik)) / (exp(t(s_iik)) + sum_{j != i, k'}
              exp(t(s_ijk'))) ) + regularization * mean_{j, k} s_ijk^2

    (section 3.4 and appendix of the paper). The penalty is of scores before the clip.
    AMDIM takes it in both directions of the views, and for three pairs of scales.

    Args:
        clip: Largest score, positive: the paper's 20 (default), in the authors' code 10
            for the classifier.
        regularization: Weight of the squared scores, >= 0. Defaults to 0.05.
        reduction: As in `keras.losses.Loss`; the mean over the batch by default.
        name: Name of the loss.

    Call arguments:
        targets: Local features `l`, `(batch, places, dim)`.
        predictions: Global features `g`, `(batch, dim)`. Both get gradients.

    Raises:
        ValueError: If an argument is out of range, the shapes do not fit, or the batch
            has one image.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.losses import AMDIMLoss
        >>> g = 3 * np.eye(4, dtype="float32")
        >>> own = np.repeat(g[:, None], 2, axis=1)  # places that are like their image
        >>> bool(AMDIMLoss()(own, g) < AMDIMLoss()(own[::-1], g))
        True

    Reference:
        [Learning Representations by Maximizing Mutual Information Across Views](
        https://arxiv.org/abs/1906.00910) (Bachman et al., 2019);
        https://github.com/Philip-Bachman/amdim-public.
    """

    def __init__(
        self,
        clip=20.0,
        regularization=0.05,
        reduction="sum_over_batch_size",
        name="amdim_loss",
    ):
        super().__init__(reduction=reduction, name=name)
        self.clip = check_temperature("clip", clip)
        self.regularization = float(
            check_not_negative("regularization", regularization)
        )

    def call(self, targets, predictions):
        """Return the loss of each image, `(batch,)`."""
        width = ops.shape(predictions)[-1]
        own, s, others = scores(predictions, targets, scale=float(width) ** -0.5)
        penalty = self.regularization * ops.mean(ops.square(s), axis=(1, 2))
        negatives = ops.where(others, self._clipped(s), MASKED)
        negatives = ops.logsumexp(negatives, axis=(1, 2))[:, None]
        nce = ops.softplus(negatives - self._clipped(own))
        return ops.mean(nce, axis=1) + penalty

    def _clipped(self, s):
        return self.clip * ops.tanh(s / self.clip)

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "clip": self.clip,
            "regularization": self.regularization,
        }

"""The loss of SwAV, one value per example."""

import keras
from keras import ops

from keras_contrastive.losses.contrastive_loss import (
    ContrastiveLoss,
    check_equal,
    check_shape,
    check_temperature,
)


@keras.saving.register_keras_serializable(package="keras_contrastive")
class SwAVLoss(ContrastiveLoss):
    """Cross-entropy between the code of one view and the scores of another.

    With the code `q` over K prototypes, and the scores `s` of another view, its cosines
    with the prototypes,

        l_i = -sum_k q_ik log softmax_k(s_i / temperature)

    (equation 2 of the paper; SwAV takes the mean over pairs of views). No gradient
    reaches the codes.

    Args:
        temperature: Positive. Defaults to 0.1.
        reduction: As in `keras.losses.Loss`; the mean over the batch by default.
        name: Name of the loss.

    Call arguments:
        targets: Codes `(batch, prototypes)`, rows that sum to 1; see
            `kc.losses.sinkhorn`.
        predictions: Scores `(batch, prototypes)`, as `kc.layers.Prototypes` gives them.

    Raises:
        ValueError: If the temperature is not positive, or the shapes do not fit.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.losses import SwAVLoss, sinkhorn
        >>> scores = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
        >>> loss = SwAVLoss()(sinkhorn(scores), scores)

    Reference:
        [Unsupervised Learning of Visual Features by Contrasting Cluster Assignments](
        https://arxiv.org/abs/2006.09882) (Caron et al., 2020), equation 2.
    """

    def __init__(
        self, temperature=0.1, reduction="sum_over_batch_size", name="swav_loss"
    ):
        super().__init__(reduction=reduction, name=name)
        self.temperature = check_temperature("temperature", temperature)

    def call(self, targets, predictions):
        """Return the cross-entropy of each example, `(batch,)`."""
        remedy = "Pass the codes of one view, and the prototypes' scores of another."
        codes = check_shape("codes", targets, ("batch", "prototypes"), remedy)
        scores = check_shape("scores", predictions, ("batch", "prototypes"), remedy)
        check_equal("shape", remedy, codes=codes.shape, scores=scores.shape)
        q = ops.stop_gradient(ops.cast(codes, "float32"))
        logits = ops.cast(scores, "float32") / self.temperature
        return -ops.sum(q * ops.log_softmax(logits, axis=-1), axis=-1)

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "temperature": self.temperature}

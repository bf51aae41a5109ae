"""Noise-contrastive estimation over a memory bank."""

import keras
from keras import ops

from keras_contrastive import distribute
from keras_contrastive.checks import check_count
from keras_contrastive.losses.contrastive_loss import (
    ContrastiveLoss,
    check_shape,
)

# In the logarithms of the authors' code, for probabilities that vanish.
_EPSILON = 1e-7


def estimate_z(scores, num_examples: int):
    """Return n times the mean of exp(s) over the global batch, what Z is set to.

    Args:
        scores: Similarities divided by the temperature, `(batch, 1 + K)`.
        num_examples: n, the number of examples in the data set.
    """
    mean = ops.mean(ops.exp(ops.cast(scores, "float32")))
    return num_examples * distribute.all_reduce_mean(mean)


@keras.saving.register_keras_serializable(package="keras_contrastive")
class NCELoss(ContrastiveLoss):
    """Tell an example's own entry of a memory bank from entries drawn as noise.

    With `n` examples, `K` entries drawn uniformly and the model's probability
    `P_ij = exp(s_ij) / Z` of an entry, where the entry 0 is the own one:

        c   = K / n
        l_i = -log( P_i0 / (P_i0 + c + e) ) - sum_{j=1..K} log( c / (P_ij + c + e) )

    with `e = 1e-7` of the authors' code. The value is a sum over the `K` negatives, as
    in the paper, so it grows with `K`. `Z` is a constant: the authors take `n` times
    the mean of `exp(s)` over the first batch, and keep it.

    Args:
        num_examples: `n`, the number of examples in the data set, a positive int.
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.

    Call arguments:
        targets: `Z`, a positive scalar. No gradient reaches it.
        predictions: Scores `s`, `(batch, 1 + K)`: similarities divided by the
            temperature, the positive first.

    Raises:
        ValueError: If `num_examples` is not a positive int, or the scores are not a
            matrix with at least one negative.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.losses import NCELoss
        >>> scores = np.zeros((1, 3))  # exp(0) / Z = 1 / n, of 2 negatives each half
        >>> round(float(NCELoss(num_examples=4)(4.0, scores)), 4)
        1.9095

    Reference:
        [Unsupervised Feature Learning via Non-Parametric Instance Discrimination](
        https://arxiv.org/abs/1805.01978) (Wu et al., 2018), equations 4 to 7;
        https://github.com/HobbitLong/CMC.
    """

    def __init__(self, num_examples, reduction="sum_over_batch_size", name="nce_loss"):
        super().__init__(reduction=reduction, name=name)
        self.num_examples = check_count("num_examples", num_examples)

    def call(self, targets, predictions):
        """Return the sum over positive and negatives of each example, `(batch,)`."""
        remedy = "Pass the own similarity first, then at least one negative."
        scores = check_shape("scores", predictions, ("batch", "1 + K"), remedy)
        if scores.shape[1] is not None and scores.shape[1] < 2:
            raise ValueError(
                "`scores` must have a positive and at least one negative. "
                f"Received: scores.shape={tuple(scores.shape)}. {remedy}"
            )
        constant = check_shape("Z", targets, (), "Pass the constant alone.")
        log_z = ops.log(ops.stop_gradient(ops.cast(constant, "float32")))
        log_p = ops.cast(scores, "float32") - log_z
        noise = ops.cast(ops.shape(scores)[1] - 1, "float32") / self.num_examples
        log_noise = ops.log(noise + _EPSILON)
        # log(p / (p + c)) = -softplus(log c - log p): p itself may not fit float32.
        positive = ops.softplus(log_noise - log_p[:, 0])
        negatives = ops.softplus(log_p[:, 1:] - log_noise) + log_noise - ops.log(noise)
        return positive + ops.sum(negatives, axis=1)

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "num_examples": self.num_examples}

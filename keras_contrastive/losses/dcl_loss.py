"""DCL, the loss of decoupled contrastive learning."""

import keras
from keras import ops

from keras_contrastive import distribute
from keras_contrastive.losses.contrastive_loss import (
    MASKED,
    ContrastiveLoss,
    check_block_size,
    check_temperature,
)
from keras_contrastive.losses.nt_xent_loss import compare_views, of_other_groups


@keras.saving.register_keras_serializable(package="keras_contrastive")
class DCLLoss(ContrastiveLoss):
    """NT-Xent without the positive in its denominator, for small batches.

    In NT-Xent an easy positive takes the gradient from its negatives too; decoupled, it
    does not. With `s(a, b)` the cosine similarity and `p(i)` the other view of `i`, for
    each of the `2N` embeddings of a batch:

        l_i = -w_i s(i, p(i)) / t + log sum_{a of other images} exp(s(i, a) / t)

    over the `2N - 2` embeddings of other images. `w_i` is 1 or, with `weighted` (DCLW),
    smaller the closer a positive is already. The mean of the weights is 1, they are the
    same for both views, and may be negative:

        w_i = 2 - exp(s(i, p(i)) / sigma) / mean_j exp(s(j, p(j)) / sigma)

    The value of an example is half the sum over its two views. It may be negative, and
    is `log(2N - 2)` for embeddings that are all equal. A batch of one has no negatives,
    and its value is `-s / t`.

    Under `tf.distribute` negatives and weights are those of the global batch.

    The authors' code (raminnakhli/Decoupled-Contrastive-Learning) adds the means of the
    two directions: its loss and gradients are exactly twice these. As there, gradients
    pass through the weights; in lightly they do not.

    Args:
        temperature: `t`, positive. Defaults to 0.1, as in the authors' code.
        weighted: Whether positives are weighted. Defaults to `False`.
        sigma: Temperature of the weights, positive. Defaults to 0.5.
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        block_size: Embeddings that are compared at a time; 0 for all at once. By
            default, with more than 16 million pairs, as many as make 4 million: memory
            then grows with the batch, not with its square.

    Call arguments:
        targets: Embeddings of the first view, `(batch, dim)`, any float dtype, any
            length: they are L2-normalised here, in float32. They receive gradients.
        predictions: Embeddings of the second view, `(batch, dim)`. Row `i` shows the
            same image as row `i` of the first.

    Raises:
        ValueError: If `temperature` or `sigma` is not a positive number, or if the
            embeddings are not two matrices of one shape.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.losses import DCLLoss
        >>> z_1, z_2 = np.eye(4), np.eye(4)
        >>> round(float(DCLLoss(temperature=0.5)(z_1, z_2)), 4)  # log(6) - 2
        -0.2082

    Reference:
        [Decoupled Contrastive Learning](https://arxiv.org/abs/2110.06848)
        (Yeh et al., 2021).
    """

    def __init__(
        self,
        temperature=0.1,
        weighted=False,
        sigma=0.5,
        reduction="sum_over_batch_size",
        name="dcl_loss",
        block_size=None,
    ):
        super().__init__(reduction=reduction, name=name)
        self.temperature = check_temperature("temperature", temperature)
        self.weighted = bool(weighted)
        self.sigma = check_temperature("sigma", sigma)
        self.block_size = check_block_size(block_size)

    def call(self, targets, predictions):
        """Return half the sum of both directions for each example, `(batch,)`."""
        positive, negatives = compare_views(
            targets, predictions, self.temperature, self.block_size, of_other_groups
        )
        negatives = ops.where(negatives > MASKED / 2, negatives, 0.0)  # none at all
        loss_1, loss_2 = ops.split(negatives, 2)
        if self.weighted:
            positive = positive * self._weights(positive * self.temperature)
        return (loss_1 + loss_2) / 2 - positive

    def _weights(self, cosines):
        """Return w for the cosines of the positives, `(batch,)`."""
        scores = cosines / self.sigma
        everyone = distribute.all_gather(scores)
        batch = ops.cast(ops.shape(everyone)[0], "float32")
        return 2 - batch * ops.exp(scores - ops.logsumexp(everyone))

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "weighted": self.weighted,
            "sigma": self.sigma,
            "block_size": self.block_size,
        }

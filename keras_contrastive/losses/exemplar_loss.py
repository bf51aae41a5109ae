"""The loss of exemplar-based contrastive learning with labels."""

import keras
from keras import ops

from keras_contrastive.losses.contrastive_loss import (
    ContrastiveLoss,
    check_block_size,
    check_shape,
    check_temperature,
)
from keras_contrastive.losses.nt_xent_loss import compare_views, find_own_image
from keras_contrastive.losses.supcon_loss import check_labels


@keras.saving.register_keras_serializable(package="keras_contrastive")
class ExemplarLoss(ContrastiveLoss):
    """Cross-entropy of an image's two views among the images of other classes.

    An embedding has to find the other view of its own image; images of its class are
    neither positives, as in SupCon, nor negatives, as in SimCLR. With `s(a, b)` the
    cosine similarity and `p(i)` the other view of `i`, for each of the `2N` embeddings

        l_i = -log( exp(s(i, p(i)) / t)
                    / (exp(s(i, p(i)) / t) + sum_{a: y_a != y_i} exp(s(i, a) / t)) )

    The value of an example is the mean over its two views; it is 0 if the whole batch
    is of one class. If no two labels are equal, this is NT-Xent.

    Under `tf.distribute` the negatives are those of the global batch.

    The authors compare with the keys of MoCo's queue; here it is the batch.

    Args:
        temperature: `t`, positive. Defaults to 0.1, as in `NTXentLoss`.
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        block_size: As in `NTXentLoss`.

    Call arguments:
        targets: Integer labels `(batch,)`, of any integer type, compared exactly. Any
            integer is a class: -1 has no special meaning.
        predictions: Embeddings `(batch, 2, dim)`, any float dtype, any length: they
            are L2-normalised here, in float32.

    Raises:
        ValueError: If the temperature is not positive, the labels are no integers or
            not one per example, or the embeddings have not this shape.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.losses import ExemplarLoss
        >>> z = np.eye(4)[:, None].repeat(2, axis=1)  # four images, equal views
        >>> loss = ExemplarLoss(temperature=0.5)
        >>> round(float(loss(np.array([0, 0, 1, 1]), z)), 4)  # log(1 + 4 exp(-2))
        0.4327

    Reference:
        [What Makes Instance Discrimination Good for Transfer Learning?](
        https://arxiv.org/abs/2006.06606) (Zhao et al., 2020), section 6.
    """

    def __init__(
        self,
        temperature=0.1,
        reduction="sum_over_batch_size",
        name="exemplar_loss",
        block_size=None,
    ):
        super().__init__(reduction=reduction, name=name)
        self.temperature = check_temperature("temperature", temperature)
        self.block_size = check_block_size(block_size)

    def call(self, targets, predictions):
        """Return the mean of both directions for each example, `(batch,)`."""
        remedy = "Stack the embeddings of two views along axis 1."
        z = check_shape("z", predictions, ("batch", "views", "dim"), remedy)
        if z.shape[1] != 2:
            raise ValueError(
                "`z` must have shape (batch, 2, dim). Received: "
                f"z.shape={tuple(z.shape)}. {remedy}"
            )
        labels = check_labels(targets, z)
        _, values = compare_views(
            *(z[:, 0], z[:, 1], self.temperature, self.block_size),
            find_own_image,
            groups=labels,
        )
        return ops.mean(ops.reshape(values, (2, -1)), axis=0)

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "block_size": self.block_size,
        }

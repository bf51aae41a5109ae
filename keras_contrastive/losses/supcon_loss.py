"""The supervised contrastive loss."""

import keras
import numpy as np
from keras import ops

from keras_contrastive import distribute
from keras_contrastive.losses.contrastive_loss import (
    MASKED,
    ContrastiveLoss,
    check_block_size,
    check_equal,
    check_shape,
    check_temperature,
    unit_vectors,
)
from keras_contrastive.losses.in_blocks import in_blocks


@keras.saving.register_keras_serializable(package="keras_contrastive")
class SupConLoss(ContrastiveLoss):
    """Supervised contrastive loss, `L_out` of the paper.

    Every embedding pulls all other embeddings of its class. With `A(i)` all other
    embeddings of the batch, `P(i)` those among them with the label of `i`, and `s` the
    cosine similarity (equation 2 of the paper):

        l_i = -1/|P(i)| sum_{p in P(i)} log( exp(s(i, p) / t)
                                             / sum_{a in A(i)} exp(s(i, a) / t) )

    The value of an example is the mean over its views. An embedding without any
    positive (its class once in the batch, and one view) contributes 0 and still counts.
    Without labels every example is a class of its own: with two views that is NT-Xent.

    Under `tf.distribute` positives and negatives are those of the global batch.

    The authors' code (HobbitLong/SupContrast) multiplies by
    `temperature / base_temperature` with a base temperature of 0.07, which makes its
    loss 1.43 times the paper's at 0.1; and it leaves the normalisation to the model.
    Google's code multiplies by the temperature: `base_temperature=1.0`.

    Args:
        temperature: `t`, positive. Defaults to 0.1, the paper's.
        base_temperature: If given, the loss is multiplied by
            `temperature / base_temperature`. Defaults to `None`: the equation as it is.
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        block_size: Embeddings that are compared at a time; 0 for all at once. By
            default, with more than 16 million pairs, as many as make 4 million: memory
            then grows with the batch, not with its square.

    Call arguments:
        targets: Integer labels `(batch,)`, of any integer type, compared exactly; or
            `None`. Any integer is a class: -1 has no special meaning.
        predictions: Embeddings `(batch, views, dim)`, any float dtype, any length: they
            are L2-normalised here, in float32.

    Raises:
        ValueError: If a temperature is not positive, the labels are no integers or not
            one per example, or the embeddings have not three axes.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.losses import SupConLoss
        >>> z = np.random.default_rng(0).normal(size=(4, 2, 16))
        >>> loss = SupConLoss(temperature=0.1)
        >>> round(float(loss(np.array([0, 0, 1, 1]), z)), 3)
        4.991

    Reference:
        [Supervised Contrastive Learning](https://arxiv.org/abs/2004.11362)
        (Khosla et al., 2020), equation 2.
    """

    def __init__(
        self,
        temperature=0.1,
        base_temperature=None,
        reduction="sum_over_batch_size",
        name="supcon_loss",
        block_size=None,
    ):
        super().__init__(reduction=reduction, name=name)
        self.temperature = check_temperature("temperature", temperature)
        if base_temperature is not None:
            base_temperature = check_temperature("base_temperature", base_temperature)
        self.base_temperature = base_temperature
        self.block_size = check_block_size(block_size)

    def call(self, targets, predictions):
        """Return the mean over the views of each example, `(batch,)`."""
        z = check_shape(
            "z",
            predictions,
            ("batch", "views", "dim"),
            "Stack the embeddings of the views along axis 1.",
        )
        labels = None if targets is None else check_labels(targets, z)

        z = unit_vectors(z)  # (n, V, D) here
        everyone = distribute.all_gather(z)  # (N, V, D) on all replicas
        local_batch, views, dim = ops.shape(z)
        batch = ops.shape(everyone)[0]
        example = distribute.local_rows(local_batch)
        if labels is None:  # every example is its own class
            labels, all_labels = example, ops.arange(batch)
        else:
            all_labels = distribute.all_gather(labels)

        # View-major rows: all examples of view 0, then all of view 1, ...
        anchors = ops.reshape(ops.swapaxes(z, 0, 1), (-1, dim)) / self.temperature
        candidates = ops.reshape(ops.swapaxes(everyone, 0, 1), (-1, dim))
        row = ops.reshape(ops.arange(views)[:, None] * batch + example[None, :], (-1,))
        values = in_blocks(
            _attract_class,
            rows=(anchors, row, ops.tile(labels, [views])),
            columns=(candidates, ops.tile(all_labels, [views])),
            block_size=self.block_size,
        )
        values = ops.mean(ops.reshape(values, (views, -1)), axis=0)  # (n,)
        if self.base_temperature is not None:
            values = values * (self.temperature / self.base_temperature)
        return values

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "base_temperature": self.base_temperature,
            "block_size": self.block_size,
        }


def _attract_class(anchors, row, labels, candidates, all_labels):
    """Equation 2 for anchors that are these rows of the candidates, `(V n,)`."""
    logits = ops.matmul(anchors, ops.transpose(candidates))  # (V n, V N)
    itself = row[:, None] == ops.arange(ops.shape(candidates)[0])[None, :]
    same_label = labels[:, None] == all_labels[None, :]
    positive = ops.logical_and(same_label, ops.logical_not(itself))  # P(i)

    positives = ops.sum(ops.cast(positive, "float32"), axis=1)  # |P(i)|
    mean_positive = ops.sum(ops.where(positive, logits, 0.0), axis=1) / ops.maximum(
        positives, 1.0
    )
    # As one log-sum-exp over A(i) of what exceeds the mean positive: a loss near 0
    # keeps its digits. The anchor itself is masked before the maximum is taken: its
    # similarity of 1/t would let all others underflow at low temperatures, as it does
    # in the authors' code.
    excess = ops.where(itself, MASKED, logits - mean_positive[:, None])
    return ops.where(positives > 0, ops.logsumexp(excess, axis=1), 0.0)


def check_labels(labels, z):
    """Return integer labels `(batch,)` as a tensor of their own integer type."""
    if not ops.is_tensor(labels):
        labels = np.asarray(labels)  # keeps 64 bits, where Keras makes int32 of lists
    labels = ops.convert_to_tensor(labels)
    dtype = keras.backend.standardize_dtype(labels.dtype)
    if "int" not in dtype:
        raise ValueError(
            "`labels` must be integers, because float32 rounds ids above 2**24. "
            f"Received: labels.dtype={dtype}. Cast them where they are made, in the "
            "dataset; if they are the embeddings, swap the arguments: loss(labels, z)."
        )
    remedy = "Pass one class number per example, not one-hot rows."
    check_shape("labels", labels, ("batch",), remedy)
    check_equal("batch size", remedy, labels=labels.shape, z=z.shape[:1])
    return labels

"""InfoNCE, the loss of MoCo, and one direction of CPC and CLIP."""

import keras
from keras import ops

from keras_contrastive import distribute
from keras_contrastive.losses.contrastive_loss import (
    ContrastiveLoss,
    check_block_size,
    check_keys_and_queue,
    check_temperature,
    unit_vectors,
)
from keras_contrastive.losses.in_blocks import in_blocks


@keras.saving.register_keras_serializable(package="keras_contrastive")
class InfoNCELoss(ContrastiveLoss):
    """Find the own key among many: a softmax over cosine similarities.

    With unit vectors and `j` over the candidates (equation 1 of MoCo):

        l_i = -log( exp(q_i k_i / t) / sum_j exp(q_i k_j / t) )

    The candidates are the own key and the queue's entries, or, without a queue, the
    keys of the global batch. The value is `log` of the number of candidates when all
    embeddings are equal, and 0 for a batch of one without a queue. MoCo v3 multiplies
    it by `2 t`; that factor belongs to the method.

    Gradients reach queries, keys and queue: a method that wants none through the keys
    stops them itself, as MoCo does and NNCLR does not.

    Args:
        temperature: `t`, positive. 0.07 in MoCo v1, 0.2 (default) in v2.
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        block_size: Embeddings that are compared at a time; 0 for all at once. By
            default, with more than 16 million pairs, as many as make 4 million: memory
            then grows with the batch, not with its square.

    Call arguments:
        targets: Tuple `(keys, queue)`: the keys of the examples, `(batch, dim)`, and
            other keys, `(size, dim)`, or `None` to compare with the keys of the batch.
        predictions: Queries, `(batch, dim)`. All three are L2-normalised here, in
            float32.

    Raises:
        ValueError: If `temperature` is not a positive number, or the shapes do not
            fit.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.losses import InfoNCELoss
        >>> keys = queries = np.eye(4)
        >>> round(float(InfoNCELoss(0.5)((keys, None), queries)), 4)
        0.3408

    Reference:
        [Momentum Contrast for Unsupervised Visual Representation Learning](
        https://arxiv.org/abs/1911.05722) (He et al., 2020), equation 1, which is that
        of [CPC](https://arxiv.org/abs/1807.03748) (van den Oord et al., 2018).
    """

    def __init__(
        self,
        temperature=0.2,
        reduction="sum_over_batch_size",
        name="info_nce_loss",
        block_size=None,
    ):
        super().__init__(reduction=reduction, name=name)
        self.temperature = check_temperature("temperature", temperature)
        self.block_size = check_block_size(block_size)

    def call(self, targets, predictions):
        """Return the cross-entropy of each example, `(batch,)`."""
        keys, queue, queries = check_keys_and_queue(targets, predictions)
        keys, queries = unit_vectors(keys), unit_vectors(queries)
        scaled = queries / self.temperature
        if queue is None:
            own = distribute.local_rows(ops.shape(keys)[0])
            rows, candidates = (scaled, own), distribute.all_gather(keys)  # (N, dim)
            compare = _with_batch
        else:
            rows, candidates = (scaled, keys), unit_vectors(queue)
            compare = _with_queue
        return in_blocks(compare, rows, (candidates,), self.block_size)

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "block_size": self.block_size,
        }


def _with_batch(scaled, own, everyone):
    """Cross-entropy of the own row among the keys of the global batch."""
    logits = ops.matmul(scaled, ops.transpose(everyone))  # (n, N)
    return ops.sparse_categorical_crossentropy(own, logits, from_logits=True)


def _with_queue(scaled, keys, queue):
    """Cross-entropy of the own key before the queue's."""
    positive = ops.sum(scaled * keys, axis=1, keepdims=True)
    negatives = ops.matmul(scaled, ops.transpose(queue))
    logits = ops.concatenate([positive, negatives], axis=1)  # (n, 1 + size)
    own = ops.zeros(ops.shape(keys)[0], dtype="int32")
    return ops.sparse_categorical_crossentropy(own, logits, from_logits=True)

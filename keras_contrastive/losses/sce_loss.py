"""The loss of SCE, similarity contrastive estimation."""

import keras
from keras import ops

from keras_contrastive import distribute
from keras_contrastive.losses.contrastive_loss import (
    MASKED,
    ContrastiveLoss,
    check_block_size,
    check_keys_and_queue,
    check_temperature,
    unit_vectors,
)
from keras_contrastive.losses.in_blocks import in_blocks


@keras.saving.register_keras_serializable(package="keras_contrastive")
class SCELoss(ContrastiveLoss):
    """Cross-entropy between how the target and the online branch see other images.

    The target branch says how similar its key `k_i` is to the other keys, sharpened by
    a low temperature; mixed with the one-hot positive this is what the online query
    `q_i` has to predict. With cosine similarities and `j` over the columns:

        s_ij = exp(k_i k_j / t_m) / sum_{l != i} exp(k_i k_l / t_m),   s_ii = 0
        w_ij = c 1[i = j] + (1 - c) s_ij
        l_i  = -sum_j w_ij log softmax_j(q_i k_j / t)

    Columns are the keys of the (global) batch, or, with a queue, the own key followed
    by the queue's entries. The positive is in the online softmax in either case. With
    `c = 1` this is InfoNCE, MoCo's loss. No gradient reaches keys or queue.

    The authors' code (CEA-LIST/SCE), which always has a queue, does not mask the own
    key in `s` but gives it the similarity 0, so that it keeps some weight: choose
    `self_logit="zero"` to have that. With 65,536 entries the two hardly differ, with a
    small queue they do.

    Args:
        temperature: `t` of the online branch, positive. Defaults to 0.1.
        target_temperature: `t_m` of the target branch, positive, lower than
            `temperature` in the paper: 0.05 (default) for small images, 0.07 for
            ImageNet.
        coefficient: `c`, in [0, 1], the weight of the positive. Defaults to 0.5.
        self_logit: What the own key's column is in `s` when there is a queue:
            `"masked"` (default, the paper's) or `"zero"` (the authors' code). Batch
            keys are always masked.
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        block_size: Embeddings that are compared at a time; 0 for all at once. By
            default, with more than 16 million pairs, as many as make 4 million: memory
            then grows with the batch, not with its square.

    Call arguments:
        targets: Tuple `(keys, queue)`: outputs of the target's projector for one view,
            `(batch, dim)`, and stored keys, `(size, dim)`, or `None` to compare with
            the keys of the batch.
        predictions: Online outputs for the other view, `(batch, dim)`. All three are
            L2-normalised here, in float32.

    Raises:
        ValueError: If a temperature is not positive, `coefficient` is outside [0, 1],
            `self_logit` is unknown, or the shapes do not fit.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.losses import SCELoss
        >>> rng = np.random.default_rng(0)
        >>> keys, queries = rng.normal(size=(2, 4, 16))
        >>> queue = rng.normal(size=(32, 16))
        >>> loss = SCELoss(temperature=0.1, target_temperature=0.05, coefficient=0.5)
        >>> with_queue = loss((keys, queue), queries)
        >>> with_batch_keys = loss((keys, None), queries)

    Reference:
        [Similarity Contrastive Estimation for Self-Supervised Soft Contrastive
        Learning](https://arxiv.org/abs/2111.14585) (Denize et al., 2023), section 3.
    """

    def __init__(
        self,
        temperature=0.1,
        target_temperature=0.05,
        coefficient=0.5,
        self_logit="masked",
        reduction="sum_over_batch_size",
        name="sce_loss",
        block_size=None,
    ):
        super().__init__(reduction=reduction, name=name)
        self.temperature = check_temperature("temperature", temperature)
        self.target_temperature = check_temperature(
            "target_temperature", target_temperature
        )
        if not 0 <= coefficient <= 1:
            raise ValueError(
                "`coefficient` is the weight of the positive and must be in [0, 1]. "
                f"Received: coefficient={coefficient!r}"
            )
        self.coefficient = float(coefficient)
        if self_logit not in ("masked", "zero"):
            raise ValueError(
                '`self_logit` must be "masked" (the paper) or "zero" (the authors\' '
                f"code). Received: self_logit={self_logit!r}"
            )
        self.self_logit = self_logit
        self.block_size = check_block_size(block_size)

    def call(self, targets, predictions):
        """Return the cross-entropy for each example, `(batch,)`."""
        keys, queue, queries = check_keys_and_queue(targets, predictions)
        queries = unit_vectors(queries)
        keys = ops.stop_gradient(unit_vectors(keys))
        if queue is None:
            example = distribute.local_rows(ops.shape(keys)[0])
            rows, others = (queries, keys, example), distribute.all_gather(keys)
            compare = self._with_batch
        else:
            rows, others = (queries, keys), unit_vectors(queue)
            compare = self._with_queue
        return in_blocks(compare, rows, (others,), self.block_size)

    def _with_batch(self, queries, keys, example, everyone):
        """Cross-entropy over the keys of all replicas."""
        own = example[:, None] == ops.arange(ops.shape(everyone)[0])[None, :]
        columns = ops.transpose(ops.stop_gradient(everyone))
        similarity = ops.matmul(keys / self.target_temperature, columns)
        relations = ops.softmax(ops.where(own, MASKED, similarity))  # s
        return ops.categorical_crossentropy(
            self._mix(ops.cast(own, "float32"), relations),
            ops.matmul(queries / self.temperature, columns),
            from_logits=True,
        )

    def _with_queue(self, queries, keys, queue):
        """Cross-entropy over the own key, then the queue."""
        keys, columns = ops.stop_gradient(keys), ops.transpose(ops.stop_gradient(queue))
        positive = ops.sum(queries * keys, axis=1, keepdims=True) / self.temperature
        negatives = ops.matmul(queries / self.temperature, columns)

        own = MASKED if self.self_logit == "masked" else 0.0
        own = ops.full_like(positive, own)
        similarity = ops.matmul(keys / self.target_temperature, columns)
        relations = ops.softmax(ops.concatenate([own, similarity], axis=1))  # s
        one_hot = ops.concatenate(
            [ops.ones_like(positive), ops.zeros_like(similarity)], axis=1
        )
        return ops.categorical_crossentropy(
            self._mix(one_hot, relations),
            ops.concatenate([positive, negatives], axis=1),
            from_logits=True,
        )

    def _mix(self, one_hot, relations):
        """Target weights `w`, without a gradient."""
        relations = ops.stop_gradient(relations)
        return self.coefficient * one_hot + (1 - self.coefficient) * relations

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "target_temperature": self.target_temperature,
            "coefficient": self.coefficient,
            "self_logit": self.self_logit,
            "block_size": self.block_size,
        }

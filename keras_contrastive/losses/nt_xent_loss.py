"""NT-Xent, the loss of SimCLR."""

import keras
from keras import ops

from keras_contrastive import distribute
from keras_contrastive.losses.contrastive_loss import (
    MASKED,
    ContrastiveLoss,
    check_block_size,
    check_temperature,
    check_two_views,
    unit_vectors,
)
from keras_contrastive.losses.in_blocks import in_blocks


@keras.saving.register_keras_serializable(package="keras_contrastive")
class NTXentLoss(ContrastiveLoss):
    """Normalised temperature-scaled cross-entropy of SimCLR.

    Every embedding has to find the other view of its own image among all `2N - 1`
    other embeddings of the batch. With `s(a, b)` the cosine similarity and `p(i)` the
    other view of `i`, for each of the `2N` embeddings (equation 1 of the paper):

        l_i = -log( exp(s(i, p(i)) / t) / sum_{a != i} exp(s(i, a) / t) )

    The value of an example is half the sum over its two views, so the mean over the
    batch is the paper's mean over `2N`. It is `log(2N - 1)` for embeddings that are all
    equal, and 0 for a batch of one, which has no negatives.

    Under `tf.distribute` the negatives are those of the global batch.

    The authors' code (google-research/simclr) adds the means of the two directions
    without halving: its loss and gradients are exactly twice these.

    Args:
        temperature: `t`, positive. 0.1 (default) on ImageNet, 0.5 on CIFAR-10 with
            batches of up to 1024.
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
        ValueError: If `temperature` is not a positive number, or if the embeddings
            are not two matrices of one shape.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.losses import NTXentLoss
        >>> z_1, z_2 = np.eye(4), np.eye(4)
        >>> round(float(NTXentLoss(temperature=0.5)(z_1, z_2)), 4)  # log(1 + 6 exp(-2))
        0.5944

    Reference:
        [A Simple Framework for Contrastive Learning of Visual Representations](
        https://arxiv.org/abs/2002.05709) (Chen et al., 2020), equation 1, algorithm 1.
    """

    def __init__(
        self,
        temperature=0.1,
        reduction="sum_over_batch_size",
        name="nt_xent_loss",
        block_size=None,
    ):
        super().__init__(reduction=reduction, name=name)
        self.temperature = check_temperature("temperature", temperature)
        self.block_size = check_block_size(block_size)

    def call(self, targets, predictions):
        """Return half the sum of both directions for each example, `(batch,)`."""
        _, values = compare_views(
            targets, predictions, self.temperature, self.block_size, find_own_image
        )
        loss_1, loss_2 = ops.split(values, 2)
        return (loss_1 + loss_2) / 2

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "block_size": self.block_size,
        }


def compare_views(targets, predictions, temperature, block_size, compare, groups=None):
    """Compare every embedding with all others of the global batch of `N` images.

    Args:
        targets: Embeddings of the first view, `(batch, dim)`.
        predictions: Embeddings of the second view, `(batch, dim)`.
        temperature: What cosines are divided by.
        block_size: As in `in_blocks`.
        compare: `of_other_groups`, or a function of its arguments.
        groups: Integers `(batch,)`: images of one group are not compared. By default
            every image is a group of its own.

    Returns:
        Two float32 tensors: `s(z_1i, z_2i) / t` of shape `(batch,)`; and, with the
        first view's anchors before the second's, what `compare` gives, `(2 batch,)`.

    Raises:
        ValueError: If the two are not matrices of one shape.
    """
    z_1, z_2 = check_two_views(targets, predictions)
    z_1, z_2 = unit_vectors(z_1), unit_vectors(z_2)  # n rows here, N on all replicas

    both = ops.concatenate([z_1, z_2], axis=1)  # (n, 2D): one collective, not two
    everyone = distribute.all_gather(both)  # (N, 2D)
    candidates = ops.concatenate(ops.split(everyone, 2, axis=1))  # (2N, D)
    anchors = ops.concatenate([z_1, z_2]) / temperature  # (2n, D)
    positive = ops.sum(z_1 * z_2, axis=1) / temperature
    if groups is None:
        groups = distribute.local_rows(ops.shape(z_1)[0])
        all_groups = ops.arange(ops.shape(everyone)[0])
    else:
        all_groups = distribute.all_gather(groups)
    values = in_blocks(
        compare,
        rows=(anchors, ops.tile(positive, [2]), ops.tile(groups, [2])),
        columns=(candidates, ops.tile(all_groups, [2])),
        block_size=block_size,
    )
    return positive, values


def find_own_image(anchors, positive, *others):
    """Return equation 1 for each anchor, `(2n,)`.

    As log(1 + exp(negatives - positive)): the positive is in the denominator, and a
    loss near 0 keeps its digits.
    """
    return ops.softplus(of_other_groups(anchors, positive, *others) - positive)


def of_other_groups(anchors, positive, group, candidates, candidate_group):
    """Return the log-sum-exp over other groups, `(2n,)`; below -1e29 without any."""
    logits = ops.matmul(anchors, ops.transpose(candidates))  # (2n, 2N)
    own = group[:, None] == candidate_group[None, :]  # itself, and its positive
    return ops.logsumexp(ops.where(own, MASKED, logits), axis=1)

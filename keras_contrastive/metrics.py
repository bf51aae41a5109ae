"""Numbers that tell during training whether a representation is being learned."""

from keras import ops

from keras_contrastive import distribute
from keras_contrastive.unit_vectors import l2_normalize


def contrastive_accuracy(anchors, positives):
    """Share of anchors whose own positive is the most similar one of the batch.

    Args:
        anchors: Tensor `(batch, dim)`.
        positives: Tensor `(batch, dim)`; row i belongs to row i of `anchors`. On
            several replicas the candidates are the whole global batch.

    Returns:
        A float32 scalar in [0, 1]; chance is `1 / batch`.
    """
    anchors = l2_normalize(anchors)
    candidates = distribute.all_gather(l2_normalize(positives))  # (global, dim)
    batch = ops.shape(anchors)[0]
    own = ops.arange(batch) + distribute.local_offset(batch)
    nearest = ops.argmax(ops.matmul(anchors, ops.transpose(candidates)), axis=1)
    hits = ops.equal(ops.cast(nearest, "int32"), ops.cast(own, "int32"))
    return ops.mean(ops.cast(hits, "float32"))


def embedding_std(embeddings):
    """Standard deviation over the batch of each dimension of the unit vectors.

    The mean over the dimensions is about `1 / sqrt(dim)` when the embeddings are
    spread over the sphere, and near 0 when they have collapsed to one point
    (SimSiam, 2021, section 4.1).

    Args:
        embeddings: Tensor `(batch, dim)`.

    Returns:
        A float32 scalar in [0, 1].
    """
    embeddings = distribute.all_gather(l2_normalize(embeddings))
    return ops.mean(ops.std(embeddings, axis=0))

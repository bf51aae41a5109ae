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
    own = distribute.local_rows(ops.shape(anchors)[0])
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


def update_means(trackers, values: dict, examples, applied=True) -> dict:
    """Update running means with values of the global batch.

    Args:
        trackers: `keras.metrics.Mean`s.
        values: A scalar of this replica for each tracker, under its name; the first
            tracker's is the loss.
        examples: Examples of this replica, the weight of its values.
        applied: Whether the step counts. One that loss scaling skips, and whose loss
            has overflowed, is left out.

    Returns:
        The trackers' means, by name.
    """
    means = ops.stack([ops.cast(values[t.name], "float32") for t in trackers])
    means = distribute.all_reduce_mean(means)
    if applied is not True:
        counts = ops.logical_or(applied, ops.isfinite(means[0]))
        means = ops.where(counts, means, 0.0)
        examples = ops.where(counts, examples, 0)
    for i, tracker in enumerate(trackers):
        tracker.update_state(means[i], sample_weight=examples)
    return {tracker.name: tracker.result() for tracker in trackers}

"""Balanced soft assignments, as SwAV and DINOv2 have them."""

from keras import ops

from keras_contrastive import distribute


def sinkhorn(scores, epsilon=0.05, iterations: int = 3, shared=None):
    """Return codes: soft assignments that use every unit about equally; no gradient.

    `exp(scores / epsilon)` is scaled alternately so that every column has the same
    sum over the global batch, and every row the sum 1 (Sinkhorn and Knopp, 1967); the
    rows come last. It is computed in logarithms, which do not overflow.

    Args:
        scores: Float tensor `(batch, units)`; on every replica its part of the batch.
        epsilon: Positive number or scalar tensor: SwAV 0.05, or 0.03 where codes
            collapse; DINOv2 0.07.
        iterations: How often both are scaled.
        shared: Scores `(rows, units)` that are balanced with those of the batch, the
            same on all replicas, such as those of a queue; or None.

    Returns:
        Codes of the batch, float32 `(batch, units)`, rows that sum to 1.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.losses import sinkhorn
        >>> codes = sinkhorn(np.array([[1.0, 0.9], [1.0, 0.8]]), iterations=50)
        >>> np.round(codes.numpy().sum(axis=0), 2)
        array([1., 1.], dtype=float32)

    Reference:
        [Unsupervised Learning of Visual Features by Contrasting Cluster Assignments](
        https://arxiv.org/abs/2006.09882) (Caron et al., 2020), equations 3 and 5.
    """

    def begin(x):
        return ops.cast(ops.stop_gradient(x), "float32") / epsilon

    def over_rows(x):
        return ops.logsumexp(x, axis=0, keepdims=True)

    def scaled(x, columns):
        x = x - columns
        return x - ops.logsumexp(x, axis=1, keepdims=True)

    log_q, log_shared = begin(scores), None if shared is None else begin(shared)
    for _ in range(iterations):
        columns = over_rows(distribute.all_gather(over_rows(log_q)))
        if shared is not None:
            columns = ops.logaddexp(columns, over_rows(log_shared))
            log_shared = scaled(log_shared, columns)
        log_q = scaled(log_q, columns)
    return ops.exp(log_q)

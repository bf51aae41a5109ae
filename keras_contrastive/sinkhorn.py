"""Balanced soft assignments, as SwAV and DINOv2 have them."""

from keras import ops

from keras_contrastive import distribute


def sinkhorn(scores, temperature, iterations: int = 3):
    """Return soft assignments that use every unit about equally; no gradient.

    `exp(scores / temperature)` is scaled alternately so that every column has the same
    sum over the global batch, and every row the sum 1 (Sinkhorn and Knopp, 1967); the
    rows come last. It is computed in logarithms, which do not overflow.

    Args:
        scores: Float tensor `(batch, units)`; on every replica its part of the batch.
        temperature: Positive number or scalar tensor; SwAV 0.05, DINOv2 0.07.
        iterations: How often both are scaled.

    Returns:
        Float32 tensor `(batch, units)` of rows that sum to 1.
    """
    log_q = ops.cast(ops.stop_gradient(scores), "float32") / temperature
    for _ in range(iterations):
        columns = ops.logsumexp(log_q, axis=0, keepdims=True)  # of this replica
        columns = ops.logsumexp(distribute.all_gather(columns), axis=0, keepdims=True)
        log_q = log_q - columns
        log_q = log_q - ops.logsumexp(log_q, axis=1, keepdims=True)
    return ops.exp(log_q)

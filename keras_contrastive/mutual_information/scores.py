"""What the bounds share: a checked score matrix, and sums over its two parts."""

from keras import ops

from keras_contrastive.losses.contrastive_loss import MASKED, to_float32


def check_scores(scores):
    """Return scores as a float32 tensor `(N, N)` of at least two pairs, or raise."""
    scores = ops.convert_to_tensor(scores)
    shape = tuple(scores.shape)
    known = [size for size in shape if size is not None]
    if len(shape) != 2 or len({*known}) > 1 or (known and known[0] < 2):
        raise ValueError(
            "`scores` must be a square matrix (N, N) of N >= 2 pairs: row i, column j "
            f"has f(x_j, y_i). Received: scores.shape={shape}. Give a critic of "
            "keras_contrastive.mutual_information batches of two pairs or more."
        )
    return to_float32(scores)


def check_log_baseline(log_baseline, scores):
    """Return `log_baseline` as a float32 tensor `(N,)`, one per row, or raise."""
    log_baseline = ops.convert_to_tensor(log_baseline)
    shape, rows = tuple(log_baseline.shape), scores.shape[0]
    if len(shape) != 1 or (None not in (shape[0], rows) and shape[0] != rows):
        raise ValueError(
            "`log_baseline` must have one number log a(y_i) for each row of the "
            f"scores, shape ({rows},). Received: log_baseline.shape={shape}. Use "
            "`keras.ops.squeeze(b, -1)` for the output of a Dense layer, and "
            "`keras.ops.zeros(N)` for none."
        )
    return to_float32(log_baseline)


def joint_mean(scores):
    """Return the mean of the diagonal: of the pairs that were drawn together."""
    return ops.mean(ops.diagonal(scores))


def marginal_mean(values):
    """Return the mean of finite values off the diagonal: of `x` and `y` apart."""
    return ops.sum(ops.where(is_joint(values), 0.0, values)) / _marginals(values)


def log_marginal_mean_exp(scores):
    """Return `log mean_{i != j} exp(s_ij)`, without overflow."""
    masked = ops.where(is_joint(scores), MASKED, scores)
    return ops.logsumexp(masked) - ops.log(_marginals(scores))


def is_joint(scores):
    """Return which entries of a square matrix lie on its diagonal, `(N, N)`."""
    rows = ops.arange(ops.shape(scores)[0])
    return rows[:, None] == rows[None, :]


def _marginals(scores):
    """The number of entries off the diagonal; 1 of one pair, that nothing is NaN."""
    n = size(scores)
    return ops.maximum(n * (n - 1), 1.0)


def size(scores):
    """Return N as a float32 scalar."""
    return ops.cast(ops.shape(scores)[0], "float32")


def with_gradient_of(value, objective):
    """Return a scalar that is `value`, with the gradient of `objective`."""
    # Not objective + stop(value - objective), which rounds: here it is 0 + value.
    return (objective - ops.stop_gradient(objective)) + ops.stop_gradient(value)

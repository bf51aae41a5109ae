"""A bound between TUBA, which is not biased, and InfoNCE, which hardly varies."""

import math

from keras import ops

from keras_contrastive.checks import check_share
from keras_contrastive.losses.contrastive_loss import MASKED
from keras_contrastive.mutual_information.scores import (
    check_log_baseline,
    check_scores,
    log_marginal_mean_exp,
    marginal_mean,
    size,
)


def interpolated(scores, log_baseline, alpha: float = 0.5):
    """Return the bound I_alpha: bias for variance, as `alpha` says.

    With `m_ij` the mean of `exp(s_il)` over the columns `l != j`, and the baseline
    `A_ij = alpha m_ij + (1 - alpha) exp(b_i)` of row i without column j:

        1 + mean_{i != j} (s_ii - log A_ij) - mean_{i != j} exp(s_ij) / A_ii

    `alpha` = 0 is `tuba`, whose spread grows with the information. `alpha` = 1 is at
    most `log(N - 1)`; it leaves the own sample out of its baselines and is not
    `infonce`.

    Args:
        scores: Float matrix `(N, N)`, N >= 2: row i, column j has the critic's
            `f(x_j, y_i)`; pairs that were drawn together stand on the diagonal.
            Computed in float32, whatever its dtype.
        log_baseline: `b`, floats `(N,)`: `log a(y_i)` of each row.
        alpha: Weight of the other samples in the baseline, in [0, 1].

    Returns:
        A float32 scalar in nats, to be maximised.

    Raises:
        ValueError: `scores` is not a square matrix of two pairs or more,
            `log_baseline` is not `(N,)`, or `alpha` is out of its range.

    Example:
    >>> scores, log_baseline = 3 * np.eye(4), np.zeros(4)
    >>> bound = keras_contrastive.mutual_information.interpolated(scores, log_baseline)
    >>> round(float(bound), 4)
    1.5695

    References:
        - [Poole et al., 2019](https://arxiv.org/abs/1905.06922), section 2.4
    """
    scores = check_scores(scores)
    log_baseline = check_log_baseline(log_baseline, scores)
    alpha = check_share("alpha", alpha)
    # A row's scores and its baseline relative to its own score: the same value, and
    # large scores lose no digits.
    own = ops.diagonal(scores)[:, None]
    scores = scores - own
    baseline = ops.broadcast_to(log_baseline[:, None] - own, ops.shape(scores))
    if alpha == 0:
        log_a = baseline
    else:
        log_a = _log_mean_exp_of_others(scores)
        if alpha < 1:
            parts = [math.log(alpha) + log_a, math.log(1 - alpha) + baseline]
            log_a = ops.logsumexp(ops.stack(parts), axis=0)
    ratios = scores - ops.diagonal(log_a)[:, None]
    return 1.0 - marginal_mean(log_a) - ops.exp(log_marginal_mean_exp(ratios))


def _log_mean_exp_of_others(scores):
    """`log mean_{l != j} exp(s_il)` in row i, column j, without overflow: `(N, N)`.

    The sum of a row less one term loses all digits if it is the largest term. So that
    one is left out before summing; without any other term at least half remains.
    """
    columns = ops.arange(ops.shape(scores)[1])
    largest = ops.argmax(scores, axis=1)[:, None] == ops.cast(columns, "int32")[None]
    of_all = ops.logsumexp(scores, axis=1, keepdims=True)  # (N, 1)
    rest = ops.where(largest, MASKED, scores)
    without_largest = ops.logsumexp(rest, axis=1, keepdims=True)
    # -1 stands where it is not used, so that no gradient there is infinite.
    log_share = ops.where(largest, -1.0, scores - of_all)
    without = of_all + ops.log1p(-ops.exp(log_share))
    sums = ops.where(largest, without_largest, without)
    return sums - ops.log(ops.maximum(size(scores) - 1, 1.0))

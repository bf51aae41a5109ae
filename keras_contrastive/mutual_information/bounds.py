"""Lower bounds on mutual information: DV, NWJ, TUBA, InfoNCE."""

from keras import ops

from keras_contrastive.mutual_information.scores import (
    check_log_baseline,
    check_scores,
    joint_mean,
    log_marginal_mean_exp,
    size,
)


def dv(scores):
    """Return the bound of Donsker and Varadhan, which MINE maximises.

        mean_i s_ii - log mean_{i != j} exp(s_ij)

    Of infinitely many pairs it is a lower bound, reached where the critic is
    `log p(x, y) / (p(x) p(y))` plus any constant. Of N pairs it is too high in
    expectation, since the logarithm of a mean of few is too low, and its gradient is
    biased: see `MINE`.

    Args:
        scores: Float matrix `(N, N)`, N >= 2: row i, column j has the critic's
            `f(x_j, y_i)`; pairs that were drawn together stand on the diagonal.
            Computed in float32, whatever its dtype.

    Returns:
        A float32 scalar in nats, to be maximised. Unbounded.

    Raises:
        ValueError: `scores` is not a square matrix of two pairs or more.

    Example:
    >>> scores = 3 * np.eye(4)
    >>> float(keras_contrastive.mutual_information.dv(scores))
    3.0

    References:
        - [Donsker and Varadhan, 1983](https://doi.org/10.1002/cpa.3160360204)
        - [Belghazi et al., 2018 (MINE)](https://arxiv.org/abs/1801.04062)
    """
    scores = check_scores(scores)
    return joint_mean(scores) - log_marginal_mean_exp(scores)


def nwj(scores):
    """Return the bound of Nguyen, Wainwright and Jordan, also called MINE-f.

        mean_i s_ii - mean_{i != j} exp(s_ij - 1)

    Unbiased, and with a spread that grows as the exponential of the information. It is
    reached where the critic is `1 + log p(x, y) / (p(x) p(y))`. It is `tuba` with the
    log baseline 1.

    Args:
        scores: As in `dv`.

    Returns:
        A float32 scalar in nats, to be maximised. Unbounded, -inf where `exp` of a
        score is beyond float32 (from 89 on).

    Raises:
        ValueError: As in `dv`.

    Example:
    >>> scores = 1 + 3 * np.eye(4)
    >>> float(keras_contrastive.mutual_information.nwj(scores))
    3.0

    References:
        - [Nguyen et al., 2010](https://arxiv.org/abs/0809.0853)
        - [Poole et al., 2019](https://arxiv.org/abs/1905.06922), section 2.2
    """
    scores = check_scores(scores)
    return joint_mean(scores) - ops.exp(log_marginal_mean_exp(scores) - 1.0)


def tuba(scores, log_baseline):
    """Return the tractable unnormalised bound, with a baseline that depends on `y`.

        1 + mean_i (s_ii - b_i) - mean_{i != j} exp(s_ij - b_i)

    A lower bound whatever `b` is, and tightest where `exp(b_i)` is the mean of
    `exp(f(x, y_i))` over all `x`. A baseline that is learned shrinks its variance.

    Args:
        scores: As in `dv`.
        log_baseline: `b`, floats `(N,)`: `log a(y_i)` of each row.

    Returns:
        A float32 scalar in nats, to be maximised. Unbounded, -inf where the
        exponential is beyond float32.

    Raises:
        ValueError: As in `dv`, or `log_baseline` is not `(N,)`.

    Example:
    >>> scores, log_baseline = 1 + 3 * np.eye(4), np.ones(4)
    >>> float(keras_contrastive.mutual_information.tuba(scores, log_baseline))
    3.0

    References:
        - [Poole et al., 2019](https://arxiv.org/abs/1905.06922), section 2.2
    """
    scores = check_scores(scores)
    scores = scores - check_log_baseline(log_baseline, scores)[:, None]
    return 1.0 + joint_mean(scores) - ops.exp(log_marginal_mean_exp(scores))


def infonce(scores):
    """Return InfoNCE: how well the own `x` of each `y` is found among N.

        log N + mean_i (s_ii - log sum_j exp(s_ij))

    Each row is a softmax over all N columns, its own included. Low variance, and never
    above log N, so of high information it says little: 4.2 nats need 64 pairs.

    Args:
        scores: As in `dv`.

    Returns:
        A float32 scalar in nats, at most `log N`, to be maximised.

    Raises:
        ValueError: As in `dv`.

    Example:
    >>> scores = 100 * np.eye(4)
    >>> bound = keras_contrastive.mutual_information.infonce(scores)
    >>> round(float(bound), 4), round(np.log(4).item(), 4)
    (1.3863, 1.3863)

    References:
        - [van den Oord et al., 2018](https://arxiv.org/abs/1807.03748)
        - [Poole et al., 2019](https://arxiv.org/abs/1905.06922), section 2.3
    """
    scores = check_scores(scores)
    log_n = ops.log(size(scores))
    # No rounding lifts it above log N: a logsumexp is not below any of its terms.
    lost = ops.logsumexp(scores, axis=1) - ops.diagonal(scores)
    return log_n - ops.mean(lost)

"""Lower bounds whose critic learns as the discriminator of a GAN does."""

from numbers import Real

from keras import ops

from keras_contrastive.mutual_information.bounds import nwj
from keras_contrastive.mutual_information.scores import (
    check_scores,
    joint_mean,
    log_marginal_mean_exp,
    marginal_mean,
    with_gradient_of,
)


def js(scores):
    """Return the value of `nwj`, with a gradient that is never large.

    The gradient is that of the Jensen-Shannon objective

        mean_i -softplus(-s_ii) - mean_{i != j} softplus(s_ij)

    which leads to the critic `log p(x, y) / (p(x) p(y))`. There the value is
    `1 / e` = 0.37 nats below the information: to estimate, take `nwj(scores + 1)`,
    which is tight there.

    Args:
        scores: Float matrix `(N, N)`, N >= 2: row i, column j has the critic's
            `f(x_j, y_i)`; pairs that were drawn together stand on the diagonal.
            Computed in float32, whatever its dtype.

    Returns:
        A float32 scalar in nats, to be maximised; as in `nwj`.

    Raises:
        ValueError: `scores` is not a square matrix of two pairs or more.

    Example:
    >>> scores = 1 + 3 * np.eye(4)
    >>> float(keras_contrastive.mutual_information.js(scores))
    3.0

    References:
        - [Hjelm et al., 2019 (Deep InfoMax)](https://arxiv.org/abs/1808.06670),
          equation 4: this objective plus 2 log 2
        - [Poole et al., 2019](https://arxiv.org/abs/1905.06922)
    """
    scores = check_scores(scores)
    return with_gradient_of(nwj(scores), _jensen_shannon(scores))


def smile(scores, clip: float | None = 5.0):
    """Return SMILE: `dv` with clipped marginal scores, and the gradient of `js`.

        mean_i s_ii - log mean_{i != j} exp(clip(s_ij, -clip, clip))

    The clip bounds the spread of the second term, and adds bias: the value is no
    longer a lower bound. Only the value is clipped; the gradient is that of `js`.

    Args:
        scores: As in `js`.
        clip: Largest size of a marginal score, above 0. The authors use 1, 5 and none.
            None does not clip: the value of `dv`.

    Returns:
        A float32 scalar in nats, to be maximised.

    Raises:
        ValueError: As in `js`, or `clip` is not above 0.

    Example:
    >>> scores = 3 * np.eye(4) - 8 * (1 - np.eye(4))
    >>> float(keras_contrastive.mutual_information.smile(scores))
    8.0

    References:
        - [Song and Ermon, 2020](https://arxiv.org/abs/1910.06222)
    """
    scores = check_scores(scores)
    if clip is not None and not (isinstance(clip, Real) and clip > 0):
        raise ValueError(
            "`clip` bounds the marginal scores and must be a number > 0, or None for "
            f"no bound. Received: clip={clip!r}"
        )
    clipped = scores if clip is None else ops.clip(scores, -clip, clip)
    value = joint_mean(scores) - log_marginal_mean_exp(clipped)
    return with_gradient_of(value, _jensen_shannon(scores))


def _jensen_shannon(scores):
    """The objective of `js`, at most 0."""
    joint = joint_mean(-ops.softplus(-scores))
    return joint - marginal_mean(ops.softplus(scores))

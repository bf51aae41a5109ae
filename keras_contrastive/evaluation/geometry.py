"""How features lie in space: alignment, uniformity, ranks."""

import numpy as np

_RANKME = 1e-7  # what RankMe adds to each share
_ROWS = 1024  # rows of the distance matrix held at a time


def alignment(x, y, alpha: float = 2) -> float:
    """Mean distance between the two views of the same images; 0 is best.

    `mean_i |x_i - y_i|^alpha` of L2-normalised rows (Wang and Isola, 2020, eq. 1).

    Args:
        x: Features or embeddings of one view, `(n, dim)`; normalised inside.
        y: Those of the other view of the same images, `(n, dim)`.
        alpha: Power of the distance, above 0.

    Returns:
        A number in `[0, 2**alpha]`.

    Raises:
        ValueError: Shapes that differ or are not `(n, dim)`.

    Example:
    >>> x = np.random.default_rng(0).normal(size=(8, 16))
    >>> keras_contrastive.evaluation.alignment(x, x)
    0.0

    References:
        - [Wang and Isola, 2020](https://arxiv.org/abs/2005.10242)
    """
    x, y = _matrix(x, "x"), _matrix(y, "y")
    if x.shape != y.shape:
        raise ValueError(
            "`x` and `y` must be two views of the same images, of one shape. "
            f"Received: x of shape {x.shape}, y of shape {y.shape}"
        )
    distance = np.linalg.norm(normalized(x) - normalized(y), axis=1)
    return float(np.mean(distance**alpha))


def uniformity(x, t: float = 2) -> float:
    """How evenly rows cover the unit sphere; lower is better, 0 is total collapse.

    `log mean_{i<j} exp(-t |x_i - x_j|^2)` of L2-normalised rows, over the unordered
    pairs (Wang and Isola, 2020, eq. 2). With t = 2 points spread at random in high
    dimension give about -4.

    Args:
        x: Features or embeddings, `(n, dim)` with n >= 2; normalised inside.
        t: Above 0; higher looks at closer pairs.

    Returns:
        A number in `[-4 * t, 0]`.

    Raises:
        ValueError: `x` is not `(n, dim)` or has fewer than two rows.

    Example:
    >>> keras_contrastive.evaluation.uniformity(np.eye(8))  # all distances sqrt(2)
    -4.0

    References:
        - [Wang and Isola, 2020](https://arxiv.org/abs/2005.10242)
    """
    x = normalized(_matrix(x, "x"))
    n = len(x)
    if n < 2:
        raise ValueError(f"`x` must have at least two rows. Received: {n}")
    log_sum = -np.inf
    for start in range(0, n - 1, _ROWS):
        rows = x[start : start + _ROWS]
        exponents = -t * np.maximum(2 - 2 * rows @ x[start:].T, 0)  # columns >= start
        block = exponents[:, : len(rows)]
        block[np.tril_indices(len(rows))] = -np.inf  # keep i < j
        highest = exponents.max()
        total = np.exp(exponents - highest).sum()
        log_sum = np.logaddexp(log_sum, highest + np.log(total))
    return float(log_sum - np.log(n * (n - 1) / 2))


def effective_rank(x) -> float:
    """Number of directions that features use; near 1 is dimensional collapse.

    `exp(-sum_k p_k log p_k)` with `p` the singular values of `x` divided by their sum
    (Roy and Vetterli, 2007): the number of equal singular values of the same entropy.
    Rows are neither centred nor normalised. `rankme` is the same but for a small
    constant.

    Args:
        x: Features or embeddings, `(n, dim)`.

    Returns:
        A number in `[1, min(n, dim)]`; 0 if `x` is zero everywhere.

    Raises:
        ValueError: `x` is not `(n, dim)` or is not finite.

    Example:
    >>> round(keras_contrastive.evaluation.effective_rank(np.eye(8)), 6)
    8.0

    References:
        - [Roy and Vetterli, 2007](https://ieeexplore.ieee.org/document/7098875)
    """
    return _exp_entropy(_singular_shares(_matrix(x, "x")))


def rankme(features) -> float:
    """RankMe: the effective rank of features, by which to choose without labels.

    `exp(-sum_k p_k log p_k)` with `p_k = s_k / sum(s) + 1e-7` and `s` the
    `min(n, dim)` singular values of the features (Garrido et al., 2023). The constant,
    which is not in `effective_rank`, gives each direction without any variance a little
    weight: at most `1.6e-6 * min(n, dim)` of the result. The number grows with n:
    compare only equal n.

    Args:
        features: Features or embeddings, `(n, dim)`; neither centred nor normalised.

    Returns:
        A number from 1 to about `min(n, dim)`, more is better; 0 if `features` is zero
        everywhere.

    Raises:
        ValueError: `features` is not `(n, dim)` or is not finite.

    Example:
    >>> round(keras_contrastive.evaluation.rankme(np.eye(8)), 4)
    8.0

    References:
        - [Garrido et al., 2023 (RankMe)](https://arxiv.org/abs/2210.02885)
    """
    p = _singular_shares(_matrix(features, "features"))
    return _exp_entropy(p + _RANKME) if p.any() else 0.0


def lidar(features, delta: float = 1e-4, epsilon: float = 1e-8) -> float:
    """LiDAR: the number of directions that tell images apart despite their views.

    The rank of linear discriminant analysis whose classes are the images. With `m_i`
    the mean of the q views of image i and `m` the mean of the n images,

        B = sum_i (m_i - m)(m_i - m)^T / (n - 1)
        W = sum_iv (x_iv - m_i)(x_iv - m_i)^T / (n (q - 1)) + delta I

    the eigenvalues `l` of `W^-1/2 B W^-1/2`, and `p` = `l + epsilon` divided by its
    sum, it is `exp(-sum_k p_k log p_k)`. `rankme` counts every direction of variance;
    one in which the views of an image differ as much as images do counts little here.

    Args:
        features: Features or embeddings of q views of n images, `(n, q, dim)`.
        delta: What is added to the variance of views in each direction, above 0: in
            the unit of the features squared.
        epsilon: What is added to each eigenvalue, at least 0.

    Returns:
        A number in `[1, min(n - 1, dim)]`, but for `epsilon`; more is better. 0 if all
        images have the same mean.

    Raises:
        ValueError: `features` is not `(n, q, dim)` with n and q of 2 or more, or not
            finite; a `delta` or `epsilon` out of its range.

    Example:
    >>> images = np.repeat(np.eye(8)[:, None], 2, axis=1)  # two equal views of each
    >>> round(keras_contrastive.evaluation.lidar(images), 4)
    7.0

    References:
        - [Thilak et al., 2024 (LiDAR)](https://arxiv.org/abs/2312.04000)
    """
    features = np.asarray(features, "float64")
    if features.ndim != 3 or min(features.shape[:2]) < 2:
        raise ValueError(
            "`features` must have shape (n, views, dim): two images or more, and two "
            f"views or more of each. Received: features of shape {features.shape}. "
            "Use `np.stack([features_1, features_2], axis=1)`."
        )
    if not (delta > 0 and epsilon >= 0):
        raise ValueError(
            "`delta` must be > 0, or views that do not differ could not be divided by, "
            f"and `epsilon` >= 0. Received: {delta=}, {epsilon=}"
        )
    n, views, dim = features.shape
    _matrix(features.reshape(-1, dim), "features")
    means = features.mean(axis=1)  # (n, dim)
    within = (features - means[:, None]).reshape(-1, dim)
    within = within.T @ within / (n * (views - 1)) + delta * np.eye(dim)
    between = (means - means.mean(axis=0)) / np.sqrt(n - 1)
    # W = L L^T: the singular values of L^-1 times a root of B, squared, are l.
    whitened = np.linalg.solve(np.linalg.cholesky(within), between.T)  # (dim, n)
    eigenvalues = np.zeros(dim)
    found = np.linalg.svd(whitened, compute_uv=False) ** 2
    eigenvalues[: len(found)] = found
    if not eigenvalues.any():
        return 0.0
    eigenvalues += epsilon
    return _exp_entropy(eigenvalues / eigenvalues.sum())


def _singular_shares(x):
    """The singular values of a matrix, divided by their sum if that is not 0."""
    singular_values = np.linalg.svd(x, compute_uv=False)
    return singular_values / (singular_values.sum() or 1.0)


def _exp_entropy(p):
    """How many equal shares have the entropy of these; 0 if all of them are 0."""
    p = p[p > 0]
    return float(np.exp(-np.sum(p * np.log(p)))) if len(p) else 0.0


def _matrix(x, name):
    x = np.asarray(x, "float64")
    if x.ndim != 2 or 0 in x.shape or not np.isfinite(x).all():
        raise ValueError(
            f"`{name}` must be a finite, non-empty array of shape (n, dim). "
            f"Received: {name} of shape {x.shape}, "
            f"{np.count_nonzero(~np.isfinite(x))} values not finite"
        )
    return x


def normalized(x):
    """Return rows of length 1; a row of zeros stays one."""
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)

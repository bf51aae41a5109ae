"""How features lie in space: alignment, uniformity, effective rank."""

import numpy as np

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
    distance = np.linalg.norm(_normalized(x) - _normalized(y), axis=1)
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
    x = _normalized(_matrix(x, "x"))
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
    Rows are neither centred nor normalised, as in RankMe.

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
        - [Garrido et al., 2023 (RankMe)](https://arxiv.org/abs/2210.02885)
    """
    singular_values = np.linalg.svd(_matrix(x, "x"), compute_uv=False)
    total = singular_values.sum()
    if total == 0:
        return 0.0
    p = singular_values / total
    p = p[p > 0]
    return float(np.exp(-np.sum(p * np.log(p))))


def _matrix(x, name):
    x = np.asarray(x, "float64")
    if x.ndim != 2 or 0 in x.shape or not np.isfinite(x).all():
        raise ValueError(
            f"`{name}` must be a finite, non-empty array of shape (n, dim). "
            f"Received: {name} of shape {x.shape}, "
            f"{np.count_nonzero(~np.isfinite(x))} values not finite"
        )
    return x


def _normalized(x):
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)

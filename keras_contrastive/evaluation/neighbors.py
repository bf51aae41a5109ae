"""Nearest neighbours and near-duplicates by cosine similarity, exactly."""

import numpy as np
import tensorflow as tf

from keras_contrastive.unit_vectors import l2_normalize

# Similarities held at a time: 2**24 floats are 64 MiB.
_CHUNK = 2**24


def nearest_neighbors(features, queries, k: int):
    """Find the rows of `features` that are most similar to each query.

    All similarities are computed, in blocks of 64 MiB.

    Args:
        features: Array `(n, dim)` to search in, of any length.
        queries: Array `(m, dim)`.
        k: Number of neighbours; all rows when there are fewer.

    Returns:
        `(rows, similarities)`, both `(m, k)`: int32 rows of `features` and float32
        cosines, the most similar first.

    Raises:
        ValueError: A wrong shape or `k`, or features that are not finite.

    Example:
    >>> rows, similarities = kc.evaluation.nearest_neighbors(
    ...     np.eye(3), np.array([[0.0, 2.0, 1.0]]), k=2)
    >>> rows
    array([[1, 2]], dtype=int32)
    """
    features, queries = checked_search(features, queries, k)
    found = [
        tf.math.top_k(similarity, min(int(k), len(features)))
        for _, similarity in _blocks(features, queries)
    ]
    rows = np.concatenate([top.indices for top in found])
    return rows, np.concatenate([top.values for top in found])


def near_duplicates(features, similarity: float = 0.98):
    """Find the pairs of rows that are almost the same.

    Args:
        features: Array `(n, dim)`, of any length.
        similarity: Least cosine of a pair, in (-1, 1].

    Returns:
        `(pairs, similarities)`: int64 `(p, 2)`, the smaller row first, and float32
        `(p,)`; the most similar pair first.

    Raises:
        ValueError: A wrong shape, or features that are not finite.

    Example:
    >>> x = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0]])
    >>> kc.evaluation.near_duplicates(x)
    (array([[0, 2]]), array([1.], dtype=float32))
    """
    features = _checked(features, "features")
    found = [np.zeros((0, 2), "int64")]
    similarities = [np.zeros(0, "float32")]
    for start, block in _blocks(features, features):
        block = block.numpy()
        row, column = np.nonzero(block >= similarity)
        later = column > row + start
        row, column = row[later], column[later]
        found.append(np.stack([row + start, column], axis=1))
        similarities.append(block[row, column])
    pairs, values = np.concatenate(found), np.concatenate(similarities)
    order = np.argsort(-values, kind="stable")
    return pairs[order], values[order]


def checked_search(features, queries, k):
    """Return `features` and `queries` as float32 arrays.

    Raises:
        ValueError: As in `nearest_neighbors`.
    """
    features, queries = _checked(features, "features"), _checked(queries, "queries")
    if not isinstance(k, (int, np.integer)) or k < 1:
        raise ValueError(f"`k` must be a positive int. Received: k={k!r}")
    if features.shape[1] != queries.shape[1]:
        raise ValueError(
            "`features` and `queries` must be of one width, of one encoder. Received: "
            f"features.shape={features.shape}, queries.shape={queries.shape}"
        )
    return features, queries


def _blocks(features, queries):
    """The cosines of a few queries at a time, and the first one's number."""
    features = l2_normalize(features)
    rows = max(1, _CHUNK // len(features))
    for start in range(0, len(queries), rows):
        block = l2_normalize(queries[start : start + rows])
        yield start, tf.matmul(block, features, transpose_b=True)


def _checked(x, name):
    x = np.asarray(x, "float32")
    if x.ndim != 2 or not len(x):
        raise ValueError(
            f"`{name}` must be of shape (rows, dim), with one row at least. Received: "
            f"{name}.shape={x.shape}"
        )
    bad = np.flatnonzero(~np.isfinite(x).all(axis=1))
    if len(bad):
        raise ValueError(
            f"`{name}` must be finite. Received: NaN or infinity in {len(bad)} rows, "
            f"the first is row {bad[0]}."
        )
    return x

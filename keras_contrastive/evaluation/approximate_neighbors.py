"""Nearest neighbours by cosine similarity, nearly, among millions."""

import numpy as np

from keras_contrastive.evaluation.neighbors import checked_search


def approximate_neighbors(features, queries, k: int):
    """Find rows of `features` that are similar to each query, without comparing all.

    By a graph of neighbours (HNSW, Malkov and Yashunin, 2018) of usearch. Building it
    takes longer than comparing a few queries with every row, as `nearest_neighbors`
    does: it pays with many queries among hundreds of thousands of rows. Some of the
    true neighbours can be missed; the similarities of those found are exact to
    float32.

    Args:
        features: Array `(n, dim)` to search in, of any length.
        queries: Array `(m, dim)`.
        k: Number of neighbours; all rows when there are fewer.

    Returns:
        `(rows, similarities)`, both `(m, k)`, as `nearest_neighbors`.

    Raises:
        ImportError: usearch is missing.
        ValueError: A wrong shape or `k`, or features that are not finite.

    Example:
        rows, similarities = kc.evaluation.approximate_neighbors(features, queries, k=8)

    References:
        - [Malkov and Yashunin, 2018](https://arxiv.org/abs/1603.09320)
    """
    features, queries = checked_search(features, queries, k)
    try:
        from usearch.index import Index
    except ImportError as error:
        raise ImportError(
            "An approximate search needs usearch: "
            'pip install "keras-contrastive[index]". `nearest_neighbors` compares with '
            "every row, without it."
        ) from error
    index = Index(ndim=features.shape[1], metric="cos", dtype="f32")
    index.add(np.arange(len(features)), features)
    k = min(int(k), len(features))
    matches = index.search(queries, k)
    rows = np.asarray(matches.keys).reshape(len(queries), -1)
    distances = np.asarray(matches.distances).reshape(len(queries), -1)
    return rows.astype("int32"), (1 - distances).astype("float32")

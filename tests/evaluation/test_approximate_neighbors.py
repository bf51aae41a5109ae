import sys

import numpy as np
import pytest

from keras_contrastive.evaluation import approximate_neighbors, nearest_neighbors


def vectors(n, seed, dim=16):
    return np.random.default_rng(seed).normal(size=(n, dim)).astype("float32")


def test_nearly_all_true_neighbours_are_found():
    pytest.importorskip("usearch")
    features, queries = vectors(2000, 0), vectors(50, 1)
    exact, similarity = nearest_neighbors(features, queries, 10)
    rows, found = approximate_neighbors(features, queries, 10)
    assert rows.shape == found.shape == (50, 10)
    recall = np.mean([len({*a} & {*b}) / 10 for a, b in zip(rows, exact, strict=True)])
    assert recall > 0.95
    first = rows[:, 0] == exact[:, 0]
    np.testing.assert_allclose(found[first, 0], similarity[first, 0], atol=1e-5)
    assert (np.diff(found, axis=1) <= 0).all()


def test_one_query_and_fewer_rows_than_k():
    pytest.importorskip("usearch")
    rows, found = approximate_neighbors(vectors(3, 0), vectors(1, 1), 5)
    assert sorted(rows[0]) == [0, 1, 2] and found.shape == (1, 3)


def test_without_usearch_and_with_wrong_input(monkeypatch):
    with pytest.raises(ValueError, match="`k` must be a positive int"):
        approximate_neighbors(vectors(3, 0), vectors(1, 1), 0)
    with pytest.raises(ValueError, match="must be of one width"):
        approximate_neighbors(vectors(3, 0), vectors(1, 1, dim=4), 1)
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(ImportError, match=r"keras-contrastive\[index\].*nearest_neigh"):
        approximate_neighbors(vectors(3, 0), vectors(1, 1), 1)

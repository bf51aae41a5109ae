import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from keras_contrastive.evaluation import near_duplicates, nearest_neighbors, neighbors

RNG = np.random.default_rng(0)
X, QUERIES = RNG.normal(size=(60, 5)), RNG.normal(size=(23, 5))


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(neighbors, "_CHUNK", 60 * 4)  # four queries at a time


def test_neighbors_are_those_of_scikit_learn():
    rows, similarities = nearest_neighbors(X, QUERIES, 7)
    theirs = NearestNeighbors(n_neighbors=7, metric="cosine").fit(X)
    distances, expected = theirs.kneighbors(QUERIES)
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_allclose(similarities, 1 - distances, atol=1e-6)
    assert nearest_neighbors(X, QUERIES, 100)[0].shape == (23, 60)


def test_near_duplicates_are_all_pairs_above():
    x = np.concatenate([X, 3 * X[[4, 9]], X[[4]]])
    pairs, similarities = near_duplicates(x, 0.9)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    cosine = np.triu(unit @ unit.T, 1)
    expected = {tuple(pair) for pair in np.argwhere(cosine >= 0.9)}
    assert {tuple(pair) for pair in pairs} == expected
    assert {(4, 60), (9, 61), (4, 62), (60, 62)} <= expected
    assert (np.diff(similarities) <= 0).all()
    assert near_duplicates(QUERIES, 1.0)[0].shape == (0, 2)


def test_bad_input():
    with pytest.raises(ValueError, match="`k` must be a positive int.*0"):
        nearest_neighbors(X, QUERIES, 0)
    with pytest.raises(ValueError, match="of one width.*23, 4"):
        nearest_neighbors(X, QUERIES[:, :4], 1)
    with pytest.raises(ValueError, match="NaN or infinity in 1 rows.*row 2"):
        near_duplicates(np.where(np.arange(60)[:, None] == 2, np.nan, X))
    with pytest.raises(ValueError, match="one row at least"):
        nearest_neighbors(X[:0], QUERIES, 1)

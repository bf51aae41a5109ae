import itertools
import sys

import numpy as np
import pytest

from keras_contrastive.evaluation import cluster_accuracy

pytest.importorskip("sklearn")


def blobs(classes=4, rows=30, spread=0.1, dim=6):
    rng = np.random.default_rng(0)
    labels = np.arange(classes).repeat(rows)
    centres = np.eye(classes, dim)
    return centres[labels] + spread * rng.normal(size=(len(labels), dim)), labels


def test_separate_classes():
    x, y = blobs()
    result = cluster_accuracy(x, y)
    assert result.accuracy == result.ari == 1.0
    assert result.nmi == pytest.approx(1.0)
    assert [result.class_of_cluster[c] for c in result.clusters] == y.tolist()
    names = np.array(["ant", "bee", "cat", "dog"])[y]
    again = cluster_accuracy(x, names)
    np.testing.assert_array_equal(again.clusters, result.clusters)
    assert again.class_of_cluster[result.clusters[0]] == "ant"
    assert str(result) == "accuracy 100.0 %, NMI 1.000, ARI 1.000 of 4 clusters"


@pytest.mark.parametrize("num_clusters", [2, 4, 5])
def test_best_of_all_assignments(num_clusters):
    x, y = blobs(spread=0.6)
    result = cluster_accuracy(x, y, num_clusters, seed=1)
    classes = [*range(4), *[-1] * max(0, num_clusters - 4)]
    best = max(
        np.mean([classes_of[c] for c in result.clusters] == y)
        for classes_of in itertools.permutations(classes, num_clusters)
    )
    assert result.accuracy == pytest.approx(best)
    # Pair by pair: the Rand index, less its mean at random.
    same = [a[:, None] == a[None] for a in (result.clusters, y)]
    pairs = np.triu_indices(len(y), 1)
    a, b = (s[pairs] for s in same)
    expected = a.sum() * b.sum() / len(a)
    highest = (a.sum() + b.sum()) / 2
    ari = ((a & b).sum() - expected) / (highest - expected)
    assert result.ari == pytest.approx(ari)
    joint = np.zeros((num_clusters, 4))
    np.add.at(joint, (result.clusters, y), 1 / len(y))
    p, q = joint.sum(axis=1), joint.sum(axis=0)
    some = joint > 0
    information = np.sum(joint[some] * np.log((joint / np.outer(p, q))[some]))
    entropies = [-np.sum(r * np.log(r)) for r in (p, q)]
    assert result.nmi == pytest.approx(information / np.mean(entropies))


def test_unlabelled_rows_are_clustered_and_not_counted():
    x, y = blobs()
    y[::3] = -1
    result = cluster_accuracy(x, y)
    assert result.accuracy == 1.0
    assert len(result.clusters) == len(x) and len(result.class_of_cluster) == 4


def test_same_seed_same_clusters():
    x, y = blobs(spread=1.0)
    one, again = (cluster_accuracy(x, y, seed=3, restarts=1) for _ in range(2))
    np.testing.assert_array_equal(one.clusters, again.clusters)
    other = cluster_accuracy(x, y, seed=4, restarts=1)
    assert (one.clusters != other.clusters).any()
    assert abs(cluster_accuracy(x, np.random.default_rng(0).permutation(y)).ari) < 0.1


def test_wrong_arguments(monkeypatch):
    x, y = blobs()
    with pytest.raises(ValueError, match=r"`labels` must hold one.*per row of `feat"):
        cluster_accuracy(x, y[:5])
    with pytest.raises(ValueError, match="`features` must be finite"):
        cluster_accuracy(x * np.nan, y)
    with pytest.raises(ValueError, match="`labels` must have labels. Received: 120"):
        cluster_accuracy(x, y * 0 - 1)
    with pytest.raises(ValueError, match="Received: num_clusters=121, 120 rows"):
        cluster_accuracy(x, y, 121)
    with pytest.raises(ValueError, match="positive integer. Received: num_clusters=0"):
        cluster_accuracy(x, y, 0)
    monkeypatch.setitem(sys.modules, "sklearn.cluster", None)
    with pytest.raises(ImportError, match=r"need scikit-learn: pip.*\[plots\]"):
        cluster_accuracy(x, y)

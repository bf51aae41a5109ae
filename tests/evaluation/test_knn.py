import golden_values
import numpy as np
import pytest

from keras_contrastive.evaluation import knn as module
from keras_contrastive.evaluation import knn_accuracy, neighbors

CASES = golden_values.load("knn")


@pytest.mark.parametrize("case", CASES)
def test_golden(case):
    values = CASES[case]
    k, temperature = values["hp"]["k"], values["hp"]["T"]
    data = values["train"], values["train_y"], values["test"]
    accuracy = knn_accuracy(*data, values["test_y"], k, temperature)
    assert type(accuracy) is float
    assert accuracy == pytest.approx(values["top1"] / 100, abs=1e-9)
    # Scored against the golden predictions, every single one must agree.
    assert knn_accuracy(*data, values["pred"], k, temperature) == 1.0


def data(n=50, m=30, classes=4, dim=6):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(n + m, dim)), rng.integers(0, classes, n + m)
    x[:, 0] += 2 * y
    return x[:n], y[:n], x[n:], y[n:]


def naive(train_x, train_y, test_x, test_y, k, temperature):
    correct = 0
    for x, y in zip(test_x, test_y, strict=True):
        scores = {}
        sims = train_x @ x / np.linalg.norm(train_x, axis=1) / np.linalg.norm(x)
        for j in np.argsort(-sims)[:k]:
            score = scores.get(train_y[j], 0) + np.exp(sims[j] / temperature)
            scores[train_y[j]] = score
        correct += max(scores, key=scores.get) == y
    return correct / len(test_x)


@pytest.mark.parametrize("k", [1, 3, 20, 500])
@pytest.mark.parametrize("temperature", [0.05, 1.0])
def test_against_a_loop_in_any_chunks(k, temperature, monkeypatch):
    expected = naive(*data(), k, temperature)
    assert 0.2 < expected < 1
    assert knn_accuracy(*data(), k, temperature) == pytest.approx(expected)
    monkeypatch.setattr(neighbors, "_CHUNK", 150)  # three test rows at a time
    monkeypatch.setattr(module, "_BLOCK", 4)
    assert knn_accuracy(*data(), k, temperature) == pytest.approx(expected)


def test_labels_need_not_be_contiguous():
    x, y, a, b = data()
    names = np.array([7, -3, 1000, 12])
    assert knn_accuracy(x, names[y], a, names[b]) == knn_accuracy(x, y, a, b)
    assert knn_accuracy(x, y[:, None], a, b[:, None]) == knn_accuracy(x, y, a, b)


def test_unlabelled_rows_are_ignored():
    x, y, a, b = data()
    more_x = np.concatenate([x, a])  # the test rows themselves would change the vote
    more_y = np.concatenate([y, np.full(len(a), -1)])
    assert knn_accuracy(more_x, more_y, a, b) == knn_accuracy(x, y, a, b)
    some = np.where(np.arange(len(b)) < 10, b, -1)
    assert knn_accuracy(x, y, a, some) == knn_accuracy(x, y, a[:10], b[:10])


def test_a_class_that_train_lacks_is_an_error_of_the_prediction():
    x, y, a, b = data()
    assert knn_accuracy(x, y, a, np.full_like(b, 99)) == 0.0


def test_scale_of_features_and_low_temperature():
    x, y, a, b = data()
    expected = knn_accuracy(x, y, a, b)
    assert knn_accuracy(x * 1e-7, y, a * 1e4, b) == expected
    nearest = knn_accuracy(x, y, a, b, k=1)
    assert knn_accuracy(x, y, a, b, k=50, temperature=1e-6) == nearest


@pytest.mark.parametrize(
    "change, message",
    [
        ({"k": 0}, "`k` must be a positive int. Received: k=0"),
        ({"temperature": 0}, "`temperature` must be > 0. Received: temperature=0"),
        ({"train_x": np.zeros((50, 2, 3))}, r"`x.reshape.len.x., -1.`.*\(50, 2, 3\)"),
        ({"test_x": np.zeros((30, 5))}, "same number of features. Received: 6 and 5"),
        ({"train_y": np.arange(49)}, r"one integer class per row.*\(49,\)"),
        ({"train_y": np.eye(50)}, r"np.argmax.*\(50, 50\)"),
        ({"test_y": np.zeros(30)}, "integer class.*float64"),
        ({"train_y": np.full(50, -1)}, "all of them unlabelled"),
        ({"test_x": np.full((30, 6), np.nan)}, "`test_x` must be finite.*diverged"),
    ],
)
def test_wrong_arguments(change, message):
    names = ("train_x", "train_y", "test_x", "test_y")
    with pytest.raises(ValueError, match=message):
        knn_accuracy(**{**dict(zip(names, data(), strict=True)), **change})

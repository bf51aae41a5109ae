import importlib
import sys
import warnings

import numpy as np
import pytest

import keras_contrastive as kc
from keras_contrastive.evaluation import linear_probe

StandardScaler = pytest.importorskip("sklearn.preprocessing").StandardScaler
threadpool_limits = pytest.importorskip("threadpoolctl").threadpool_limits
module = importlib.import_module("keras_contrastive.evaluation.linear_probe")


def data(n=200, m=400, classes=4, dim=10, noise=1.0):
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(classes, dim))
    y = rng.integers(0, classes, n + m)
    x = centres[y] + noise * rng.normal(size=(n + m, dim))
    return x[:n], y[:n], x[n:], y[n:]


def test_separable_classes_are_learned():
    assert linear_probe(*data(noise=0.05)) == 1.0


def test_deterministic():
    assert linear_probe(*data()) == linear_probe(*data())


def test_scale_and_offset_of_features_do_not_matter():
    x, y, a, b = data()
    scale, offset = np.logspace(-3, 3, 10), np.arange(10) * 100
    result = linear_probe(x * scale + offset, y, a * scale + offset, b)
    assert result == pytest.approx(linear_probe(x, y, a, b), abs=0.01)


def test_constant_features_are_harmless():
    x, y, a, b = data()
    x, a = (np.pad(z, ((0, 0), (0, 3))) for z in (x, a))
    assert linear_probe(x, y, a, b) == pytest.approx(linear_probe(*data()), abs=0.01)


def test_regularisation_is_chosen_on_training_rows():
    # 60 rows, 300 features that are mostly noise: what fits best generalises worst.
    rng = np.random.default_rng(0)
    x, y, a, b = data(60, 1000, noise=2.0)
    x, a = (np.concatenate([z, rng.normal(size=(len(z), 290))], 1) for z in (x, a))
    each = [linear_probe(x, y, a, b, candidates=(c,)) for c in (1e-4, 1e-2, 10.0)]
    chosen = linear_probe(x, y, a, b, candidates=(1e-4, 1e-2, 10.0))
    # Each fit of a path starts from the one before: the last row or two may differ.
    assert min(abs(chosen - alone) for alone in each) <= 0.005
    assert chosen > min(each)
    # Test labels have no say: shuffling them changes the result, not the choice.
    permuted = np.random.default_rng(1).permutation(b)
    calls = []
    original = module._choose

    def spy(*arguments):
        calls.append(original(*arguments))
        return calls[-1]

    module._choose = spy
    try:
        linear_probe(x, y, a, b), linear_probe(x, y, a, permuted)
    finally:
        module._choose = original
    assert calls[0] == calls[1]


def test_rounding_has_no_say_in_the_choice():
    # By held-out accuracy 0.03 and 1.0 are equal but for one of these 200 rows.
    (x, y), _ = kc.data.load_sample()
    x, y = x[:200].reshape(200, -1)[:, ::4].astype("float32"), y[:200]
    chosen = set()
    for seed in range(4):
        noise = np.random.default_rng(seed).standard_normal(x.shape)
        rounded = StandardScaler().fit_transform(x * (1 + 1e-5 * noise))
        with threadpool_limits(1, user_api="blas"):  # as `fit_linear` does
            chosen.add(module._choose(rounded, y, (1e-3, 1e-2, 3e-2, 1e-1, 1.0), 0))
    assert chosen == {3e-2}


@pytest.mark.parametrize("classes", [2, 3])
def test_a_probability_of_zero_divides_nothing(classes):
    rng = np.random.default_rng(0)
    y = np.arange(300) % classes
    x = (y[:, None] == np.arange(classes)) + 0.1 * rng.normal(size=(300, classes))
    x[5] *= 100  # so far away that the others' probability is 0
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        assert linear_probe(x, y, x, y, candidates=(1e3, 1e6)) == 1.0


@pytest.mark.parametrize("n, fits", [(100, 5), (2500, 1)])
def test_number_of_held_out_parts(n, fits, monkeypatch):
    sizes = []
    original = module._path

    def spy(x, y, candidates):
        sizes.append(len(x))
        return original(x, y, candidates)

    monkeypatch.setattr(module, "_path", spy)
    linear_probe(*data(n), candidates=(1e-3, 1e-2))
    assert sizes == [n * 4 // 5] * fits + [n]


def test_one_row_per_class():
    x, y, a, b = data(noise=0.05)
    first = [np.flatnonzero(y == c)[0] for c in range(4)]
    assert linear_probe(x[first], y[first], a, b) > 0.9


def test_unlabelled_rows_and_any_class_numbers():
    x, y, a, b = data()
    names = np.array([7, 0, 1000, 12])
    noise = np.random.default_rng(0).normal(size=(50, 10))
    result = linear_probe(
        np.concatenate([x, noise]),
        np.concatenate([names[y], np.full(50, -1)]),
        a,
        names[b],
    )
    assert result == pytest.approx(linear_probe(x, y, a, b), abs=0.01)


def test_wrong_arguments():
    x, y, a, b = data()
    with pytest.raises(ValueError, match="at least two classes. Received: only class"):
        linear_probe(x, np.full_like(y, 3), a, b)
    with pytest.raises(ValueError, match="`candidates` must be > 0"):
        linear_probe(x, y, a, b, candidates=(0.0, 1.0))
    with pytest.raises(ValueError, match="same number of features"):
        linear_probe(x, y, a[:, :3], b)
    with pytest.raises(ValueError, match="one integer class per row"):
        linear_probe(x, y[:-1], a, b)


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.preprocessing", None)
    with pytest.raises(ImportError, match=r"keras-contrastive\[plots\]"):
        linear_probe(*data())

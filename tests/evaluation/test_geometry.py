import importlib

import golden_values
import numpy as np
import pytest

from keras_contrastive.evaluation import (
    alignment,
    effective_rank,
    lidar,
    rankme,
    uniformity,
)

module = importlib.import_module("keras_contrastive.evaluation.geometry")
CASES = golden_values.load("align_uniform")
RANKS = golden_values.load("distillation")


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("prefix", ["", "raw_"])  # unit vectors pass unchanged
def test_golden(case, prefix):
    values = CASES[case]
    x, y, hp = values[f"{prefix}x"], values[f"{prefix}y"], values["hp"]
    assert alignment(x, y, hp["alpha"]) == pytest.approx(values["align"], rel=1e-6)
    assert uniformity(x, hp["t"]) == pytest.approx(values["uniform_x"], rel=1e-6)
    assert uniformity(y, hp["t"]) == pytest.approx(values["uniform_y"], rel=1e-6)


@pytest.mark.parametrize("rows", [1, 3, 7, 1024])
def test_uniformity_in_any_chunks(rows, monkeypatch):
    monkeypatch.setattr(module, "_ROWS", rows)
    values = CASES["c03_N64_D128"]
    result = uniformity(values["x"][:22], 2)
    x = values["x"][:22]
    pairs = [
        np.exp(-2 * np.sum((x[i] - x[j]) ** 2)) for i in range(22) for j in range(i)
    ]
    assert result == pytest.approx(np.log(np.mean(pairs)), rel=1e-9)


def test_limits():
    x = np.random.default_rng(0).normal(size=(40, 16))
    assert alignment(x, x) == 0.0
    assert alignment(x, -x) == pytest.approx(4.0)
    assert uniformity(np.ones((5, 3))) == pytest.approx(0.0, abs=1e-9)
    assert uniformity([[1.0, 0.0], [-1.0, 0.0]]) == pytest.approx(-8.0)
    # The mean of two pairs' exp(-t d^2) underflows in float64; its logarithm does not.
    assert uniformity([[1.0, 0.0], [-1.0, 0.0]], t=1e4) == pytest.approx(-4e4)


def test_effective_rank():
    rng = np.random.default_rng(0)
    direction = rng.normal(size=(1, 6))
    assert effective_rank(np.repeat(direction, 9, axis=0)) == pytest.approx(1, abs=1e-6)
    assert effective_rank(np.eye(6)[:4] * 3) == pytest.approx(4)
    assert effective_rank(np.zeros((3, 4))) == 0.0
    # singular values 3 and 1: p = (3/4, 1/4)
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert effective_rank(np.diag([3.0, 1.0])) == pytest.approx(np.exp(entropy))


@pytest.mark.parametrize("case", [case for case in RANKS if case.startswith("r")])
def test_golden_ranks(case):
    features = RANKS[case]["features"]
    for function in (rankme, effective_rank):
        expected = RANKS[case][function.__name__]
        assert function(features) == pytest.approx(expected, rel=1e-9)
        assert function(np.float32(features)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("case", [case for case in RANKS if case.startswith("l")])
def test_golden_lidar(case):
    features, hp = RANKS[case]["features"], RANKS[case]["hp"]
    result = lidar(features, hp["delta"], hp["epsilon"])
    assert result == pytest.approx(RANKS[case]["lidar"], rel=1e-7)
    # Neither the order of images and views nor a rotation or a shift changes it.
    rng = np.random.default_rng(0)
    dim = features.shape[-1]
    moved = features[rng.permutation(len(features)), ::-1]
    moved = moved @ np.linalg.qr(rng.normal(size=(dim, dim)))[0] + 3
    again = lidar(moved, hp["delta"], hp["epsilon"])
    assert again == pytest.approx(result, rel=1e-6)


def test_rankme_and_lidar_limits():
    rng = np.random.default_rng(0)
    assert rankme(np.zeros((3, 4))) == 0.0
    ones = rankme(np.ones((9, 6)))  # one direction, and five without variance
    p = np.array([1 + 1e-7] + [1e-7] * 5)
    assert ones == pytest.approx(np.exp(-np.sum(p * np.log(p))), rel=1e-9)
    assert 1 < ones < 1 + 1.7e-6 * 6
    assert lidar(np.ones((3, 2, 4))) == 0.0
    # Images lie in two directions, views differ in a third one, in which images do too.
    images = rng.normal(size=(500, 1, 3)) * [1, 1, 5]
    views = images + rng.normal(size=(500, 4, 3)) * [0.01, 0.01, 50]
    assert lidar(views) == pytest.approx(2, abs=0.02)
    assert rankme(views.reshape(-1, 3)) < 1.5  # sees the views' direction alone


def test_lidar_refuses():
    for shape in ((4, 3), (4, 1, 3), (1, 4, 3)):
        with pytest.raises(
            ValueError, match=r"two views or more.*Received: feat.*np\."
        ):
            lidar(np.ones(shape))
    with pytest.raises(ValueError, match="24 values not finite"):
        lidar(np.full((4, 2, 3), np.nan))
    for wrong in ({"delta": 0}, {"epsilon": -1e-9}):
        with pytest.raises(ValueError, match="Received: delta="):
            lidar(np.ones((4, 2, 3)), **wrong)


def test_wrong_arguments():
    x = np.ones((4, 3))
    with pytest.raises(ValueError, match="of one shape. Received: x of shape"):
        alignment(x, x[:2])
    with pytest.raises(ValueError, match="at least two rows. Received: 1"):
        uniformity(x[:1])
    for function in (uniformity, effective_rank, rankme):
        with pytest.raises(ValueError, match=r"Received: \w+ of shape \(3,\)"):
            function(x[0])
        with pytest.raises(ValueError, match="12 values not finite"):
            function(x * np.nan)

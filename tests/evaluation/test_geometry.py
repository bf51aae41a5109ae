import importlib

import golden_values
import numpy as np
import pytest

from keras_contrastive.evaluation import alignment, effective_rank, uniformity

module = importlib.import_module("keras_contrastive.evaluation.geometry")
CASES = golden_values.load("align_uniform")


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


def test_wrong_arguments():
    x = np.ones((4, 3))
    with pytest.raises(ValueError, match="of one shape. Received: x of shape"):
        alignment(x, x[:2])
    with pytest.raises(ValueError, match="at least two rows. Received: 1"):
        uniformity(x[:1])
    for function in (uniformity, effective_rank):
        with pytest.raises(ValueError, match=r"Received: x of shape \(3,\)"):
            function(x[0])
        with pytest.raises(ValueError, match="12 values not finite"):
            function(x * np.nan)

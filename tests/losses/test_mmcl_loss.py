import golden_values
import numpy as np
import pytest
from loss_checks import assert_close, value_and_gradients

from keras_contrastive.losses import MMCLLoss

GOLDEN = golden_values.load("mmcl")


def unit(n, dim, seed=0):
    x = np.random.default_rng(seed).normal(size=(n, dim))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def kernel(a, b, sigma):
    return np.exp((2 * a @ b.T - 2) / sigma)


def dual(x, i, sigma, regularization=0.1):
    """The matrix of anchor i, without its row and column."""
    k = kernel(x, x, sigma)
    others = np.delete(np.arange(len(x)), i)
    matrix = 1 + k - k[i][None, :] - k[:, i][:, None] + regularization * np.eye(len(x))
    return matrix[np.ix_(others, others)]


@pytest.mark.parametrize("case", GOLDEN)
def test_authors_values_and_gradients(case):
    golden = GOLDEN[case]
    hp = golden["hp"]
    upper = None if hp["C"] == -1 else hp["C"]
    x, z = (golden[k].astype("float32") for k in ("x", "z"))
    loss = MMCLLoss(hp["sigma"], hp["reg"], upper)
    value, (to_x, to_z) = value_and_gradients(loss, x, z)
    np.testing.assert_allclose(value, golden["loss"], rtol=2e-5)
    weights = loss.weights(x, np.arange(len(x)))
    assert_close(weights, golden["alpha"], rtol=1e-5)

    # Of the authors' free variables; ours are normalised first.
    def tangential(gradient, at):
        return gradient - at * np.sum(gradient * at, axis=1, keepdims=True)

    assert_close(to_x, tangential(golden["grad_x"], golden["x"]), rtol=1e-4)
    assert_close(to_z, tangential(golden["grad_z"], golden["z"]), rtol=1e-4)


@pytest.mark.parametrize(("n", "dim"), [(2, 3), (9, 4), (40, 3)])
@pytest.mark.parametrize("sigma", [0.1, 1.0, 50.0])
@pytest.mark.parametrize("upper", [None, 2.0])
def test_naive_loop(n, dim, sigma, upper):
    x, z = unit(n, dim), unit(n, dim, seed=1)
    losses = []
    for i in range(n):
        others = np.delete(np.arange(n), i)
        a = np.linalg.solve(dual(x, i, sigma), np.full(n - 1, 2.0))
        a = np.clip(a, 0, upper)
        negatives = kernel(z[i : i + 1], x[others], sigma)[0]
        positive = kernel(x[i : i + 1], z[i : i + 1], sigma)[0, 0]
        losses.append(np.sum(a * (negatives - positive)))
    loss = MMCLLoss(sigma, upper=upper, reduction="none")
    actual = loss(3.0 * x, 0.1 * z)  # of any length
    np.testing.assert_allclose(actual, losses, rtol=2e-5, atol=1e-6 * n)


@pytest.mark.parametrize("upper", [None, 0.5])
def test_projected_gradient_solves_the_dual(upper):
    """The conditions of Karush, Kuhn and Tucker."""
    n, sigma = 12, 1.0
    x = unit(n, 4)
    loss = MMCLLoss(sigma, upper=upper, steps=300)
    weights = np.array(loss.weights(x, np.arange(n)))
    top = np.inf if upper is None else upper
    assert np.all(weights >= 0) and np.all(weights <= top)
    assert np.any(weights == 0) or upper
    for i in range(n):
        others = np.delete(np.arange(n), i)
        assert weights[i, i] == 0
        a = weights[i, others]
        slope = dual(x, i, sigma) @ a - 2
        assert np.all(np.abs(slope[(a > 0) & (a < top)]) < 1e-4)
        assert np.all(slope[a == 0] > -1e-4) and np.all(slope[a == top] < 1e-4)


def test_both_solutions_agree_where_no_bound_is_active():
    x = np.eye(6)  # all negatives are alike
    closed, steps = MMCLLoss(1.0), MMCLLoss(1.0, steps=200)
    weights = closed.weights(x, np.arange(6))
    assert np.all(weights.numpy()[~np.eye(6, dtype=bool)] > 0)
    assert_close(steps.weights(x, np.arange(6)), weights, rtol=1e-5)


def test_weights_have_no_gradient():
    x, z = (unit(6, 3, seed).astype("float32") for seed in (0, 1))
    loss = MMCLLoss(0.5)
    frozen = loss.weights(x, np.arange(6))
    held = MMCLLoss(0.5)
    held.weights = lambda *_: frozen
    for a, b in zip(
        value_and_gradients(loss, x, z)[1],
        value_and_gradients(held, x, z)[1],
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("steps", [None, 20])
def test_degenerate_batches(steps):
    loss = MMCLLoss(0.5, steps=steps)
    for x in (np.ones((4, 3)), np.zeros((4, 3)), np.eye(4)[:, :3]):
        value, gradients = value_and_gradients(loss, x.astype("float32"), x + 0.0)
        assert np.isfinite(value) and all(np.isfinite(g).all() for g in gradients)
    broken = np.full((4, 3), np.nan, "float32")
    assert np.isnan(loss(broken, broken))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("sigma", 0, "must be a finite number >= 1e-06.*sigma=0"),
        ("sigma", -1.0, "must be a finite number >= 1e-06.*sigma=-1.0"),
        ("regularization", 0.0, "must be a finite number >= 1e-06"),
        ("upper", -1, "must be a finite number >= 1e-06.*upper=-1"),
        ("steps", 0, "must be a positive integer.*steps=0"),
    ],
)
def test_bad_arguments(name, value, message):
    with pytest.raises(ValueError, match=f"`{name}` {message}"):
        MMCLLoss(**{"sigma": 1.0, name: value})


def test_a_batch_of_one_is_refused():
    with pytest.raises(ValueError, match="at least 2. Received: x.shape"):
        MMCLLoss(1.0)(np.ones((1, 3)), np.ones((1, 3)))

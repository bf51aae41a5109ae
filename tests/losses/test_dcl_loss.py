import golden_values
import numpy as np
import pytest
from loss_checks import assert_close, value_and_gradients

from keras_contrastive.losses import DCLLoss, NTXentLoss

GOLDEN = {k: v for k, v in golden_values.load("nnclr_dcl").items() if k[0] == "d"}


@pytest.mark.parametrize("case", GOLDEN)
@pytest.mark.parametrize("weighted", [False, True])
def test_authors_values_and_gradients(case, weighted):
    golden = GOLDEN[case]
    z_1, z_2 = golden["z1"].astype("float32"), golden["z2"].astype("float32")
    hp = golden["hp"]
    loss = DCLLoss(hp["temperature"], weighted, hp["sigma"])
    value, (to_1, to_2) = value_and_gradients(loss, z_1, z_2)
    key, gradients = ("loss_dcl", "dcl")
    if weighted:  # gradients pass through the weights
        key, gradients = ("loss_dclw", "dclw_authors_half")
    np.testing.assert_allclose(value, golden[key], rtol=3e-5)
    assert_close(to_1, golden[f"grad_z1_{gradients}"], rtol=5e-4)
    assert_close(to_2, golden[f"grad_z2_{gradients}"], rtol=5e-4)


def test_half_of_the_authors_loss():
    golden = GOLDEN["d01_N16_D32_t0.5"]
    value = DCLLoss(0.5)(golden["z1"], golden["z2"])
    np.testing.assert_allclose(2 * value, golden["loss_dcl_authors"], rtol=3e-5)
    weights = DCLLoss(0.5, weighted=True, reduction="none")
    cosines = [
        a @ b / np.linalg.norm(a) / np.linalg.norm(b)
        for a, b in zip(golden["z1"], golden["z2"], strict=True)
    ]
    found = weights._weights(np.array(cosines, "float32"))
    np.testing.assert_allclose(found, golden["weights"], rtol=1e-4)


def naive(z_1, z_2, temperature, sigma=None):
    """Anchor by anchor in float64, each against the images that are not its own."""
    z = np.concatenate([z_1, z_2]).astype("float64")
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    n = len(z_1)
    positive = np.array([z[i] @ z[n + i] for i in range(n)])
    weights = np.ones(n)
    if sigma is not None:
        weights = 2 - np.exp(positive / sigma) / np.mean(np.exp(positive / sigma))
    losses = np.zeros(n)
    for i in range(2 * n):
        others = [z[i] @ z[a] / temperature for a in range(2 * n) if a % n != i % n]
        top = max(others)
        log_sum = top + np.log(np.sum(np.exp(np.array(others) - top)))
        losses[i % n] += log_sum - weights[i % n] * positive[i % n] / temperature
    return losses / 2


@pytest.mark.parametrize("temperature", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("sigma", [None, 0.5, 2.0])
@pytest.mark.parametrize(("n", "dim"), [(2, 3), (9, 4)])
def test_naive_loop(n, dim, temperature, sigma):
    rng = np.random.default_rng(0)
    z_1 = rng.normal(size=(n, dim)).astype("float32")
    z_2 = z_1 + 0.3 * rng.normal(size=(n, dim)).astype("float32")
    loss = DCLLoss(temperature, sigma is not None, sigma or 0.5, reduction="none")
    expected = naive(z_1, z_2, temperature, sigma)
    np.testing.assert_allclose(loss(z_1, z_2), expected, 3e-5, 1e-5 / temperature)


@pytest.mark.parametrize("weighted", [False, True])
def test_closed_forms(weighted):
    n, temperature = 6, 0.5
    loss = DCLLoss(temperature, weighted)
    same = np.ones((n, 3))
    np.testing.assert_allclose(loss(same, same), np.log(2 * n - 2), rtol=1e-5)
    orthogonal = 5.0 * np.eye(n)  # the positives are alike: all weights are 1
    expected = np.log(2 * n - 2) - 1 / temperature
    np.testing.assert_allclose(loss(orthogonal, orthogonal), expected, rtol=1e-5)
    one, other = np.array([[3.0, 0.0]]), np.array([[1.0, 1.0]])
    np.testing.assert_allclose(loss(one, other), -np.sqrt(0.5) / temperature, rtol=1e-5)


def test_an_easy_positive_leaves_the_negatives_their_gradient():
    z_1 = np.array([[1.0, 0.0], [0.0, 1.0]])
    z_2 = z_1 + [[0.0, 1e-3], [1e-3, 0.0]]
    _, (coupled, _) = value_and_gradients(NTXentLoss(0.01), z_1, z_2)
    _, (decoupled, _) = value_and_gradients(DCLLoss(0.01), z_1, z_2)
    assert np.abs(coupled).max() < 1e-9 and np.abs(decoupled).max() > 10


@pytest.mark.parametrize("sigma", [0, -1.0, float("nan")])
def test_bad_sigma(sigma):
    with pytest.raises(ValueError, match="`sigma` must be a finite number.*Received: "):
        DCLLoss(0.1, weighted=True, sigma=sigma)

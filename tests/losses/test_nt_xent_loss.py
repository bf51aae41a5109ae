import golden_values
import numpy as np
import pytest
from loss_checks import assert_close, value_and_gradients

from keras_contrastive.losses import NTXentLoss, SupConLoss

GOLDEN = golden_values.load("ntxent_simclr")


def naive(z_1, z_2, temperature):
    """Equation 1 of the paper, anchor by anchor, in float64."""
    z = np.concatenate([z_1, z_2]).astype("float64")
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    n = len(z_1)
    losses = []
    for i in range(2 * n):
        others = [z[i] @ z[a] / temperature for a in range(2 * n) if a != i]
        positive = z[i] @ z[(i + n) % (2 * n)] / temperature
        top = max(others)
        losses.append(top - positive + np.log(sum(np.exp(np.array(others) - top))))
    return (np.array(losses[:n]) + losses[n:]) / 2


@pytest.mark.parametrize("case", GOLDEN)
def test_authors_values_and_gradients(case):
    golden = GOLDEN[case]
    if not golden["hp"]["hidden_norm"]:
        pytest.skip("this loss always normalises; the case does not")
    z_1, z_2 = golden["z1"].astype("float32"), golden["z2"].astype("float32")
    value, gradients = value_and_gradients(
        NTXentLoss(golden["hp"]["temperature"]), z_1, z_2
    )
    np.testing.assert_allclose(value, golden["loss_mean2N"], rtol=3e-5, atol=1e-9)
    np.testing.assert_allclose(2 * value, golden["loss_simclr_google"], rtol=3e-5)
    assert_close(gradients[0], golden["grad_z1_mean2N"], rtol=5e-4)
    assert_close(gradients[1], golden["grad_z2_mean2N"], rtol=5e-4)
    per_example = NTXentLoss(golden["hp"]["temperature"], reduction="none")(z_1, z_2)
    expected = (golden["loss_a"] + golden["loss_b"]) / 2
    np.testing.assert_allclose(per_example, expected, rtol=3e-5, atol=1e-9)


@pytest.mark.parametrize("temperature", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("dim", [2, 16])
@pytest.mark.parametrize("n", [1, 2, 9])
@pytest.mark.parametrize("noise", [0.1, 1.0])
def test_naive_loop(n, dim, temperature, noise):
    rng = np.random.default_rng(0)
    z_1 = rng.normal(size=(n, dim)).astype("float32")
    z_2 = z_1 + noise * rng.normal(size=(n, dim)).astype("float32")
    value = NTXentLoss(temperature, reduction="none")(z_1, z_2)
    expected = naive(z_1, z_2, temperature)
    np.testing.assert_allclose(value, expected, rtol=3e-5, atol=1e-9)


def test_views_may_be_swapped():
    z_1, z_2 = np.random.default_rng(0).normal(size=(2, 6, 4))
    loss = NTXentLoss(0.1, reduction="none")
    np.testing.assert_allclose(loss(z_1, z_2), loss(z_2, z_1), rtol=1e-6)


@pytest.mark.parametrize("temperature", [0.01, 0.5])
def test_closed_forms(temperature):
    loss, n = NTXentLoss(temperature), 6
    same = np.ones((n, 3))
    np.testing.assert_allclose(loss(same, same), np.log(2 * n - 1), rtol=1e-5)
    orthogonal = 5.0 * np.eye(n)
    expected = np.log1p((2 * n - 2) * np.exp(-1 / temperature))
    np.testing.assert_allclose(loss(orthogonal, orthogonal), expected, 1e-5, 1e-30)


def test_a_batch_of_one_has_no_negatives():
    z_1, z_2 = np.random.default_rng(0).normal(size=(2, 1, 4))
    value, gradients = value_and_gradients(NTXentLoss(), z_1, z_2)
    assert value == 0 and not np.any(gradients)


def test_is_supcon_without_labels():
    z = np.random.default_rng(0).normal(size=(5, 2, 4))
    np.testing.assert_allclose(
        NTXentLoss(0.3, reduction="none")(z[:, 0], z[:, 1]),
        SupConLoss(0.3, reduction="none")(None, z),
        rtol=1e-5,
    )

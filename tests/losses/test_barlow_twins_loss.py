import golden_values
import numpy as np
import pytest
from loss_checks import assert_close, value_and_gradients

from keras_contrastive.losses import BarlowTwinsLoss

GOLDEN = golden_values.load("barlow_twins")


@pytest.mark.parametrize("case", GOLDEN)
def test_authors_values_and_gradients(case):
    golden = GOLDEN[case]
    z_1, z_2 = (golden[k].astype("float32") for k in ("z1", "z2"))
    loss = BarlowTwinsLoss(golden["hp"]["lambd"])
    value, (to_1, to_2) = value_and_gradients(loss, z_1, z_2)
    np.testing.assert_allclose(value, golden["loss"], rtol=3e-5)
    assert_close(to_1, golden["grad_z1"], rtol=5e-4)
    assert_close(to_2, golden["grad_z2"], rtol=5e-4)


@pytest.mark.parametrize(("n", "dim"), [(2, 3), (9, 4)])
@pytest.mark.parametrize("weight", [0.0, 0.0051, 1.0])
def test_naive_loop(n, dim, weight):
    z_1, z_2 = np.random.default_rng(0).normal(3, 2, (2, n, dim))
    total = 0.0
    for i in range(dim):
        for j in range(dim):
            a, b = z_1[:, i], z_2[:, j]
            a = (a - a.mean()) / np.sqrt(a.var() + 1e-5)
            b = (b - b.mean()) / np.sqrt(b.var() + 1e-5)
            c = np.mean(a * b)
            total += (1 - c) ** 2 if i == j else weight * c**2
    value = BarlowTwinsLoss(weight)(z_1.astype("float32"), z_2.astype("float32"))
    np.testing.assert_allclose(value, total, rtol=3e-5)


def test_closed_forms():
    loss = BarlowTwinsLoss(0.5)
    z = np.random.default_rng(0).normal(size=(6, 3))
    # A batch of one, and a collapsed one, have no correlation.
    np.testing.assert_allclose(loss(z[:1], z[:1]), 3, rtol=1e-6)
    np.testing.assert_allclose(loss(0 * z + 7, 0 * z + 7), 3, rtol=1e-6)
    # Two equal dimensions: c is all ones.
    same = np.repeat(100 * z[:, :1], 2, axis=1)
    np.testing.assert_allclose(loss(same, same), 0.5 * 2, rtol=1e-4)
    # Scale and offset of a dimension do not matter, but for the epsilon.
    scaled = 50 * z * [1, 2, 3] + 8
    np.testing.assert_allclose(loss(scaled, z), loss(50 * z, z), rtol=1e-3)


@pytest.mark.parametrize("weight", [-0.1, float("nan")])
def test_bad_weight(weight):
    with pytest.raises(ValueError, match="`off_diagonal_weight`.*Received: "):
        BarlowTwinsLoss(weight)

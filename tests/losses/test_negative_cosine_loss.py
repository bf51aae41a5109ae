import golden_values
import numpy as np
import pytest
from loss_checks import assert_close, value_and_gradients

from keras_contrastive.losses import BYOLLoss, NegativeCosineLoss

GOLDEN = golden_values.load("byol_simsiam")


@pytest.mark.parametrize("case", GOLDEN)
def test_authors_values_and_gradients(case):
    golden = GOLDEN[case]
    p1, p2, z1, z2 = (golden[k].astype("float32") for k in ("p1", "p2", "z1", "z2"))
    loss = NegativeCosineLoss()
    value_1, (_, gradient_1) = value_and_gradients(loss, z2, p1)
    value_2, (_, gradient_2) = value_and_gradients(loss, z1, p2)
    value = (value_1 + value_2) / 2
    np.testing.assert_allclose(value, golden["simsiam_loss"], rtol=3e-5, atol=1e-6)
    assert_close(gradient_1 / 2, golden["grad_p1_simsiam"], rtol=5e-4)
    assert_close(gradient_2 / 2, golden["grad_p2_simsiam"], rtol=5e-4)


def test_naive_loop():
    target, prediction = np.random.default_rng(0).normal(3, 2, (2, 6, 5))
    expected = [
        -(t @ p) / np.sqrt(t @ t) / np.sqrt(p @ p)
        for t, p in zip(target, prediction, strict=True)
    ]
    values = NegativeCosineLoss(reduction="none")(target, prediction)
    np.testing.assert_allclose(values, expected, rtol=1e-5)


def test_no_gradient_reaches_the_target():
    target, prediction = np.random.default_rng(0).normal(size=(2, 5, 4))
    loss = NegativeCosineLoss()
    _, (to_target, to_prediction) = value_and_gradients(loss, target, prediction)
    assert not np.any(to_target) and np.any(to_prediction)


def test_closed_forms():
    loss = NegativeCosineLoss(reduction="none")
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    np.testing.assert_allclose(loss(x, 8 * x), -1, rtol=1e-6)
    np.testing.assert_allclose(loss(x, -3 * x), 1, rtol=1e-6)
    np.testing.assert_array_equal(loss(np.eye(4), np.eye(4)[::-1]), 0)
    np.testing.assert_array_equal(loss(x, 0 * x), 0)
    y = x[::-1]
    byol = BYOLLoss(reduction="none")(x, y)
    np.testing.assert_allclose(loss(x, y), byol / 2 - 1, rtol=1e-5, atol=1e-6)

import golden_values
import numpy as np
import pytest
from loss_checks import assert_close, value_and_gradients

from keras_contrastive.losses import BYOLLoss

GOLDEN = golden_values.load("byol_simsiam")


@pytest.mark.parametrize("case", GOLDEN)
def test_authors_values_and_gradients(case):
    golden = GOLDEN[case]
    p1, p2, z1, z2 = (golden[k].astype("float32") for k in ("p1", "p2", "z1", "z2"))
    value_1, (_, gradient_1) = value_and_gradients(BYOLLoss(), z2, p1)
    value_2, (_, gradient_2) = value_and_gradients(BYOLLoss(), z1, p2)
    np.testing.assert_allclose(value_1 + value_2, golden["byol_loss"], rtol=3e-5)
    assert_close(gradient_1, golden["grad_p1_byol"], rtol=5e-4)
    assert_close(gradient_2, golden["grad_p2_byol"], rtol=5e-4)
    values = BYOLLoss(reduction="none")(z2, p1)
    np.testing.assert_allclose(values, golden["byol_per_sample_p1_z2"], rtol=3e-5)


def test_no_gradient_reaches_the_target():
    target, prediction = np.random.default_rng(0).normal(size=(2, 5, 4))
    _, (to_target, to_prediction) = value_and_gradients(BYOLLoss(), target, prediction)
    assert not np.any(to_target) and np.any(to_prediction)


def test_closed_forms():
    loss = BYOLLoss(reduction="none")
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    np.testing.assert_array_equal(loss(x, 8 * x), 0)
    np.testing.assert_allclose(loss(x, -3 * x), 4, rtol=1e-6)
    np.testing.assert_allclose(loss(np.eye(4), np.eye(4)[::-1]), 2, rtol=1e-6)

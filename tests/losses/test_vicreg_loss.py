import golden_values
import numpy as np
import pytest
import tensorflow as tf
from loss_checks import assert_close, value_and_gradients

from keras_contrastive.losses import VICRegLoss

GOLDEN = golden_values.load("vicreg")
WEIGHTS = ("invariance", "variance", "covariance")


@pytest.mark.parametrize("case", GOLDEN)
def test_authors_values_and_gradients(case):
    golden = GOLDEN[case]
    z_1, z_2 = (golden[k].astype("float32") for k in ("z1", "z2"))
    weights = [golden["hp"][f"{k}_coeff"] for k in ("sim", "std", "cov")]
    value, (to_1, to_2) = value_and_gradients(VICRegLoss(*weights), z_1, z_2)
    np.testing.assert_allclose(value, golden["loss"], rtol=3e-5)
    assert_close(to_1, golden["grad_z1"], rtol=5e-4)
    assert_close(to_2, golden["grad_z2"], rtol=5e-4)
    for i, part in enumerate(("inv", "var", "cov")):
        value = VICRegLoss(*np.eye(3)[i])(z_1, z_2)
        np.testing.assert_allclose(value, golden[part], rtol=3e-5)
    weights[1] *= 2  # what other code has
    value = VICRegLoss(*weights)(z_1, z_2)
    np.testing.assert_allclose(value, golden["loss_solo"], rtol=3e-5)


@pytest.mark.parametrize(("n", "dim"), [(2, 3), (9, 4)])
@pytest.mark.parametrize("scale", [0.3, 3.0])
def test_naive_loop(n, dim, scale):
    views = np.random.default_rng(0).normal(3, scale, (2, n, dim))
    total = 7.0 * np.mean([(a - b) ** 2 for a, b in zip(*views, strict=True)])
    for z in views:
        for i in range(dim):
            deviation = np.sqrt(z[:, i].var(ddof=1) + 1e-4)
            total += 5.0 * max(1 - deviation, 0) / dim / 2
            for j in set(range(dim)) - {i}:
                products = (z[:, i] - z[:, i].mean()) * (z[:, j] - z[:, j].mean())
                total += 3.0 * (np.sum(products) / (n - 1)) ** 2 / dim
    value = VICRegLoss(7, 5, 3)(*views.astype("float32"))
    np.testing.assert_allclose(value, total, rtol=3e-5)


def test_closed_forms():
    loss = VICRegLoss(2, 3, 5)
    z = np.random.default_rng(0).normal(size=(6, 4))
    collapsed = 0 * z + 7
    np.testing.assert_allclose(loss(collapsed, collapsed), 3 * 0.99, rtol=1e-5)
    # An offset of both matters nothing, of one the invariance alone.
    np.testing.assert_allclose(loss(z + 2, z + 2), loss(z, z), rtol=1e-4)
    np.testing.assert_allclose(loss(z + 2, z), loss(z, z) + 2 * 4, rtol=1e-4)
    np.testing.assert_allclose(loss(z, z[:, ::-1]), loss(z[:, ::-1], z), rtol=1e-5)
    # One dimension twice, of variance 4: each view has 2 covariances of 4.
    same = np.array([[-2.0, -2.0], [0.0, 0.0], [2.0, 2.0]])
    np.testing.assert_allclose(loss(same, same), 5 * 2 * 2 * 16 / 2, rtol=1e-5)


def test_gradients_are_finite_and_do_not_vanish_when_all_is_collapsed():
    z = np.full((4, 3), 0.5) + 1e-3 * np.random.default_rng(0).normal(size=(4, 3))
    for x in (z, np.full((4, 3), 0.5)):
        _, gradients = value_and_gradients(VICRegLoss(), x, x)
        assert np.isfinite(gradients).all()
    assert np.abs(value_and_gradients(VICRegLoss(), z, z)[1][0]).max() > 0.1


def test_a_batch_of_one_is_refused_where_it_is_known_and_finite_elsewhere():
    one = np.ones((1, 3), "float32")
    with pytest.raises(ValueError, match=r"at least 2. Received: z_1.shape=\(1, 3\)"):
        VICRegLoss()(one, one)
    unknown = tf.function(
        VICRegLoss(), input_signature=[tf.TensorSpec([None, 3])] * 2, autograph=False
    )
    np.testing.assert_allclose(unknown(one, one), 25 * 0.99, rtol=1e-5)


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("value", [-0.1, float("nan"), None])
def test_bad_weights(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be a number >= 0.*Received: "):
        VICRegLoss(**{name: value})

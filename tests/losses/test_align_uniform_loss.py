import golden_values
import numpy as np
import pytest
import tensorflow as tf
from loss_checks import assert_close, value_and_gradients

from keras_contrastive.evaluation import alignment, uniformity
from keras_contrastive.losses import AlignUniformLoss

GOLDEN = golden_values.load("align_uniform")


def arguments(hp):
    return hp["alpha"], hp["t"], hp["align_w"], hp["unif_w"]


@pytest.mark.parametrize("case", GOLDEN)
def test_authors_values_and_gradients(case):
    golden = GOLDEN[case]
    x, y = (golden[k].astype("float32") for k in ("raw_x", "raw_y"))
    alpha, t, *weights = arguments(golden["hp"])
    loss = AlignUniformLoss(alpha, t, *weights)
    value, (to_x, to_y) = value_and_gradients(loss, x, y)
    np.testing.assert_allclose(value, golden["loss"], rtol=3e-5)
    assert_close(to_x, golden["grad_raw_x"], rtol=5e-4)
    assert_close(to_y, golden["grad_raw_y"], rtol=5e-4)
    align = AlignUniformLoss(alpha, t, 1, 0)(golden["x"], golden["y"])
    np.testing.assert_allclose(align, golden["align"], rtol=3e-5)
    uniform = AlignUniformLoss(alpha, t, 0, 1)(golden["x"], golden["x"])
    np.testing.assert_allclose(uniform, golden["uniform_x"], rtol=3e-5)


@pytest.mark.parametrize(("n", "dim"), [(2, 3), (9, 4)])
@pytest.mark.parametrize("alpha", [0.5, 1, 2, 3])
@pytest.mark.parametrize("t", [0.1, 2, 50])
def test_naive_loop_and_the_functions_of_evaluation(n, dim, alpha, t):
    views = np.random.default_rng(0).normal(1, 2, (2, n, dim))
    x, y = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in views)
    total = 3 * np.mean([np.linalg.norm(x[i] - y[i]) ** alpha for i in range(n)])
    for z in (x, y):
        kernels = [
            np.exp(-t * np.sum((z[i] - z[j]) ** 2)) for i in range(n) for j in range(i)
        ]
        total += 0.5 * np.log(np.mean(kernels)) / 2
    value = AlignUniformLoss(alpha, t, 3, 0.5)(*views)
    np.testing.assert_allclose(value, total, rtol=3e-5, atol=1e-6)
    uniform = (uniformity(views[0], t) + uniformity(views[1], t)) / 2
    expected = 3 * alignment(*views, alpha) + 0.5 * uniform
    np.testing.assert_allclose(value, expected, rtol=3e-5, atol=1e-6)


def test_closed_forms():
    x = np.array([[1.0, 0.0], [-3.0, 0.0]])
    loss = AlignUniformLoss(alpha=3, t=5, align_weight=2, uniform_weight=7)
    np.testing.assert_allclose(loss(x, x), 7 * -5 * 4, rtol=1e-5)
    np.testing.assert_allclose(loss(x, -x), 2 * 2**3 + 7 * -5 * 4, rtol=1e-5)
    collapsed = np.ones((4, 3))
    np.testing.assert_allclose(loss(collapsed, collapsed), 0, atol=1e-4)


@pytest.mark.parametrize("alpha", [0.5, 1, 2])
def test_equal_views_have_finite_gradients(alpha):
    x = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    for views in ((x, x), (0 * x, 0 * x), (0 * x + 1, 0 * x + 1)):
        value, gradients = value_and_gradients(AlignUniformLoss(alpha), *views)
        assert np.isfinite(value) and np.isfinite(gradients).all()
    align = AlignUniformLoss(alpha, uniform_weight=0)
    value, gradients = value_and_gradients(align, x, x)
    assert value == 0 and not np.any(gradients)


def test_a_batch_of_one_is_refused_where_it_is_known_and_finite_elsewhere():
    one, other = np.array([[1.0, 0.0]], "float32"), np.array([[0.0, 1.0]], "float32")
    with pytest.raises(ValueError, match=r"at least 2. Received: x.shape=\(1, 2\)"):
        AlignUniformLoss()(one, other)
    unknown = tf.function(
        AlignUniformLoss(),
        input_signature=[tf.TensorSpec([None, 2])] * 2,
        autograph=False,
    )
    np.testing.assert_allclose(unknown(one, other), 2, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("alpha", 0, "must be a finite number >= 1e-06.*alpha=0"),
        ("t", -2, "must be a finite number >= 1e-06.*t=-2"),
        ("align_weight", -1, "must be a number >= 0.*align_weight=-1"),
        ("uniform_weight", float("nan"), "must be a number >= 0.*nan"),
    ],
)
def test_bad_arguments(name, value, message):
    with pytest.raises(ValueError, match=f"`{name}` {message}"):
        AlignUniformLoss(**{name: value})

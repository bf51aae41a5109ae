import golden_values
import numpy as np
import pytest
import tensorflow as tf
from loss_checks import assert_close

from keras_contrastive.losses import NCELoss

GOLDEN = {k: v for k, v in golden_values.load("nce_cmc").items() if k.endswith("nce")}


def naive(Z, scores, n):
    """The authors' terms one by one, in float64."""
    losses = []
    for row in scores.astype("float64"):
        p, noise = np.exp(row) / Z, (len(row) - 1) / n
        own = np.log(p[0] / (p[0] + noise + 1e-7))
        losses.append(-own - sum(np.log(noise / (x + noise + 1e-7)) for x in p[1:]))
    return np.array(losses)


@pytest.mark.parametrize("side", ["l", "ab"])
@pytest.mark.parametrize("case", GOLDEN)
def test_authors_values_and_gradients(case, side):
    golden = GOLDEN[case]
    hp, feature = golden["hp"], tf.constant(golden[side], "float32")
    bank = golden["memory_ab" if side == "l" else "memory_l"].astype("float32")
    with tf.GradientTape() as tape:
        tape.watch(feature)
        scores = tf.einsum("nkd,nd->nk", bank[golden["idx"]], feature) / hp["T"]
        loss = NCELoss(hp["n_data"])(golden[f"Z_{side}"], scores)
    np.testing.assert_allclose(loss, golden[f"loss_{side}"], rtol=3e-5)
    gradient = tape.gradient(loss, feature)
    assert_close(gradient, golden[f"grad_{side}"], rtol=5e-4)


@pytest.mark.parametrize("scale", [1.0, 14.0, 80.0])
@pytest.mark.parametrize(("n", "negatives"), [(1, 1), (4, 9)])
def test_naive_loop(n, negatives, scale):
    scores = np.random.default_rng(0).uniform(-scale, scale, (n, 1 + negatives))
    loss = NCELoss(50, reduction="none")
    for Z in (3.0, 1e8):
        values = loss(Z, scores.astype("float32"))
        np.testing.assert_allclose(values, naive(Z, scores, 50), rtol=3e-5, atol=1e-6)


def test_limits():
    """A positive that is surely found, and scores beyond the range of exp."""
    loss = NCELoss(10)
    assert float(loss(1.0, np.array([[1000.0, -1000.0]]))) == pytest.approx(0, abs=1e-5)
    assert float(loss(1.0, np.array([[-1000.0, 0.0]]))) > 1000


def test_no_gradient_reaches_the_constant():
    Z = tf.Variable(5.0)
    with tf.GradientTape() as tape:
        value = NCELoss(10)(Z, tf.ones((2, 4)))
    assert tape.gradient(value, Z) is None


def test_bad_input():
    for number in (0, -1, 2.5, True, None):
        with pytest.raises(ValueError, match="`num_examples` must be.*Received: "):
            NCELoss(number)
    with pytest.raises(ValueError, match=r"`Z` must have shape \(\)"):
        NCELoss(10)(np.ones(2), np.ones((2, 4)))
    with pytest.raises(ValueError, match="at least one negative"):
        NCELoss(10)(1.0, np.ones((2, 1)))
    with pytest.raises(ValueError, match="`scores` must have shape"):
        NCELoss(10)(1.0, np.ones(4))

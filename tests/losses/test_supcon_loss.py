import golden_values
import numpy as np
import pytest
import tensorflow as tf
from loss_checks import assert_close, value_and_gradients

from keras_contrastive.losses import SupConLoss

GOLDEN = golden_values.load("supcon")


def naive(labels, z, temperature):
    """Equation 2 of the paper, anchor by anchor, in float64; view-major rows."""
    n, views, dim = z.shape
    z = z.swapaxes(0, 1).reshape(-1, dim).astype("float64")
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    labels = np.tile(np.arange(n) if labels is None else labels, views)
    losses = []
    for i in range(len(z)):
        others = [a for a in range(len(z)) if a != i]
        positives = [p for p in others if labels[p] == labels[i]]
        if not positives:
            losses.append(0.0)
            continue
        logits = np.array([z[i] @ z[a] / temperature for a in others])
        log_sum = logits.max() + np.log(np.exp(logits - logits.max()).sum())
        losses.append(np.mean([log_sum - z[i] @ z[p] / temperature for p in positives]))
    return np.reshape(losses, (views, n)).mean(axis=0)


@pytest.mark.parametrize("case", GOLDEN)
def test_authors_values_and_gradients(case):
    golden = GOLDEN[case]
    hp = golden["hp"]
    if hp["contrast_mode"] == "one" or hp["labels"] == "mask":
        pytest.skip("anchors of one view only, or a mask for labels: not offered")
    z, labels = golden["raw"].astype("float32"), golden.get("labels")
    temperature, base = hp["temperature"], hp["base_temperature"]
    value, (gradient,) = value_and_gradients(SupConLoss(temperature), labels, z)
    np.testing.assert_allclose(value, golden["loss_unscaled"], rtol=3e-5)
    assert_close(gradient, golden["grad_raw"] * base / temperature, rtol=5e-4)
    scaled, (gradient,) = value_and_gradients(SupConLoss(temperature, base), labels, z)
    np.testing.assert_allclose(scaled, golden["loss"], rtol=3e-5)
    assert_close(gradient, golden["grad_raw"], rtol=5e-4)
    google = SupConLoss(temperature, base_temperature=1.0)(labels, z)
    np.testing.assert_allclose(google, golden["loss_google_scaled"], rtol=3e-5)


@pytest.mark.parametrize("temperature", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("views", [1, 2, 3])
@pytest.mark.parametrize("n", [1, 4, 9])
@pytest.mark.parametrize("classes", [None, 1, 3])
def test_naive_loop(n, views, temperature, classes):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(n, views, 8)).astype("float32")
    labels = None if classes is None else rng.integers(classes, size=n)
    value = SupConLoss(temperature, reduction="none")(labels, z)
    np.testing.assert_allclose(
        value, naive(labels, z, temperature), rtol=3e-5, atol=1e-6
    )


def test_singletons_contribute_nothing_but_count():
    z, labels = np.random.default_rng(0).normal(size=(3, 1, 4)), np.array([0, 0, 7])
    value, (gradient,) = value_and_gradients(
        SupConLoss(reduction="none"), labels, z.astype("float32")
    )
    assert value[2] == 0 and np.all(value[:2].numpy() > 0)
    assert np.isfinite(gradient).all()
    assert SupConLoss()(labels, z) == tf.reduce_sum(value) / 3


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_large_ids_stay_exact(dtype):
    ids = np.array([2**24, 2**24 + 1, 2**53, 2**53 + 1, 2**62, 2**62 + 1], dtype)
    z = np.random.default_rng(0).normal(size=(6, 2, 4))
    loss = SupConLoss(reduction="none")
    np.testing.assert_array_equal(loss(ids, z), loss(np.arange(6), z))
    np.testing.assert_array_equal(loss(ids.tolist(), z), loss(None, z))


def test_closed_forms():
    loss, labels, same = SupConLoss(0.01), np.array([0, 0, 1, 1]), np.ones((4, 2, 3))
    np.testing.assert_allclose(loss(labels, same), np.log(7), rtol=1e-5)
    np.testing.assert_allclose(loss(None, same), np.log(7), rtol=1e-5)
    # Two orthogonal classes, each at one point: 3 positives, 4 negatives.
    classes = np.repeat(np.eye(2)[labels][:, None], 2, axis=1)
    expected = np.log(3 + 4 * np.exp(-1 / 0.5))
    np.testing.assert_allclose(SupConLoss(0.5)(labels, classes), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("labels", "z", "message"),
    [
        (np.zeros(4), (4, 2, 3), "must be integers.*labels.dtype=float64.*Cast"),
        (np.zeros((4, 1), int), (4, 2, 3), r"`labels` must have shape \(batch\).*one-"),
        (np.zeros(5, int), (4, 2, 3), r"same batch size. Received: \(5,\) and \(4,\)"),
        (np.zeros(4, int), (4, 3), r"`z` must have shape \(batch, views, dim\).*Stack"),
    ],
)
def test_bad_arguments(labels, z, message):
    with pytest.raises(ValueError, match=message):
        SupConLoss()(labels, np.ones(z))

"""NNCLR against the authors' steps, and support sets that are too small."""

import golden_values
import numpy as np
import pytest
import tensorflow as tf
from helpers import arrays, build, dataset, head, inputs, sgd, tiny_encoder

import keras_contrastive as kc

GOLDEN = {k: v for k, v in golden_values.load("nnclr_dcl").items() if k[0] == "n"}


def unit(x):
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def of_golden(case):
    """A model with the support set of that case; only its heads' sizes matter."""
    hp, golden = GOLDEN[case]["hp"], GOLDEN[case]
    size, dim = golden["support"].shape
    model = kc.NNCLR(
        tiny_encoder(),
        kc.layers.ProjectionHead(dim),
        kc.layers.ProjectionHead(dim),
        temperature=hp["temperature"],
        queue_size=size,
    )
    model.queue.set_weights([golden["support"], np.array(0)])
    model.compile(sgd())
    return model, {k: v.astype("float32") for k, v in golden.items() if k != "hp"}


@pytest.mark.parametrize("case", GOLDEN)
def test_neighbours_loss_gradients_and_support_set_of_the_authors(case):
    model, golden = of_golden(case)
    support = golden["support"]
    n_1, n_2 = (model.nearest(golden[f"raw_z{i}"]) for i in (1, 2))
    for n, i in ((n_1, 1), (n_2, 2)):
        np.testing.assert_allclose(n, support[golden[f"nn_idx{i}"].astype(int)])
    p_1, p_2 = (tf.constant(golden[f"raw_p{i}"]) for i in (1, 2))
    with tf.GradientTape() as tape:
        tape.watch((p_1, p_2))
        outputs = {"directions": ((p_2, n_1), (p_1, n_2)), "new": golden["raw_z1"]}
        value = model.contrastive_loss(outputs, kc.Batch(()))
    np.testing.assert_allclose(value, golden["loss"], rtol=3e-5)
    one_way = model.loss((p_2, None), n_1)
    np.testing.assert_allclose(one_way, golden["loss_nn1_p2"], rtol=3e-5)
    for i, gradient in enumerate(tape.gradient(value, (p_1, p_2)), start=1):
        expected = golden[f"grad_raw_p{i}"]
        atol = 5e-4 * np.abs(expected).max()
        np.testing.assert_allclose(gradient, expected, atol=atol)
    model.after_step(outputs, None, True)
    np.testing.assert_allclose(model.queue.value, golden["support_after"], atol=1e-6)


def test_a_step_by_the_paper():
    """Neighbours come from the old support set, then z_1 alone enters it."""
    model = build("nnclr")
    model.compile(sgd(0.0))
    views, labels = inputs(model, 8)
    Q = np.array(model.queue.value, "float64")
    z = [model.projector(model.encoder(v, training=True), training=True) for v in views]
    p = [unit(np.array(model.predictor(x, training=True), "float64")) for x in z]
    z = [unit(np.array(x, "float64")) for x in z]
    losses = []
    for a, b in ((0, 1), (1, 0)):
        for i in range(8):
            neighbour = max(Q, key=lambda q, i=i, a=a: q @ z[a][i])
            scores = [neighbour @ p[b][j] / 0.1 for j in range(8)]
            losses.append(np.logaddexp.reduce(scores) - scores[i])
    logs = model.train_on_batch(views, labels, return_dict=True)
    assert logs["loss"] == pytest.approx(np.mean(losses), rel=1e-4)
    np.testing.assert_allclose(model.queue.value[:8], z[0], atol=1e-5)
    np.testing.assert_allclose(model.queue.value[8:], Q[8:], atol=1e-6)


def test_embeddings_that_are_all_the_same_or_zero_are_finite():
    model = build("nnclr")
    model.compile(sgd())
    for value in (0.0, 3.0):
        z = tf.fill((8, 4), value)
        neighbours = model.nearest(z)
        assert np.isfinite(neighbours).all()
        outputs = {"directions": ((z, neighbours),)}
        loss = float(model.contrastive_loss(outputs, kc.Batch(())))
        assert loss == pytest.approx(np.log(8), rel=1e-5)


def test_a_support_set_smaller_than_a_batch():
    views, labels = arrays(32)
    batches = dataset(batch=32)
    unknown = batches.map(
        lambda x, y: (
            tuple(tf.compat.v1.placeholder_with_default(v, (None, 8, 8, 3)) for v in x),
            y,
        )
    )
    model = build("nnclr")
    model.compile(sgd(), jit_compile=False)
    before = [np.array(v) for v in model.variables if v.dtype == "float32"]
    message = "at most 24. Received: a batch of 32. .* larger `queue_size`"
    for run in (
        lambda: model.fit(batches, verbose=0),
        lambda: model.fit(unknown, verbose=0),
        lambda: model.fit(tuple(views), labels, batch_size=32, verbose=0),
    ):
        with pytest.raises(ValueError, match=message):
            run()
    after = [np.array(v) for v in model.variables if v.dtype == "float32"]
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)
    model.fit(dataset(n=24, batch=24), verbose=0)
    with pytest.raises(ValueError, match="`size` must be a positive integer.*size=0"):
        kc.NNCLR(tiny_encoder(), head(), head(), queue_size=0)


def test_defaults_are_the_papers():
    model = kc.NNCLR(tiny_encoder(), queue_size=8)
    assert model.projector.hidden_units == (2048, 2048)
    assert model.predictor.hidden_units == (4096,)
    assert model.temperature == model.default_loss().temperature == 0.1
    assert kc.recipes.NNCLR_IMAGENET.method_arguments["queue_size"] == 98304

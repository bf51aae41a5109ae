"""MoCo against the authors' steps, and its shuffled batch norm."""

import golden_values
import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import build, head, inputs, sgd, tiny_encoder

import keras_contrastive as kc
from keras_contrastive import distribute

GOLDEN = golden_values.load("moco")
TRACE = GOLDEN.pop("t00_trace")


def unit(x):
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def test_loss_and_queue_follow_the_authors_step_by_step():
    hp = TRACE["hp"]
    queue = kc.layers.FeatureQueue(hp["K"], hp["D"])
    queue.set_weights([TRACE["queue_init"], np.array(0)])
    loss = kc.losses.InfoNCELoss(hp["temperature"])
    for step in range(hp["steps"]):
        q = TRACE["x_q"][step] @ TRACE["W_q"][step].T
        k = unit(TRACE["x_k"][step] @ TRACE["W_k_after"][step].T)
        value = loss((k, queue.value), q)
        np.testing.assert_allclose(value, TRACE["loss"][step], rtol=3e-5)
        queue.enqueue(k)
        expected = TRACE["queue_after"][step]
        np.testing.assert_allclose(queue.value, expected, atol=1e-6)


@pytest.mark.parametrize("case", GOLDEN)
def test_version_3_has_the_authors_loss_and_gradients(case):
    golden = GOLDEN[case]
    q_1, q_2, k_1, k_2 = (
        tf.constant(golden[f"v3_raw_{name}"].astype("float32"))
        for name in ("q1", "q2", "k1", "k2")
    )
    t = golden["hp"]["temperature"]
    model = kc.MoCo(tiny_encoder(), head(), 3, t, predictor=head())
    model.compile(sgd())
    with tf.GradientTape() as tape:
        tape.watch((q_1, q_2))
        outputs = {"pairs": [(k_2, q_1), (k_1, q_2)]}
        value = model.contrastive_loss(outputs, None)
    np.testing.assert_allclose(value, golden["loss_v3"], rtol=3e-5)
    for i, gradient in enumerate(tape.gradient(value, (q_1, q_2)), start=1):
        expected = golden[f"grad_v3_raw_q{i}"]
        atol = 5e-4 * np.abs(expected).max()
        np.testing.assert_allclose(gradient, expected, atol=atol)
    one_way = model.contrastive_loss({"pairs": [(k_2, q_1)]}, None)
    np.testing.assert_allclose(one_way, golden["loss_v3_q1_k2"], rtol=3e-5)


def test_a_step_of_version_3_by_the_paper():
    model = build("moco_v3")
    model.compile(sgd(0.0))
    views, labels = inputs(model, 8)
    z = [model.projector(model.encoder(v, training=True), training=True) for v in views]
    q = [unit(np.array(model.predictor(x, training=True), "float64")) for x in z]
    k = [unit(np.array(model.target(v, training=True), "float64")) for v in views]
    expected = 0.0
    for mine, other in ((0, 1), (1, 0)):
        scores = q[mine] @ k[other].T / model.temperature
        losses = np.logaddexp.reduce(scores, axis=1) - np.diag(scores)
        expected += 2 * model.temperature * np.mean(losses)
    logs = model.train_on_batch(views, labels, return_dict=True)
    assert logs["loss"] == pytest.approx(expected, rel=1e-5)


def test_without_a_queue_the_batch_has_the_candidates():
    """In any version; the mean of both directions where it is none of version 3."""
    model = kc.MoCo(tiny_encoder(), head(), queue_size=0, symmetric=True)
    model.compile(sgd())
    k_1, k_2, q_1, q_2 = np.random.default_rng(0).normal(size=(4, 8, 4))
    outputs = {"pairs": [(k_2, q_1), (k_1, q_2)]}
    expected = [model.loss((k, None), q) for k, q in outputs["pairs"]]
    value = model.contrastive_loss(outputs, None)
    np.testing.assert_allclose(value, np.mean(expected), rtol=1e-6)
    model.after_step(outputs, None, True)
    assert model.queue is None


def test_versions_have_their_heads_and_temperatures():
    model = kc.MoCo(tiny_encoder(), version=3)
    assert model.projector.hidden_units == model.predictor.hidden_units == (4096,)
    assert model.temperature == model.default_loss().temperature == 1.0
    assert model.queue is None and model.symmetric
    rule = model.default_momentum_update()
    assert (rule.start, rule.end, rule.schedule) == (0.99, 1.0, "cosine")
    for version, hidden, temperature in ((1, (), 0.07), (2, (6,), 0.2)):
        model = kc.MoCo(tiny_encoder(), version=version, queue_size=8)
        assert model.projector.hidden_units == hidden
        assert model.temperature == temperature == model.default_loss().temperature
        rule = model.default_momentum_update()
        assert (rule.start, rule.schedule) == (0.999, "constant")
        assert model.predictor is None and not model.symmetric
    assert kc.MoCo(tiny_encoder(), head(), 2, 0.5, queue_size=8).temperature == 0.5
    with pytest.raises(ValueError, match="`temperature` must.*temperature=0.0"):
        kc.MoCo(tiny_encoder(), head(), temperature=0.0, queue_size=8)
    with pytest.raises(ValueError, match="`version` must be 1, 2 or 3.*version=4"):
        kc.MoCo(tiny_encoder(), version=4)


def test_keys_are_dealt_out_anew_where_batch_norm_is_per_replica(strategy_of):
    """Each replica normalises a random share, and gets its own results back."""
    x = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
    strategy = strategy_of(2)
    parts = strategy.experimental_distribute_values_from_function(
        lambda c: tf.constant(np.split(x, 2)[c.replica_id_in_sync_group])
    )

    def centred(share):  # as batch norm, it sees its batch alone
        return share - tf.reduce_mean(share, axis=0)

    run = tf.function(
        lambda x: strategy.run(lambda x: distribute.on_shuffled(centred, x, 3), (x,))
    )
    found = np.concatenate(strategy.experimental_local_results(run(parts)))
    order = tf.random.experimental.stateless_shuffle(tf.range(8), [3, 0]).numpy()
    expected = np.empty_like(x)
    for share in np.split(order, 2):
        expected[share] = x[share] - x[share].mean(axis=0)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert set(order[:4]) != set(range(4))
    np.testing.assert_allclose(
        distribute.on_shuffled(centred, x, 3), centred(x), atol=1e-6
    )


def test_only_encoders_with_their_own_batch_norm_need_it():
    assert not build("moco").shuffles_keys
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.BatchNormalization()(inputs)
    plain = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))
    assert kc.MoCo(plain, head(), queue_size=8).shuffles_keys

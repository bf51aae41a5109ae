"""MoCo against the authors' steps, and its shuffled batch norm."""

import golden_values
import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import build, head, tiny_encoder

import keras_contrastive as kc
from keras_contrastive import distribute

TRACE = golden_values.load("moco")["t00_trace"]


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


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


def test_versions_have_their_heads_and_temperatures():
    for version, hidden, temperature in ((1, (), 0.07), (2, (6,), 0.2)):
        model = kc.MoCo(tiny_encoder(), version=version, queue_size=8)
        assert model.projector.hidden_units == hidden
        assert model.temperature == temperature == model.default_loss().temperature
        rule = model.default_momentum_update()
        assert (rule.start, rule.schedule) == (0.999, "constant")
    assert kc.MoCo(tiny_encoder(), head(), 2, 0.5, queue_size=8).temperature == 0.5
    with pytest.raises(ValueError, match="`temperature` must.*temperature=0.0"):
        kc.MoCo(tiny_encoder(), head(), temperature=0.0, queue_size=8)
    with pytest.raises(ValueError, match="`version` must be 1 or 2.*version=4"):
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

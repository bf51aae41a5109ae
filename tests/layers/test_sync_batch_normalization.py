import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_contrastive as kc


def pair(shape=(6, 5, 4, 3), **kwargs):
    """Our layer and Keras's, with the same weights."""
    ours = kc.layers.SyncBatchNormalization(**kwargs)
    stock = keras.layers.BatchNormalization(
        momentum=0.9, epsilon=1e-5, synchronized=True, **kwargs
    )
    for layer in (ours, stock):
        layer.build(shape)
    rng = np.random.default_rng(0)
    weights = [rng.uniform(0.5, 2.0, w.shape) for w in ours.weights]
    ours.set_weights(weights)
    stock.set_weights(weights)
    return ours, stock, rng.normal(3.0, 2.0, shape).astype("float32")


def step(layer, x):
    """Output, gradients of x and of the weights, and moving statistics after it."""
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
        loss = tf.reduce_sum(tf.sin(tf.cast(y, "float32")))
    gradients = tape.gradient(loss, [x, *layer.trainable_variables])
    return [y, *gradients, *layer.get_weights()]


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("center", [True, False])
def test_equals_keras(scale, center):
    ours, stock, x = pair(scale=scale, center=center)
    for a, b in zip(step(ours, x), step(stock, x), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)
    np.testing.assert_allclose(ours(x), stock(x), rtol=1e-4, atol=1e-6)  # inference


def test_moving_variance_is_of_the_biased_variance():
    ours, _, x = pair((2, 1, 1, 3))
    before = np.array(ours.moving_variance)
    ours(x, training=True)
    expected = 0.9 * before + 0.1 * x.var(axis=(0, 1, 2))
    np.testing.assert_allclose(ours.moving_variance, expected, rtol=1e-5)


def test_frozen_layer_uses_moving_statistics():
    ours, stock, x = pair()
    ours.trainable = stock.trainable = False
    np.testing.assert_allclose(ours(x, training=True), stock(x), rtol=1e-5)


def test_unknown_batch_size_and_jit():
    ours, stock, x = pair()
    for jit_compile in (False, True):
        run = tf.function(
            lambda x: ours(x, training=True),
            jit_compile=jit_compile,
            input_signature=[tf.TensorSpec((None, 5, 4, 3))],
        )
        np.testing.assert_allclose(
            run(x), stock(x, training=True), rtol=1e-4, atol=1e-5
        )


def test_replicas_share_statistics(strategy_of):
    one, _, x = pair()
    strategy = strategy_of(2)
    with strategy.scope():
        many = pair()[0]
    parts = strategy.experimental_distribute_values_from_function(
        lambda c: tf.constant(np.split(x, 2)[c.replica_id_in_sync_group])
    )
    run = tf.function(lambda x: strategy.run(lambda x: many(x, training=True), (x,)))
    outputs = np.concatenate(strategy.experimental_local_results(run(parts)))
    np.testing.assert_allclose(outputs, one(x, training=True), rtol=1e-4, atol=1e-5)
    for a, b in zip(one.get_weights(), many.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    ours, stock, x = pair(dtype=policy)
    y = ours(x, training=True)
    assert keras.backend.standardize_dtype(y.dtype) == policy.removeprefix("mixed_")
    expected = np.array(tf.cast(stock(x, training=True), "float32"))
    np.testing.assert_allclose(tf.cast(y, "float32"), expected, rtol=0.03, atol=0.05)


def test_config_round_trip():
    ours, _, x = pair(scale=False)
    config = keras.saving.serialize_keras_object(ours)
    copy = keras.saving.deserialize_keras_object(config)
    assert copy.get_config() == ours.get_config()
    assert isinstance(copy, kc.layers.SyncBatchNormalization)

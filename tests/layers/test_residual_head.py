"""The heads of DIM and AMDIM, and the layer that reverses gradients."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_contrastive.layers import GradientReversal, ResidualHead

MAP = np.random.default_rng(0).normal(size=(4, 2, 3, 5)).astype("float32")


@pytest.mark.parametrize("hidden_norm", [True, False])
@pytest.mark.parametrize("layer_norm", [True, False])
def test_equals_the_formula(hidden_norm, layer_norm):
    keras.utils.set_random_seed(0)
    head = ResidualHead(6, hidden_norm, layer_norm)
    actual = head(MAP, training=True)

    def normal(x, axis):
        variance = x.var(axis, keepdims=True) + 1e-5
        return (x - x.mean(axis, keepdims=True)) / np.sqrt(variance)

    places = (0, 1, 2)
    x = MAP @ np.array(head.hidden.kernel)
    x = np.maximum(normal(x, places) if hidden_norm else x, 0)
    x = x @ np.array(head.last.kernel) + MAP @ np.array(head.shortcut.kernel)
    expected = normal(x, -1 if layer_norm else places)
    np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-4)


def test_begins_as_a_noisy_copy():
    keras.utils.set_random_seed(0)
    head = ResidualHead(7, hidden_norm=False, layer_norm=False, zero_init=True)
    head.build((None, 5))
    kernel = np.array(head.shortcut.kernel)
    np.testing.assert_array_equal(np.diag(kernel), 1.0)
    noise = kernel[np.eye(5, 7) == 0]
    assert 0 < np.abs(noise).max() <= 0.01 and np.abs(noise).min() < 0.005
    assert not np.any(head.last.kernel)
    narrow = ResidualHead(3)
    narrow.build((None, 5))
    assert np.abs(narrow.shortcut.kernel).max() < 1.0


def test_config_and_bad_units():
    head = ResidualHead(6, hidden_norm=False, layer_norm=False, zero_init=True)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(head)))
    copy = keras.saving.deserialize_keras_object(config)
    assert copy.get_config() == head.get_config()
    assert head.compute_output_shape((None, 2, 3, 5)) == (None, 2, 3, 6)
    with pytest.raises(ValueError, match="`units` must be a positive integer"):
        ResidualHead(0)


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
def test_gradient_reversal(dtype):
    layer = GradientReversal(dtype=dtype)
    x = tf.Variable([2.0, -1.0])
    with tf.GradientTape() as tape:
        y = tf.cast(layer(x), "float32")
        loss = tf.reduce_sum(y**2)
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(tape.gradient(loss, x), -2 * x)

"""`compile(micro_batch_size=)`: the gradient of the whole batch, a part at a time."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import (
    build,
    dataset,
    head,
    inputs,
    set_seed,
    sgd,
    tiny_encoder,
    weights_of,
)

import keras_contrastive as kc


def without_norms(model):
    """The model, with all batch norm in inference mode."""
    for part in filter(None, (model, model.target)):
        for layer in part._flatten_layers():
            if hasattr(layer, "moving_mean"):
                layer.trainable = False
    return model


def trained(name, micro_batch_size, batches=((0, 8), (8, 16)), **kwargs):
    """Weights after a few eager steps, and the last logs."""
    model = without_norms(build(name, num_classes=4, **kwargs))
    model.compile(sgd(), run_eagerly=True, micro_batch_size=micro_batch_size)
    views, targets = inputs(model)
    for start, end in batches:
        batch = tf.nest.map_structure(lambda x: x[start:end], (views, targets))  # noqa: B023
        logs = model.train_on_batch(*batch, return_dict=True)
    return weights_of(model), logs


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        ("simclr", {}),
        ("supcon", {"classification_weight": 1.0}),
        ("byol", {}),
        pytest.param("moco", {}, marks=pytest.mark.slow),
        pytest.param("vicreg", {}, marks=pytest.mark.slow),
        pytest.param("pirl", {}, marks=pytest.mark.slow),
        pytest.param("dim", {}, marks=pytest.mark.slow),
    ],
)
def test_equals_the_whole_batch(name, kwargs):
    expected, logs = trained(name, None, **kwargs)
    found, found_logs = trained(name, 2, **kwargs)
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert found_logs == pytest.approx(logs, abs=1e-5)


def dropout_encoder():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(6, 3, strides=2)(keras.layers.Rescaling(1 / 255)(inputs))
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    x = keras.layers.Dropout(0.5, seed=1)(x)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))


@pytest.mark.parametrize(("together", "eagerly"), [(True, False), (False, True)])
def test_batch_norm_and_dropout_are_those_of_a_loop(together, eagerly):
    (v_1, v_2), _ = inputs(n=12)
    models = []
    for size in (None, 4):
        set_seed(0)
        model = kc.SimCLR(dropout_encoder(), head(), concatenate_views=together)
        model.compile(sgd(), run_eagerly=eagerly, micro_batch_size=size)
        models.append(model)
    loop, model = models
    for _ in range(2):
        model.train_on_batch((v_1, v_2))
        with tf.GradientTape() as tape:
            parts = [
                loop.online((v_1[i : i + 4], v_2[i : i + 4]), True)[1]
                for i in (0, 4, 8)
            ]
            z_1, z_2 = (tf.concat(z, 0) for z in zip(*parts, strict=True))
            loss = loop.loss(z_1, z_2)
        variables = loop.trainable_variables
        loop.optimizer.apply(tape.gradient(loss, variables), variables)
    for a, b in zip(loop.encoder.variables, model.encoder.variables, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)  # the seeds, too


def test_a_traced_fit_with_a_shorter_last_batch_and_its_copy(tmp_path):
    """The last batch, of 5, ends with a micro-batch that repeats three images."""
    data = tf.data.Dataset.from_tensor_slices(inputs(n=13)).batch(8)
    found = []
    for size in (None, 4):
        model = without_norms(build("simclr"))
        model.compile(sgd(), micro_batch_size=size, jit_compile=False)
        history = model.fit(data, verbose=0).history
        found.append((weights_of(model), history, model.evaluate(data, verbose=0)))
    for a, b in zip(found[0][0], found[1][0], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert found[1][1]["loss"] == pytest.approx(found[0][1]["loss"], rel=1e-5)
    assert found[1][2] == pytest.approx(found[0][2], rel=1e-5)
    model.save(tmp_path / "m.keras")
    assert keras.models.load_model(tmp_path / "m.keras").micro_batch_size == 4


@pytest.mark.slow
@pytest.mark.parametrize("replicas", [1, 2])
def test_replicas_and_float16(replicas, strategy_of):
    """In float16 the gradients of the parts are scaled as that of the whole is."""
    keras.config.set_dtype_policy("mixed_float16")
    weights = []
    for size in (None, 2):
        with strategy_of(replicas).scope():
            model = without_norms(build("byol"))
            model.compile(sgd(), micro_batch_size=size, jit_compile=False)
        model.fit(dataset(n=16), verbose=0, steps_per_epoch=2)
        weights.append(weights_of(model))
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3)


@pytest.mark.slow
def test_batch_norm_is_synchronized_in_each_micro_batch(strategy_of):
    """Two replicas' parts of 2 are a part of 4, of the same images."""
    (v_1, v_2), _ = inputs(n=8)
    order = [0, 1, 4, 5, 2, 3, 6, 7]  # as the replicas, with 0-3 and 4-7, take them
    weights = []
    for replicas, size, rows in ((1, 4, order), (2, 2, list(range(8)))):
        with strategy_of(replicas).scope():
            model = build("simclr")
            model.compile(sgd(), micro_batch_size=size, jit_compile=False)
        data = tf.data.Dataset.from_tensor_slices(((v_1[rows], v_2[rows]),))
        model.fit(data.batch(8, drop_remainder=True), verbose=0)
        weights.append(weights_of(model))
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


@pytest.mark.slow
def test_xla():
    weights = []
    for size in (None, 2):
        model = without_norms(build("simclr"))
        model.compile(sgd(), micro_batch_size=size, jit_compile=True)
        model.fit(dataset(n=16), verbose=0)
        weights.append(weights_of(model))
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_size_that_does_not_divide_the_batch():
    model = build("simclr")
    for size in (0, 2.0, True, "4"):
        with pytest.raises(ValueError, match="`micro_batch_size` must be a positive"):
            model.compile(sgd(), micro_batch_size=size)
    model.compile(sgd(), micro_batch_size=3)
    match = "must divide.*micro_batch_size=3 and a batch of 8 on 1 replica. .*of 8"
    with pytest.raises(ValueError, match=match):
        model.fit(dataset())
    (v_1, v_2), _ = inputs(n=8)
    with pytest.raises(ValueError, match=match):
        model.train_on_batch((v_1, v_2))
    with pytest.raises(ValueError, match=match):
        model.fit((v_1, v_2), batch_size=8)


@keras.saving.register_keras_serializable(package="test")
class Noise(keras.layers.Layer):
    """Adds noise of a generator that Keras does not know, or a loss."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    def call(self, x):
        if self.kind == "loss":
            self.add_loss(tf.reduce_sum(x))
        if self.kind == "keras":
            return x + keras.random.normal((6,))
        return x + tf.random.normal((6,))


@pytest.mark.parametrize("kind", ["loss", "keras", "tensorflow"])
def test_layers_that_cannot_be_computed_twice(kind):
    encoder = tiny_encoder()
    outputs = Noise(kind)(encoder.output)
    model = kc.SimCLR(keras.Model(encoder.input, outputs), head())
    model.compile(sgd(), micro_batch_size=4, jit_compile=False)
    views, _ = inputs(n=8)
    match = "losses that layers add" if kind == "loss" else "`keras.random.SeedGenerat"
    with pytest.raises(ValueError, match=match):
        model.train_on_batch(views)

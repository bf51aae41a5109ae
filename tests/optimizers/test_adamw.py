import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_model import fit, small_model

import keras_contrastive as kc
from keras_contrastive.optimizers import AdamW

RNG = np.random.default_rng(7)
START = RNG.normal(size=(3, 2))
GRADIENTS = RNG.normal(size=(6, 3, 2))
RUN = {"batch_size": 8, "steps_per_epoch": 3, "epochs": 2}


def run(optimizer, gradients=GRADIENTS):
    """Weights after each step of `optimizer` on one variable."""
    w = keras.Variable(START, dtype="float64")
    steps = []
    for g in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(g, "float64")], [w])
        steps.append(np.array(w))
    return np.stack(steps)


def decay_of(k, total, start=0.04, end=0.4):
    """The authors' cosine, at batch k of the run."""
    return end + 0.5 * (start - end) * (1 + np.cos(np.pi * min(k, total) / total))


def plain(gradients, decays, lr, clipnorm=np.inf, b_1=0.9, b_2=0.999):
    """The formula in float64; Keras has rates and powers of b in float32."""
    w, m, v, steps = START.copy(), 0.0, 0.0, []
    for t, (g, decay) in enumerate(zip(gradients, decays, strict=True), start=1):
        g = g * min(1.0, clipnorm / np.linalg.norm(g))
        w = w - lr * decay * w
        m, v = b_1 * m + (1 - b_1) * g, b_2 * v + (1 - b_2) * g**2
        rate = lr * np.sqrt(1 - b_2**t) / (1 - b_1**t)
        w = w - rate * m / (np.sqrt(v) + 1e-7)
        steps.append(w)
    return np.stack(steps)


@pytest.mark.parametrize("clipnorm", [None, 0.5])
def test_formula(clipnorm):
    optimizer = AdamW(0.125, 0.04, 0.4, clipnorm=clipnorm)
    optimizer.decay_schedule = optimizer.decay_schedule.bind(**RUN)
    expected = plain(
        GRADIENTS, [decay_of(k, 6) for k in range(6)], 0.125, clipnorm or np.inf
    )
    np.testing.assert_allclose(run(optimizer), expected, rtol=2e-4)


def test_accumulated_batches_are_one_update_and_decayed_once():
    optimizer = AdamW(0.125, 0.04, 0.4, gradient_accumulation_steps=2)
    optimizer.decay_schedule = optimizer.decay_schedule.bind(**RUN)
    means = GRADIENTS.reshape(3, 2, 3, 2).mean(axis=1)
    expected = plain(means, [decay_of(k, 6) for k in (1, 3, 5)], 0.125)
    np.testing.assert_allclose(run(optimizer)[1::2], expected, rtol=2e-4)


def test_a_constant_decay_equals_keras():
    expected = run(keras.optimizers.AdamW(0.125, weight_decay=0.3))
    np.testing.assert_allclose(run(AdamW(0.125, 0.3)), expected, rtol=1e-6)
    unbound = run(AdamW(0.125, 0.3, 0.9))  # without a run it stays where it begins
    np.testing.assert_allclose(unbound, expected, rtol=1e-6)


def test_kernels_alone_are_decayed():
    def moved(optimizer):
        model, _, _ = small_model(optimizer)
        attention = keras.layers.MultiHeadAttention(2, 3, name="attention")
        attention.build((None, 4, 5), (None, 4, 5))
        variables = model.trainable_variables + attention.trainable_variables
        for v in variables:
            v.assign(keras.ops.ones_like(v))
        optimizer.apply([keras.ops.zeros_like(v) for v in variables], variables)
        return {v.path for v in variables if np.array(v).flat[0] != 1.0}

    kernels = {"net/first/kernel", "net/last/kernel"} | {
        f"attention/{name}/kernel"  # their biases have two dimensions
        for name in ("query", "key", "value", "attention_output")
    }
    assert moved(AdamW(0.1)) == kernels
    chosen = AdamW(0.1)
    chosen.exclude_from_weight_decay(var_names=["kernel", "attention", "norm"])
    again = AdamW.from_config(json.loads(json.dumps(chosen.get_config())))
    for optimizer in (chosen, again):
        assert moved(optimizer) == {"net/first/bias", "net/last/bias"}


def test_clipping_is_that_of_the_global_batch(strategy_of):
    """Opposite gradients on two replicas: their sum is small, and not clipped."""
    strategy = strategy_of(2)
    with strategy.scope():
        w = keras.Variable(START, dtype="float64")
        optimizer = AdamW(0.125, 0.04, 0.4, clipnorm=0.5)
        optimizer.decay_schedule = optimizer.decay_schedule.bind(**RUN)
        optimizer.build([w])
    parts = np.stack([100 + GRADIENTS, -100.0 + 0 * GRADIENTS], axis=1)

    @tf.function
    def step(gradient):
        strategy.run(lambda g: optimizer.apply([g], [w]), (gradient,))

    steps = []
    for part in parts:
        step(
            strategy.experimental_distribute_values_from_function(
                lambda c, part=part: tf.constant(part[c.replica_id_in_sync_group])
            )
        )
        steps.append(np.array(w))
    expected = plain(GRADIENTS, [decay_of(k, 6) for k in range(6)], 0.125, 0.5)
    np.testing.assert_allclose(np.stack(steps), expected, rtol=2e-4)


class Nothing(kc.losses.ContrastiveLoss):
    """No gradient at all: what moves is the decay."""

    def call(self, targets, predictions):
        return keras.ops.sum(0.0 * predictions, axis=-1)


@pytest.mark.parametrize("accumulated", [None, 2])
@pytest.mark.parametrize("interrupted", [False, True])
def test_fit_binds_it_and_a_resumed_run_goes_on(accumulated, interrupted, tmp_path):
    x = np.full((16, 2, 2, 1), 9, "float32")
    views = tf.data.Dataset.from_tensor_slices(((x, x),)).batch(4)  # 4 steps

    def model():
        encoder = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten()])
        model = kc.SimCLR(encoder, kc.layers.ProjectionHead(3))
        model.projector.set_weights([np.ones((4, 3))])
        optimizer = AdamW(0.5, 0.1, 0.8, gradient_accumulation_steps=accumulated)
        model.compile(optimizer, Nothing(), jit_compile=False)
        return model

    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise InterruptedError

    def fitted(model, *callbacks):
        callbacks = [kc.callbacks.Checkpoint(tmp_path / "r.weights.h5"), *callbacks]
        model.fit(views, epochs=3, verbose=0, callbacks=callbacks)
        return float(model.projector.get_weights()[0][0, 0])

    if interrupted:
        with pytest.raises(InterruptedError):
            fitted(model(), Interrupt())
    every = accumulated or 1
    rates = [0.5 * decay_of(k, 12, 0.1, 0.8) for k in range(12)][every - 1 :: every]
    assert fitted(model()) == pytest.approx(np.prod(1 - np.array(rates)), rel=1e-5)


def test_save_and_load_continues_identically(tmp_path):
    model, x, y = small_model(AdamW(0.05, 0.1, 0.9, clipnorm=0.1))
    schedule = model.optimizer.decay_schedule.bind(**RUN)
    model.optimizer.decay_schedule = schedule
    fit(model, x, y)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    assert loaded.optimizer.decay_schedule.bound
    for m in (model, loaded):
        fit(m, x, y)
    for a, b in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"learning_rate": -0.1}, "`learning_rate` must be a number >= 0.*-0.1"),
        ({"weight_decay": None}, "`weight_decay` must be a number >= 0.*None"),
        ({"final_weight_decay": -1}, "`final_weight_decay` must be a number >= 0.*-1"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        AdamW(**{"learning_rate": 0.1, **arguments})

"""What SimSiam has for itself: the stopped gradient, the predictor's constant rate."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import build, dataset, inputs, sgd, weights_of

import keras_contrastive as kc


def scheduled(**options):
    """A compiled model whose schedule begins at its peak."""
    model = build("simsiam", **options)
    schedule = kc.optimizers.WarmupCosine(0.05, warmup_epochs=0, reference_batch=8)
    model.compile(kc.optimizers.CoupledSGD(schedule), run_eagerly=True)
    return model


def step(model, seed=0):
    """Train on one batch; return which of the parts it has moved."""
    parts = {"encoder": model.encoder, "predictor": model.predictor}

    def weights():
        return {k: [np.array(v) for v in p.trainable_weights] for k, p in parts.items()}

    before = weights()
    model.train_on_batch(*tf.nest.map_structure(tf.constant, inputs(model, 8, seed)))
    return {k for k, v in weights().items() if not np.array_equal(v[0], before[k][0])}


def test_no_gradient_passes_the_target():
    """With targets that are constants, loss and gradients are the same."""
    model = build("simsiam")
    model.compile(sgd())
    views, _ = inputs(model, 8)
    batch = kc.Batch(tuple(tf.constant(v) for v in views))
    with tf.GradientTape() as tape:
        outputs = model.forward(batch, training=False)
        loss = model.contrastive_loss(outputs, batch)
    actual = tape.gradient(loss, model.trainable_variables)
    z_1, z_2 = (np.array(model.projector(model.encoder(v))) for v in views)
    with tf.GradientTape() as tape:
        _, embeddings = model.online(batch.views, training=False)
        p_1, p_2 = (model.predictor(z) for z in embeddings)
        cosines = [
            tf.reduce_mean(-keras.losses.cosine_similarity(p, z))
            for p, z in ((p_1, z_2), (p_2, z_1))
        ]
        expected_loss = -(cosines[0] + cosines[1]) / 2
    expected = tape.gradient(expected_loss, model.trainable_variables)
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-5)
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6)


def test_only_the_predictor_learns_after_the_end_of_the_schedule(tmp_path):
    model = scheduled()
    assert step(model) == {"encoder", "predictor"}
    model.fit(dataset(model, 8), verbose=0)  # binds the schedule to this one step
    kept = model.optimizer._momentums  # what is left of it moves the encoder no more
    assert any(np.any(v) for v in kept) and step(model) == {"predictor"}
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    loaded.run_eagerly = True
    assert step(model, seed=1) == step(loaded, seed=1) == {"predictor"}
    for a, b in zip(weights_of(model), weights_of(loaded), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
    one_rate = scheduled(constant_predictor_rate=False)
    one_rate.fit(dataset(model, 8), verbose=0)
    assert step(one_rate) == set()


def test_resumed_equals_uninterrupted_with_its_schedule(tmp_path):
    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise InterruptedError

    def fit(model, *callbacks):
        checkpoint = kc.callbacks.Checkpoint(tmp_path / "run.weights.h5")
        callbacks = [checkpoint, *callbacks]
        model.fit(dataset(model, 8), epochs=3, verbose=0, callbacks=callbacks)

    whole = scheduled()
    whole.fit(dataset(whole, 8), epochs=3, verbose=0)
    with pytest.raises(InterruptedError):
        fit(scheduled(), Interrupt())
    resumed = scheduled()
    fit(resumed)
    for a, b in zip(weights_of(whole), weights_of(resumed), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_float16_reaches_the_optimizer_inside():
    keras.config.set_dtype_policy("mixed_float16")
    optimizer = scheduled().optimizer
    assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    assert optimizer.inner_optimizer._schedule_exclusions


def test_an_optimizer_that_has_one_rate_for_all():
    decay = kc.optimizers.WarmupCosine(0.1)
    with pytest.raises(ValueError, match="constant learning rate.*optimizer=Adam"):
        build("simsiam").compile(keras.optimizers.Adam(decay))
    build("simsiam").compile(keras.optimizers.Adam(0.1))
    model = build("simsiam", constant_predictor_rate=False)
    model.compile(keras.optimizers.Adam(decay))

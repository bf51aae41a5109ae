"""A training that diverges ends with a sentence, and nothing saves what it left."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_contrastive as kc

LABELS = np.arange(32) // 8  # the number of the batch


def views(batches=4):
    images = (
        np.random.default_rng(0).uniform(0, 255, (2, 32, 8, 8, 3)).astype("float32")
    )
    data = tf.data.Dataset.from_tensor_slices(((images[0], images[1]), LABELS))
    return data.batch(8, drop_remainder=True).take(batches)


def encoder():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(6)(x))


class OfBatch(kc.SimCLR):
    """The loss is infinite in the batches of these labels."""

    infinite = ()

    def contrastive_loss(self, outputs, batch):
        loss = super().contrastive_loss(outputs, batch)
        bad = tf.gather([i in self.infinite for i in range(4)], batch.labels)
        bad = tf.reduce_any(bad)
        return loss * tf.where(bad, np.inf, 1.0)


def build(cls=kc.SimCLR):
    return cls(encoder(), kc.layers.ProjectionHead(4, hidden_units=8))


class Steps(keras.callbacks.Callback):
    """What the other callbacks of a `fit` are shown."""

    def __init__(self):
        super().__init__()
        self.losses = []
        self.ends = 0

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(logs["loss"])

    def on_epoch_end(self, epoch, logs=None):
        self.ends += 1


class AtStep(keras.optimizers.schedules.LearningRateSchedule):
    """An endless learning rate at one step."""

    def __init__(self, step):
        self.step = step

    def __call__(self, step):
        return tf.where(tf.equal(tf.cast(step, "int64"), self.step), np.inf, 0.01)


@pytest.mark.parametrize(
    ("options", "accumulate", "replicas", "steps"),
    [
        ({}, None, 1, "at step [23] of epoch 1"),
        ({"steps_per_execution": 4}, None, 1, "at steps up to 4 of epoch 1"),
        ({"jit_compile": True}, None, 1, "at step [23] of epoch 1"),
        ({}, 2, 1, "at step [34] of epoch 1"),
        ({}, None, 2, "at step [23] of epoch 1"),
    ],
)
def test_the_run_ends_at_the_step(options, accumulate, replicas, steps, strategy_of):
    strategy = strategy_of(replicas) if replicas > 1 else tf.distribute.get_strategy()
    with strategy.scope():
        model = build()
        sgd = keras.optimizers.SGD(1e38, gradient_accumulation_steps=accumulate)
        model.compile(sgd, **{"jit_compile": False, **options})
    seen = Steps()
    causes = "learning rate .1e.38.*temperature .0.1.*Try.*No state was saved"
    message = f"The loss is .*{steps}: .*{causes}"
    with pytest.raises(FloatingPointError, match=message):
        model.fit(views(), verbose=0, callbacks=[seen])
    assert np.isfinite(seen.losses).all() and seen.ends == 0


def test_weights_that_the_last_step_spoils_are_saved_nowhere(tmp_path):
    model = build()
    model.compile(keras.optimizers.SGD(AtStep(7)), jit_compile=False)
    path = tmp_path / "run.weights.h5"
    seen, checkpoint = Steps(), kc.callbacks.Checkpoint(path)
    message = "NaN or infinity .*step 4 of epoch 2.*run.weights.h5 holds .* epoch 1"
    with pytest.raises(FloatingPointError, match=message):
        model.fit(views(), epochs=2, verbose=0, callbacks=[seen, checkpoint])
    assert np.isfinite(seen.losses).all() and seen.ends == 1
    before = path.read_bytes()
    with pytest.raises(FloatingPointError, match="is not written to .*run.weights.h5"):
        checkpoint.save(2)
    model.load_weights(path)
    kernel = model.trainable_variables[0]
    kernel.assign(kernel * 0 + 2e8)
    with pytest.raises(
        FloatingPointError, match=r"A weight above 1e.08 is in '.*kernel"
    ):
        checkpoint.save(2)
    kernel.assign(kernel * np.inf)
    assert path.read_bytes() == before
    with pytest.raises(ValueError, match="finite weights"):
        kc.save_to_preset(model, tmp_path / "preset")
    for export in (kc.export.to_saved_model, kc.export.to_tflite, kc.export.to_onnx):
        with pytest.raises(ValueError, match="finite weights.*diverged"):
            export(model.encoder, tmp_path / "export")
    assert sorted(f.name for f in tmp_path.iterdir()) == ["run.weights.h5"]


def test_a_step_that_loss_scaling_skips_is_no_divergence():
    keras.config.set_dtype_policy("mixed_float16")
    model = build(OfBatch)
    model.infinite = (1,)
    sgd = keras.optimizers.SGD(0.01)
    scaled = keras.optimizers.LossScaleOptimizer(sgd, initial_scale=4.0)
    model.compile(scaled, jit_compile=False)
    history = model.fit(views(), verbose=0).history
    assert np.isfinite(history["loss"]).all()  # of the other three steps
    assert history["loss_scale"] == [2.0]
    assert int(model.optimizer.iterations) == 3


def test_float16_that_no_loss_scale_helps_ends():
    keras.config.set_dtype_policy("mixed_float16")
    model = build(OfBatch)
    model.infinite = range(4)
    sgd = keras.optimizers.SGD(0.01)
    scaled = keras.optimizers.LossScaleOptimizer(sgd, initial_scale=2.0**-8)
    model.compile(scaled, jit_compile=False)
    message = "loss scale of 0.0005, at step 3 of epoch 1.*float16.*bfloat16"
    with pytest.raises(FloatingPointError, match=message):
        model.fit(views(), verbose=0)

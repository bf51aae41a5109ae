"""Ends a training whose loss or weights are no longer finite, with a sentence."""

import math

import keras

from keras_contrastive.finite import named, not_finite

# Loss scaling halves its factor at every overflow, from 2**15 on: so far down no factor
# helps, and training stands still.
_LOWEST_SCALE = 2.0**-10
# No weight that learns comes near it. Above, two layers in a row overflow float32 where
# batch norm takes the variance: the next step is NaN, whatever the learning rate.
_LARGEST_WEIGHT = 1e8


class FiniteCheck(keras.callbacks.Callback):
    """Raises as soon as a training has diverged, before anything else is saved.

    `ContrastiveModel.fit` puts it before all other callbacks. After every batch it
    looks at the running mean of the loss, which Keras has brought to the host anyway,
    and which stays NaN once it is; after every epoch at all weights, since the last
    step of an epoch can spoil them after its loss: a weight above 1e8 is lost as well.

    A step that float16 loss scaling skips, because a gradient overflowed, has changed
    nothing and is no divergence; a scale that has fallen below 2**-10 is.
    """

    def __init__(self):
        super().__init__()
        self.epoch = self.step = 0

    def on_epoch_begin(self, epoch, logs=None):
        """Remember which epoch it is, from 1, and that it has no step yet."""
        self.epoch, self.step = epoch + 1, 0

    def on_train_batch_end(self, batch, logs=None):
        """Raise a FloatingPointError if the loss is NaN or infinite."""
        self.step = batch + 1
        logs = logs or {}
        if not math.isfinite(logs.get("loss", 0.0)):
            raise self._diverged(f"The loss is {logs['loss']}", logs)
        scale = logs.get("loss_scale", 1.0)
        if scale < _LOWEST_SCALE:
            found = f"Gradients overflow float16 even with a loss scale of {scale:.1g}"
            raise self._diverged(found, logs)

    def on_epoch_end(self, epoch, logs=None):
        """Raise a FloatingPointError if a weight is NaN, infinite or above 1e8."""
        found = spoiled(self.model)
        if found:
            raise self._diverged(found, logs or {})

    def _diverged(self, found, logs):
        rate = logs.get("learning_rate")
        causes = [f"a learning rate{'' if rate is None else f' ({rate:.3g})'} too high"]
        temperature = getattr(self.model, "temperature", None)
        if temperature is not None:
            causes.append(f"a temperature ({temperature:g}) too low")
        remedy = "a tenth of the learning rate, a longer warm-up or `global_clipnorm=1`"
        if any(w.compute_dtype == "float16" for w in self.model.encoder.layers):
            causes.append("float16")
            remedy += ", or mixed_bfloat16"
        several = self.model.steps_per_execution
        steps = f"step {self.step}" if several == 1 else f"steps up to {self.step}"
        return FloatingPointError(
            f"{found}, at {steps} of epoch {self.epoch}: this training has diverged. "
            f"Likely causes: {', '.join(causes)}. Try {remedy}."
        )


def spoiled(model) -> str | None:
    """Return what is wrong with a state from which no training can go on, or None."""
    bad = not_finite(training_state(model))
    if bad:
        return f"NaN or infinity is in {named(bad)}"
    weights = [v for v in model.trainable_variables if v.shape.num_elements()]
    largest = [
        keras.ops.cast(keras.ops.max(keras.ops.abs(v)), "float32") for v in weights
    ]
    largest = keras.ops.convert_to_numpy(keras.ops.stack(largest)) if weights else []
    bad = [v.path for v, m in zip(weights, largest, strict=True) if m > _LARGEST_WEIGHT]
    return f"A weight above {_LARGEST_WEIGHT:g} is in {named(bad)}" if bad else None


def training_state(model) -> list:
    """Return all variables that a training goes on from, each optimizer's included."""
    optimizers = [
        getattr(model, "optimizer", None),
        getattr(model.probe, "optimizer", None),
    ]
    optimizers = [v for o in optimizers if o for v in o.variables]
    return list({id(v): v for v in [*model.variables, *optimizers]}.values())

"""How far a run has come, for everything that follows a schedule."""

import keras
from keras import ops

from keras_contrastive.layers.state_weight import state_weight


@keras.saving.register_keras_serializable(package="keras_contrastive")
class Clock(keras.layers.Layer):
    """The first step and the length of the run, in updates of the optimizer.

    `fit` sets it for every model. It is saved with the model, so momentum, temperature
    and the rest go on after a restart as if nothing had happened. Updates are counted
    by `optimizer.iterations`: accumulated gradients are one update, and a step that
    float16 loss scaling skips is none.

    Attributes:
        first_step: Update at which the run began.
        total_steps: Updates of the whole run; 0 as long as that is not known, before
            the first `fit` or with a dataset of unknown length.
        epochs: Epochs of the whole run; 0 before the first `fit`.
    """

    def __init__(self, name="clock", **kwargs):
        super().__init__(name=name, **kwargs)
        self.first_step = state_weight(self, "first_step", dtype="int64")
        self.total_steps = state_weight(self, "total_steps", dtype="int64")
        self.epochs = state_weight(self, "epochs", dtype="int64")
        self.built = True

    def elapsed(self, step):
        """Return the updates since the run began, an int64 scalar, at least 0.

        Args:
            step: `optimizer.iterations`, as in `Batch.step`.
        """
        step = ops.cast(step, "int64")
        return ops.maximum(step - ops.cast(self.first_step, "int64"), 0)

    def progress(self, step):
        """Return the share of the run that has passed, a float32 scalar in [0, 1].

        It is 0 while the length of the run is not known.

        Args:
            step: `optimizer.iterations`, as in `Batch.step`.
        """
        elapsed = ops.cast(self.elapsed(step), "float32")
        total = ops.cast(self.total_steps, "float32")
        return ops.minimum(ops.divide_no_nan(elapsed, total), 1.0)

    def epoch(self, step):
        """Return the epoch of the run, from 0 on, an int64 scalar.

        It is 0 while the length of the run is not known, and `epochs` at its end.

        Args:
            step: `optimizer.iterations`, as in `Batch.step`.
        """
        elapsed = self.elapsed(step) * ops.cast(self.epochs, "int64")
        total = ops.maximum(ops.cast(self.total_steps, "int64"), 1)
        return ops.minimum(elapsed // total, ops.cast(self.epochs, "int64"))

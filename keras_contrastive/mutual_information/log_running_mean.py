"""A running mean of what may be beyond float32, kept as its logarithm."""

import math

import keras
from keras import ops

from keras_contrastive.layers.state_weight import state_weight


@keras.saving.register_keras_serializable(package="keras_contrastive")
class LogRunningMean(keras.layers.Layer):
    """Moving average of a positive number, in logarithms: MINE's denominator.

        value <- m * value + (1 - m) * number, the first time value <- number

    A mean of `exp(scores)` overflows in float32 where a score is above 88. It is a
    weight, saved and restored with the model that holds the layer, and no optimizer
    touches it.

    Args:
        momentum: m, in [0, 1).
    """

    def __init__(self, momentum, **kwargs):
        super().__init__(**kwargs)
        if not 0 <= momentum < 1:
            raise ValueError(
                "`momentum` is the share of the old mean and must be in [0, 1). "
                f"Received: momentum={momentum!r}"
            )
        self.momentum = float(momentum)
        self._log_mean = state_weight(self, "log_mean")
        self._started = state_weight(self, "started")  # 0 or 1
        self.built = True

    def update(self, log_number):
        """Move the mean towards a number and return the logarithm of the new mean.

        Args:
            log_number: The number's logarithm, a float32 scalar. One that is not finite
                changes nothing: there is none, or a step overflowed in float16.
        """
        log_number = ops.stop_gradient(log_number)
        old = ops.convert_to_tensor(self._log_mean)
        started = ops.convert_to_tensor(self._started) > 0
        new = log_number
        if self.momentum:
            parts = [math.log(self.momentum) + old]
            parts += [math.log(1 - self.momentum) + log_number]
            new = ops.where(started, ops.logsumexp(ops.stack(parts)), log_number)
        finite = ops.isfinite(log_number)
        new = ops.where(finite, new, old)
        self._log_mean.assign(new)
        self._started.assign(ops.where(finite, 1.0, self._started))
        return new

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "momentum": self.momentum}

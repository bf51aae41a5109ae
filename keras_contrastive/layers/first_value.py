"""A number that the first step of a run decides."""

import keras
from keras import ops

from keras_contrastive.layers.state_weight import state_weight


@keras.saving.register_keras_serializable(package="keras_contrastive")
class FirstValue(keras.layers.Layer):
    """Keeps what a positive number was in the first step: the constant Z of NCE.

    Use `of(estimate)` in the loss, then `keep` what it gave. It is a weight, saved and
    restored with the model that holds the layer, and no optimizer touches it.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.value = state_weight(self, "value")  # 0 until the first step
        self.built = True

    def of(self, estimate):
        """Return the kept number, or before the first step `estimate`; no gradient.

        Args:
            estimate: Positive float32 scalar, the same on every replica.
        """
        value = ops.convert_to_tensor(self.value)
        return ops.stop_gradient(ops.where(value > 0, value, estimate))

    def keep(self, number, applied=True):
        """Keep what `of` gave, unless float16 loss scaling skips the step."""
        self.value.assign(ops.where(applied, number, self.value))

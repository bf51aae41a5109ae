"""The identity, whose gradient has the other sign."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="keras_contrastive")
class GradientReversal(keras.layers.Layer):
    """Passes what it gets, and turns its gradient round.

        y = x,    dL/dx = -dL/dy

    What comes behind it lowers the loss, what lies before it raises the same loss: an
    adversarial game in one step of one optimizer. `kc.DIM` matches a prior with it.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        inputs: Float tensor of any shape.

    Returns:
        The same tensor.

    Example:
        >>> x = tf.constant([2.0, -1.0])
        >>> with tf.GradientTape() as tape:
        ...     tape.watch(x)
        ...     y = 3 * keras_contrastive.layers.GradientReversal()(x)
        >>> tape.gradient(y, x).numpy()
        array([-3., -3.], dtype=float32)

    Reference:
        [Unsupervised Domain Adaptation by Backpropagation](
        https://arxiv.org/abs/1409.7495) (Ganin and Lempitsky, 2015).
    """

    def call(self, inputs):
        """Return `inputs`."""
        return _reversed(inputs)

    def compute_output_shape(self, input_shape):
        """Return `input_shape`."""
        return input_shape


@tf.custom_gradient
def _reversed(x):
    return tf.identity(x), lambda gradient: -gradient

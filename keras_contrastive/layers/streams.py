"""What a selective kernel does with its two streams, side by side in the channels."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_contrastive")
class StreamSum(keras.layers.Layer):
    """The sum of two streams, `(..., 2 * channels)` to `(..., channels)`.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.layers.streams import StreamSum
        >>> StreamSum()(np.array([[1.0, 2.0, 10.0, 20.0]])).numpy()
        array([[11., 22.]], dtype=float32)
    """

    def call(self, streams):
        """Return the sum of the first and the second half of the channels."""
        return sum(ops.split(streams, 2, axis=-1))

    def compute_output_shape(self, input_shape):
        """Return the shape with half the channels."""
        return (*input_shape[:-1], input_shape[-1] // 2)


@keras.saving.register_keras_serializable(package="keras_contrastive")
class StreamMix(keras.layers.Layer):
    """Two streams, mixed channel by channel with the softmax of two logits.

    With streams a and b and logits p and q of a channel, `(exp(p) a + exp(q) b) /
    (exp(p) + exp(q))`.

    Call arguments:
        inputs: The streams, `(batch, height, width, 2 * channels)`, and the logits,
            `(batch, 1, 1, 2 * channels)`.

    Returns:
        `(batch, height, width, channels)`.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.layers.streams import StreamMix
        >>> streams = np.array([1.0, 2.0, 3.0, 6.0]).reshape(1, 1, 1, 4)
        >>> StreamMix()([streams, 0 * streams]).numpy().ravel()
        array([2., 4.], dtype=float32)

    Reference: [Selective Kernel Networks](https://arxiv.org/abs/1903.06586) (Li et al.,
    2019), equations 5 and 6.
    """

    def call(self, inputs):
        """Return the mixture."""
        streams, logits = inputs
        first, second = ops.split(streams, 2, axis=-1)
        # The softmax of two is the logistic function of their difference.
        share = ops.sigmoid(ops.subtract(*ops.split(logits, 2, axis=-1)))
        return second + share * (first - second)

    def compute_output_shape(self, input_shape):
        """Return the streams' shape with half the channels."""
        streams, _ = input_shape
        return (*streams[:-1], streams[-1] // 2)

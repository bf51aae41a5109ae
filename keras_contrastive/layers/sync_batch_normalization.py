"""Batch norm over the global batch, with the fused kernel where one device has it."""

import keras
import tensorflow as tf
from keras import ops

from keras_contrastive import distribute


@keras.saving.register_keras_serializable(package="keras_contrastive")
class SyncBatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization(synchronized=True)`, several times faster.

    Keras 3 computes batch norm in about ten passes over the activations. Where one
    replica holds the whole batch, TensorFlow's fused kernel gives the same in about
    three: on two CPU cores 13 instead of 49 ms, forward and backward with ReLU, for
    activations of (512, 28, 28, 16); under mixed float16 the activations stay float16.
    On several replicas, in inference and for anything but float images
    `(batch, height, width, channels)` it is Keras's own layer.

    The moving variance is that of Keras, of the biased variance; the kernel's own
    would be larger by n / (n - 1).

    Args:
        momentum: Decay of the moving statistics; 0.9, as in the papers' code.
        epsilon: Added to the variance; 1e-5, as in the papers' code.
        **kwargs: Arguments of `keras.layers.BatchNormalization`.

    Example:
        x = kc.layers.SyncBatchNormalization()(x)
    """

    def __init__(self, momentum=0.9, epsilon=1e-5, synchronized=True, **kwargs):
        super().__init__(
            momentum=momentum, epsilon=epsilon, synchronized=synchronized, **kwargs
        )

    def call(self, inputs, training=None, mask=None):
        """Normalise, with the statistics of the batch when training."""
        fused = (
            training
            and self.trainable
            and mask is None
            and not self.renorm
            and len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and distribute.num_replicas() == 1
        )
        if not fused:
            return super().call(inputs, training=training, mask=mask)
        channels = inputs.shape[-1]
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            ops.cast(inputs, self.compute_dtype),
            _float32(self.gamma) if self.scale else tf.ones(channels),
            _float32(self.beta) if self.center else tf.zeros(channels),
            epsilon=self.epsilon,
            is_training=True,
        )
        n = ops.cast(ops.size(inputs) // channels, "float32")
        variance = variance * (ops.maximum(n - 1.0, 1.0) / n)
        for moving, batch in (
            (self.moving_mean, mean),
            (self.moving_variance, variance),
        ):
            moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))
        return outputs


def _float32(variable):
    return ops.cast(variable, "float32")

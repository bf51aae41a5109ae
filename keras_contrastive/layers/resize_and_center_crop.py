"""The deterministic preparation of images for evaluation."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="keras_contrastive")
class ResizeAndCenterCrop(keras.layers.Layer):
    """Resizes images, keeping their aspect ratio, and cuts out the centre.

    The evaluation protocol of CIFAR and ImageNet in one layer. Images that already
    have `size` pass unchanged. Others are resized so that the result is
    `crop_fraction` of the shorter side (0.875 = 224 / 256), and its centre is taken.
    The resize is bilinear and filters against aliasing.

    Args:
        size: Side of the result in pixels, or `(height, width)`.
        crop_fraction: Share of the resized shorter side that is kept, in (0, 1].
        **kwargs: Arguments of `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, channels)` or `(height, width, channels)`, uint8 or
        float in [0, 255].

    Output shape:
        `(batch, *size, channels)` or `(*size, channels)`, float32 in [0, 255].

    Raises:
        ValueError: If `size` or `crop_fraction` is impossible.

    Example:
    >>> kc.layers.ResizeAndCenterCrop(32)(np.zeros((2, 60, 40, 3), "uint8")).shape
    TensorShape([2, 32, 32, 3])
    """

    def __init__(self, size, crop_fraction=0.875, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.size = (size, size) if isinstance(size, int) else tuple(size)
        if len(self.size) != 2 or min(self.size) < 1:
            raise ValueError(
                "`size` must be a positive integer or (height, width). "
                f"Received: size={size!r}"
            )
        if not 0 < crop_fraction <= 1:
            raise ValueError(
                "`crop_fraction` must be in (0, 1]. "
                f"Received: crop_fraction={crop_fraction!r}"
            )
        self.crop_fraction = crop_fraction
        self._convert_input_args = False
        self._allow_non_tensor_positional_args = True

    def call(self, images):
        """Return the resized and cropped images."""
        images = tf.cast(images, "float32")
        if images.shape[-3:-1] == self.size:
            return images
        shape = tf.shape(images)[-3:-1]
        target = tf.constant(self.size)
        scale = tf.reduce_max(target / shape) / self.crop_fraction
        resized = tf.cast(tf.round(scale * tf.cast(shape, scale.dtype)), "int32")
        resized = tf.where(
            tf.reduce_all(shape == target), target, tf.maximum(resized, target)
        )
        images = tf.image.resize(images, resized, antialias=True)
        top, left = tf.unstack((resized - target) // 2)
        height, width = self.size
        images = images[..., top : top + height, left : left + width, :]
        return tf.ensure_shape(
            images, (*images.shape[:-3], *self.size, images.shape[-1])
        )

    def compute_output_shape(self, input_shape):
        """Return the shape of the result."""
        return (*input_shape[:-3], *self.size, input_shape[-1])

    def get_config(self):
        """Return the constructor arguments."""
        return {
            **super().get_config(),
            "size": self.size,
            "crop_fraction": self.crop_fraction,
        }

"""The deterministic preparation of images for evaluation."""

import keras
import tensorflow as tf

from keras_contrastive.image_io import resize_and_center_crop


@keras.saving.register_keras_serializable(package="keras_contrastive")
class ResizeAndCenterCrop(keras.layers.Layer):
    """Cuts out the largest centred part with the aspect ratio of `size`; resizes it.

    What loaders (`image_size`), evaluation and serving do to images of another size, as
    a layer. The resize is bilinear and filters against aliasing; integers give whole
    pixel values. Images that already have `size` pass unchanged. The ImageNet protocol
    of 224 / 256 is `crop_fraction=0.875`.

    Args:
        size: Side of the result in pixels, or `(height, width)`.
        crop_fraction: Share of the sides of that part which is kept, in (0, 1].
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

    def __init__(self, size, crop_fraction=1.0, **kwargs):
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
        images = tf.convert_to_tensor(images)
        if not images.dtype.is_integer:  # integers are rounded, as in files
            images = tf.cast(images, "float32")
        images = resize_and_center_crop(images, self.size, self.crop_fraction)
        return tf.cast(images, "float32")

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

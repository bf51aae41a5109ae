"""Random Gaussian blur with a standard deviation of its own for each image."""

import keras
import tensorflow as tf

from keras_contrastive.layers.random_augmentation import (
    RandomAugmentation,
    check_probability,
    compiled,
    per_image,
    uniform,
)


@keras.saving.register_keras_serializable(package="keras_contrastive")
class RandomGaussianBlur(RandomAugmentation):
    """Blurs each image with a Gaussian of random width.

    With probability `probability` an image is convolved, first along its height and
    then along its width, with

        w_i = exp(-i^2 / (2 s^2)) / sum_j exp(-j^2 / (2 s^2)),  |i|, |j| <= r,
        s ~ U(sigma) pixels,   r = int(kernel_size / 2)

    As in the SimCLR and BYOL code the image is continued with zeros, so that its
    borders darken a little. SimCLR's code draws one s for a whole batch; here, as in
    the paper and in BYOL, each image has its own.

    Args:
        sigma: Range of the standard deviation in pixels, positive.
        probability: Share of images that are blurred. SimCLR and MoCo v2 0.5, BYOL
            1.0 and 0.1 for its two views.
        kernel_size: Width of the kernel in pixels; 2 r + 1 of them are used. None
            (default) takes a tenth of the image height, rounded down, as the papers:
            3 at 32 pixels, 23 at 224. Below 20 pixels that is no blur at all.
        seed: See `RandomAugmentation`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, channels)` or `(height, width, channels)`, any number
        of channels, uint8 or float in [0, 255]. The height must be known when the
        function is traced, unless `kernel_size` is given.

    Output shape:
        The same, float32.

    Raises:
        ValueError: If `sigma`, `probability` or `kernel_size` is impossible.

    Example:
    >>> blur = kc.layers.RandomGaussianBlur(probability=1.0)
    >>> float(blur(np.full((1, 32, 32, 3), 100.0))[0, 16, 16, 0])
    100.0

    Reference:
        Chen et al., SimCLR, 2020, appendix A (https://arxiv.org/abs/2002.05709).
    """

    def __init__(
        self, sigma=(0.1, 2.0), probability=0.5, kernel_size=None, seed=None, **kwargs
    ):
        super().__init__(seed=seed, **kwargs)
        if not 0 < sigma[0] <= sigma[1]:
            raise ValueError(
                "`sigma` must be (smallest, largest) standard deviation in pixels, "
                f"with 0 < smallest <= largest. Received: sigma={sigma!r}"
            )
        if kernel_size is not None and kernel_size < 1:
            raise ValueError(
                "`kernel_size` must be a positive number of pixels, or None for a "
                f"tenth of the image height. Received: kernel_size={kernel_size!r}"
            )
        self.sigma = tuple(sigma)
        self.probability = check_probability(probability)
        self.kernel_size = kernel_size

    def draw(self, seed, images):
        """Return `applied` and `sigma`."""
        applied, draw = tf.unstack(uniform(seed, images, 2))
        low, high = self.sigma
        return {
            "applied": applied < self.probability,
            "sigma": low + (high - low) * draw,
        }

    def augment_images(self, images, transformations, **kwargs):
        """Blur the images that were drawn."""
        images = tf.cast(images, "float32")
        radius = self._radius(images)
        if radius == 0:
            return images
        offsets = tf.range(radius + 1, dtype="float32")
        weights = tf.exp(-0.5 * (offsets / transformations["sigma"][:, None]) ** 2)
        total = weights[:, :1] + 2 * tf.reduce_sum(weights[:, 1:], 1, keepdims=True)
        # An image that is left alone has the kernel (1, 0, 0, ...).
        weights = tf.where(
            transformations["applied"][:, None],
            weights / total,
            tf.one_hot(0, radius + 1),
        )
        # Two functions, as XLA repeats the first for each read when it fuses both.
        images = _blur_rows(tf.pad(images, _margin(1, radius)), weights)
        return _blur_columns(tf.pad(images, _margin(2, radius)), weights)

    def _radius(self, images) -> int:
        kernel_size = self.kernel_size
        if kernel_size is None:
            if images.shape[1] is None:
                raise ValueError(
                    "RandomGaussianBlur takes its kernel size from the image height, "
                    f"which is unknown. Received: images of shape {images.shape}. "
                    "Crop to a fixed size first, or give `kernel_size`."
                )
            kernel_size = images.shape[1] // 10
        return int(kernel_size / 2)

    def get_config(self):
        """Return the constructor arguments."""
        return {
            **super().get_config(),
            "sigma": self.sigma,
            "probability": self.probability,
            "kernel_size": self.kernel_size,
        }


def _margin(axis, radius):
    return [[radius, radius] if i == axis else [0, 0] for i in range(4)]


@compiled
def _blur_rows(padded, weights):
    radius = weights.shape[1] - 1
    size = tf.shape(padded)[1] - 2 * radius
    taps = [padded[:, i : i + size] for i in range(2 * radius + 1)]
    return _weighted(taps, weights)


@compiled
def _blur_columns(padded, weights):
    radius = weights.shape[1] - 1
    size = tf.shape(padded)[2] - 2 * radius
    taps = [padded[:, :, i : i + size] for i in range(2 * radius + 1)]
    return _weighted(taps, weights)


def _weighted(taps, weights):
    """Symmetric kernel: the middle tap, then the pairs around it."""
    radius = len(taps) // 2
    weights = [per_image(w) for w in tf.unstack(weights, axis=1)]
    out = taps[radius] * weights[0]
    for i in range(1, radius + 1):
        out += (taps[radius - i] + taps[radius + i]) * weights[i]
    return tf.minimum(out, 255.0)  # the weights add up to 1 but for rounding

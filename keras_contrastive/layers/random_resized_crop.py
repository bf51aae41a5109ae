"""Random crop with random aspect ratio, resized to one size, and flipped."""

import math

import keras
import tensorflow as tf

from keras_contrastive.layers.random_augmentation import (
    RandomAugmentation,
    check_probability,
    compiled,
    uniform,
)

TRIES = 10  # as torchvision; TensorFlow's sample_distorted_bounding_box tries 100


@keras.saving.register_keras_serializable(package="keras_contrastive")
class RandomResizedCrop(RandomAugmentation):
    """Crops a random part of each image, resizes it to `size`, and may flip it.

    The "Inception" crop of SimCLR, BYOL, MoCo and the rest, with the law of
    torchvision's layer of this name. For each image of `(H, W)` pixels:

        share  ~ U(area),  ratio = exp(r), r ~ U(log aspect_ratio)
        width  = round(sqrt(share * H * W * ratio))
        height = round(sqrt(share * H * W / ratio))

    are drawn up to 10 times, until the crop fits into the image, then its place
    uniformly among all whole pixels where it fits. If none of the 10 fits, it is the
    largest centred crop whose aspect ratio is allowed.

    The resize is bilinear with half-pixel centres, pixels outside the crop are not
    looked at. A crop smaller than `size` is enlarged, so images smaller than `size`
    are fine. Two differences to the papers: SimCLR and BYOL resize bicubically, and
    torchvision filters against aliasing when a crop is made smaller (SimCLR's
    TensorFlow code does not). For images that are not much larger than `size`,
    such as CIFAR's, neither matters much.

    Args:
        size: Side of the result in pixels, or `(height, width)`.
        area: Range of the crop's share of the image area, within (0, 1].
            SimCLR and BYOL (0.08, 1.0), MoCo v2, SupCon and SCE (0.2, 1.0).
        aspect_ratio: Range of width / height, positive; its logarithm is uniform.
        flip_probability: Share of images that are mirrored left-right.
        seed: See `RandomAugmentation`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, channels)` or `(height, width, channels)`, any number
        of channels, uint8 or float in [0, 255].

    Output shape:
        `(batch, *size, channels)` or `(*size, channels)`, float32.

    Raises:
        ValueError: If a range or the probability is impossible.

    Example:
    >>> images = np.random.randint(0, 256, (8, 40, 48, 3)).astype("uint8")
    >>> kc.layers.RandomResizedCrop(32)(images).shape
    TensorShape([8, 32, 32, 3])

    Reference:
        Szegedy et al., Going deeper with convolutions, 2015
        (https://arxiv.org/abs/1409.4842); Chen et al., SimCLR, 2020, appendix A
        (https://arxiv.org/abs/2002.05709).
    """

    def __init__(
        self,
        size,
        area=(0.08, 1.0),
        aspect_ratio=(3 / 4, 4 / 3),
        flip_probability=0.5,
        seed=None,
        **kwargs,
    ):
        super().__init__(seed=seed, **kwargs)
        self.size = (size, size) if isinstance(size, int) else tuple(size)
        if len(self.size) != 2 or min(self.size) < 1:
            raise ValueError(
                "`size` must be a positive integer or (height, width). "
                f"Received: size={size!r}"
            )
        if not 0.0 < area[0] <= area[1] <= 1.0:
            raise ValueError(
                "`area` must be (smallest, largest) share of the image area, with "
                f"0 < smallest <= largest <= 1. Received: area={area!r}"
            )
        if not 0.0 < aspect_ratio[0] <= aspect_ratio[1]:
            raise ValueError(
                "`aspect_ratio` must be (smallest, largest) width / height, with "
                f"0 < smallest <= largest. Received: aspect_ratio={aspect_ratio!r}"
            )
        self.area = tuple(area)
        self.aspect_ratio = tuple(aspect_ratio)
        self.flip_probability = check_probability(flip_probability, "flip_probability")

    def draw(self, seed, images):
        """Return `top`, `left`, `height`, `width` in whole pixels, and `flip`."""
        shape = tf.cast(tf.shape(images), "float32")
        rows, columns = shape[1], shape[2]
        draws = uniform(seed, images, 2 * TRIES + 3)

        low, high = self.area
        share = low + (high - low) * draws[:TRIES]  # (10, batch)
        low, high = map(math.log, self.aspect_ratio)
        ratio = tf.exp(low + (high - low) * draws[TRIES : 2 * TRIES])
        pixels = share * rows * columns
        width = tf.round(tf.sqrt(pixels * ratio))
        height = tf.round(tf.sqrt(pixels / ratio))
        fits = (width >= 1) & (width <= columns) & (height >= 1) & (height <= rows)

        any_fits = tf.reduce_any(fits, axis=0)
        first = tf.one_hot(tf.argmax(fits, axis=0), TRIES, axis=0)
        center_height, center_width = self._largest_center_crop(rows, columns)
        height, width = (
            tf.where(any_fits, tf.reduce_sum(first * tried, axis=0), center)
            for tried, center in ((height, center_height), (width, center_width))
        )
        place_y, place_x, flip = tf.unstack(draws[2 * TRIES :])
        return {
            "top": _place(any_fits, place_y, rows - height),
            "left": _place(any_fits, place_x, columns - width),
            "height": height,
            "width": width,
            "flip": flip < self.flip_probability,
        }

    def _largest_center_crop(self, rows, columns):
        low, high = self.aspect_ratio
        return (
            tf.clip_by_value(tf.round(columns / low), 1.0, rows),
            tf.clip_by_value(tf.round(rows * high), 1.0, columns),
        )

    def augment_images(self, images, transformations, **kwargs):
        """Crop, resize and flip as drawn."""
        t = transformations
        # Two functions, as XLA repeats the first for each read when it fuses both.
        resized = _resize_rows(images, t["top"], t["height"], self.size[0])
        return _resize_columns(resized, t["left"], t["width"], t["flip"], self.size[1])

    def compute_output_shape(self, input_shape):
        """Return the shape of the result."""
        return (*input_shape[:-3], *self.size, input_shape[-1])

    def get_config(self):
        """Return the constructor arguments."""
        return {
            **super().get_config(),
            "size": self.size,
            "area": self.area,
            "aspect_ratio": self.aspect_ratio,
            "flip_probability": self.flip_probability,
        }


def _place(drawn, draw, room):
    """Uniform among the whole pixels 0 ... room, or the centre if nothing fitted."""
    return tf.where(
        drawn, tf.minimum(tf.floor(draw * (room + 1)), room), tf.floor(room / 2)
    )


def _positions(start, length, size):
    """Where `size` samples of `length` pixels from `start` lie: (batch, size)."""
    step = (length / size)[:, None]
    position = start[:, None] + (tf.range(size, dtype="float32") + 0.5) * step - 0.5
    return tf.clip_by_value(position, start[:, None], (start + length - 1)[:, None])


def _interpolate(images, position, axis):
    """Linear interpolation of `images` along `axis` at each image's `position`."""
    below = tf.floor(position)
    weight = tf.expand_dims(tf.expand_dims(position - below, 3 - axis), -1)
    below = tf.cast(below, "int32")
    above = tf.minimum(below + 1, tf.shape(images)[axis] - 1)
    low, high = (
        tf.cast(tf.gather(images, index, axis=axis, batch_dims=1), "float32")
        for index in (below, above)
    )
    return low + (high - low) * weight


@compiled
def _resize_rows(images, top, height, size):
    return _interpolate(images, _positions(top, height, size), axis=1)


@compiled
def _resize_columns(images, left, width, flip, size):
    position = _positions(left, width, size)
    position = tf.where(flip[:, None], position[:, ::-1], position)
    return _interpolate(images, position, axis=2)

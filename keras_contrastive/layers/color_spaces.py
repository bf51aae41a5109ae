"""Colour spaces in which lightness is one channel and colour the other two."""

import keras
from keras import ops

# Linear sRGB to XYZ (IEC 61966-2-1), each row over the white of D65.
_XYZ = [
    [0.412453 / 0.95047, 0.357580 / 0.95047, 0.180423 / 0.95047],
    [0.212671, 0.715160, 0.072169],
    [0.019334 / 1.08883, 0.119193 / 1.08883, 0.950227 / 1.08883],
]
_YDBDR = [[0.299, 0.587, 0.114], [-0.45, -0.883, 1.333], [-1.333, 1.116, 0.217]]


class ColorSpace(keras.layers.Layer):
    """From RGB in [0, 255] to another space, each channel on [0, 255] again.

    A subclass has `ranges`, lowest and highest value of each channel over all RGB
    colours, and `convert`, from RGB in [0, 1].
    """

    ranges: tuple[tuple[float, float], ...] = ()

    def __init__(self, **kwargs):
        # In float32 whatever the policy: float16 keeps 11 bits of a pixel.
        super().__init__(**{"dtype": "float32", **kwargs})
        self.built = True

    def call(self, images):
        """Return the images in this space."""
        if images.shape[-1] != 3:
            raise ValueError(
                f"{type(self).__name__} takes images with 3 channels, red, green and "
                f"blue. Received: images of shape {tuple(images.shape)}. Gray images "
                "have no colour to separate from their lightness: take a method that "
                "compares views."
            )
        lowest, highest = zip(*self.ranges, strict=True)
        lowest, highest = ops.array(lowest), ops.array(highest)
        x = self.convert(ops.cast(images, "float32") / 255.0)
        return (x - lowest) * (255.0 / (highest - lowest))

    def convert(self, rgb):
        """Return the channels of this space in its own units."""
        raise NotImplementedError


@keras.saving.register_keras_serializable(package="keras_contrastive")
class RGBToLab(ColorSpace):
    """From RGB to CIE L*a*b*: lightness, green to red, blue to yellow.

    L in [0, 100], a in [-86.2, 98.3] and b in [-107.9, 94.5], the values of all sRGB
    colours under D65, come out on [0, 255] each, so that any encoder takes them.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, 3)`, in [0, 255].

    Output shape:
        The same, float32, in [0, 255].

    Raises:
        ValueError: If the images do not have 3 channels.

    Example:
    >>> lab = kc.layers.RGBToLab()(np.full((1, 1, 1, 3), 128.0))  # gray: a = b = 0
    >>> lab.numpy().round(1)[0, 0, 0]
    array([136.6, 119.2, 135.9], dtype=float32)

    Reference:
        CIE 15:2004; used by CMC, Tian et al., 2020 (https://arxiv.org/abs/1906.05849).
    """

    ranges = ((0.0, 100.0), (-86.185, 98.254), (-107.863, 94.482))

    def convert(self, rgb):
        """Return L, a and b."""
        low = rgb / 12.92
        high = ops.power((ops.maximum(rgb, 0.04045) + 0.055) / 1.055, 2.4)
        linear = ops.where(rgb <= 0.04045, low, high)
        t = ops.matmul(linear, ops.transpose(ops.array(_XYZ, "float32")))
        root = ops.power(ops.maximum(t, 0.008856), 1 / 3)
        f = ops.where(t > 0.008856, root, 7.787 * t + 16 / 116)
        x, y, z = ops.split(f, 3, axis=-1)
        return ops.concatenate([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


@keras.saving.register_keras_serializable(package="keras_contrastive")
class RGBToYDbDr(ColorSpace):
    """From RGB to YDbDr: luma and two differences of colours, as in SECAM.

    Y in [0, 1], Db and Dr in [-1.333, 1.333] come out on [0, 255] each, so that any
    encoder takes them. It is linear, and cheaper than `RGBToLab`.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, 3)`, in [0, 255].

    Output shape:
        The same, float32, in [0, 255].

    Raises:
        ValueError: If the images do not have 3 channels.

    Example:
    >>> white = kc.layers.RGBToYDbDr()(np.full((1, 1, 1, 3), 255.0))
    >>> white.numpy().round(1)[0, 0, 0]
    array([255. , 127.5, 127.5], dtype=float32)

    Reference:
        Used by later code of CMC, https://github.com/HobbitLong/PyContrast.
    """

    ranges = ((0.0, 1.0), (-1.333, 1.333), (-1.333, 1.333))

    def convert(self, rgb):
        """Return Y, Db and Dr."""
        return ops.matmul(rgb, ops.transpose(ops.array(_YDBDR, "float32")))

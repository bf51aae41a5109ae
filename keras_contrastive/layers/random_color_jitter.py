"""Random brightness, contrast, saturation and hue, in random order."""

import keras
import tensorflow as tf

from keras_contrastive.layers.random_augmentation import (
    RandomAugmentation,
    check_probability,
    compiled,
    has_colors,
    uniform,
)


@keras.saving.register_keras_serializable(package="keras_contrastive")
class RandomColorJitter(RandomAugmentation):
    """Changes brightness, contrast, saturation and hue of each image, in any order.

    The colour jitter of SimCLR and its successors. An image is changed with
    probability `probability`. Its four factors and the order of the four operations
    (each of the 24 equally likely) are its own, and after each operation the values
    are clipped to [0, 255]:

        brightness  x -> f x                 f ~ U(max(0, 1 - b), 1 + b)
          additive  x -> x + 255 d           d ~ U(-b, b)
        contrast    x -> f (x - m) + m       f as above; m is the mean of the channel
        saturation  S -> min(f S, 1) in HSV  f as above
        hue         H -> H + d (mod 1)       d ~ U(-hue, hue), H in [0, 1)

    where b is the strength of the operation in question.

    These are the operations of the SimCLR and BYOL code (`tf.image`). torchvision's
    contrast is about the mean of the gray image instead, and its saturation blends
    with the gray image. Images with another number of channels than 3 have neither
    saturation nor hue: these two are left out, and unless it is 1, a warning says so
    once.

    Args:
        brightness: Largest relative change, >= 0. SimCLR 0.8 times its strength.
        contrast: Largest relative change, >= 0.
        saturation: Largest relative change, >= 0.
        hue: Largest shift as a fraction of the colour circle, in [0, 0.5].
        probability: Share of images that are changed.
        additive_brightness: Whether brightness is added, as BYOL and the first
            version of SimCLR do, not multiplied. Default False.
        seed: See `RandomAugmentation`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, channels)` or `(height, width, channels)`, any known
        number of channels, uint8 or float in [0, 255].

    Output shape:
        The same, float32.

    Raises:
        ValueError: If a strength or the probability is impossible, or if the number of
            channels is not known.

    Example:
    >>> jitter = kc.layers.RandomColorJitter(0.4, 0.4, 0.4, 0.1, seed=0)
    >>> jitter(np.full((8, 32, 32, 3), 100, "uint8")).shape
    TensorShape([8, 32, 32, 3])

    Reference:
        Chen et al., SimCLR, 2020, appendix A (https://arxiv.org/abs/2002.05709);
        Grill et al., BYOL, 2020, appendix B (https://arxiv.org/abs/2006.07733).
    """

    def __init__(
        self,
        brightness=0.8,
        contrast=0.8,
        saturation=0.8,
        hue=0.2,
        probability=0.8,
        additive_brightness=False,
        seed=None,
        **kwargs,
    ):
        super().__init__(seed=seed, **kwargs)
        strengths = {
            "brightness": brightness,
            "contrast": contrast,
            "saturation": saturation,
        }
        for name, value in strengths.items():
            if value < 0:
                raise ValueError(
                    f"`{name}` is the largest relative change and must be >= 0. "
                    f"Received: {name}={value!r}. 0 leaves the operation out."
                )
        if not 0 <= hue <= 0.5:
            raise ValueError(
                "`hue` is a fraction of the colour circle and must be in [0, 0.5]. "
                f"Received: hue={hue!r}"
            )
        self.brightness = brightness
        self.contrast = contrast
        self.saturation = saturation
        self.hue = hue
        self.probability = check_probability(probability)
        self.additive_brightness = additive_brightness

    def draw(self, seed, images):
        """Return `applied`, the four factors, and `order`.

        `order` is `(batch, 4)`: the operation with the smallest number (of
        brightness, contrast, saturation, hue) comes first.
        """
        draws = tf.unstack(uniform(seed, images, 9))
        if self.additive_brightness:
            brightness = self.brightness * (2 * draws[1] - 1)
        else:
            brightness = _factor(draws[1], self.brightness)
        return {
            "applied": draws[0] < self.probability,
            "brightness": brightness,
            "contrast": _factor(draws[2], self.contrast),
            "saturation": _factor(draws[3], self.saturation),
            "hue": self.hue * (2 * draws[4] - 1),
            "order": tf.stack(draws[5:], axis=1),
        }

    def augment_images(self, images, transformations, **kwargs):
        """Apply the four operations in the drawn order."""
        has_colors(images, type(self).__name__)  # or a warning
        t = transformations
        factor, shift = t["brightness"], tf.zeros_like(t["brightness"])
        if self.additive_brightness:
            factor, shift = tf.ones_like(factor), 255 * factor
        return _jitter(
            images,
            t["applied"],
            factor,
            shift,
            t["contrast"],
            t["saturation"],
            t["hue"],
            t["order"],
        )

    def get_config(self):
        """Return the constructor arguments."""
        return {
            **super().get_config(),
            "brightness": self.brightness,
            "contrast": self.contrast,
            "saturation": self.saturation,
            "hue": self.hue,
            "probability": self.probability,
            "additive_brightness": self.additive_brightness,
        }


def _factor(draw, strength):
    low, high = max(0.0, 1.0 - strength), 1.0 + strength
    return low + (high - low) * draw


@compiled
def _jitter(images, applied, factor, shift, contrast, saturation, hue, order):
    """All four operations for the whole batch, in five steps.

    Saturation and hue commute, and neither leaves [0, 255]. So the order of an
    image only decides which of brightness and contrast comes first, and whether
    saturation and hue come before, between or after these two. Every image takes
    the steps hsv, affine, hsv, affine, hsv, where a step that is not its own does
    nothing (saturation 1, hue 0).
    """
    shape = tf.shape(images)
    images = tf.cast(images, "float32")
    color = images.shape[-1] == 3
    flat = tf.reshape(images, (shape[0], shape[1] * shape[2], images.shape[-1]))
    channels = old = tf.unstack(flat, axis=-1)  # of (batch, pixels)

    applied, factor, shift, contrast, saturation, hue = (
        x[:, None] for x in (applied, factor, shift, contrast, saturation, hue)
    )
    brightness_at, contrast_at, saturation_at, hue_at = tf.split(order, 4, axis=1)
    contrast_first = contrast_at < brightness_at
    first_at = tf.minimum(brightness_at, contrast_at)
    second_at = tf.maximum(brightness_at, contrast_at)

    def hsv(channels, after, before):
        if not color:
            return channels
        return _saturation_and_hue(
            channels,
            tf.where(_between(after, saturation_at, before), saturation, 1.0),
            tf.where(_between(after, hue_at, before), hue, 0.0),
        )

    def affine(channels, is_contrast):
        scale = tf.where(is_contrast, contrast, factor)
        return [
            tf.clip_by_value(
                x * scale
                + tf.where(
                    is_contrast,
                    (1 - contrast) * tf.reduce_mean(x, axis=1, keepdims=True),
                    shift,
                ),
                0.0,
                255.0,
            )
            for x in channels
        ]

    channels = hsv(channels, None, first_at)
    channels = affine(channels, contrast_first)
    channels = hsv(channels, first_at, second_at)
    channels = affine(channels, ~contrast_first)
    channels = hsv(channels, second_at, None)
    channels = [tf.where(applied, new, x) for new, x in zip(channels, old, strict=True)]
    return tf.reshape(tf.stack(channels, axis=-1), shape)


def _between(after, at, before):
    if after is None:
        return at < before
    return at > after if before is None else (at > after) & (at < before)


def _saturation_and_hue(channels, saturation, hue):
    """Multiply S (up to 1) and shift H of HSV without leaving RGB.

    With value V = max, chroma C = V S = max - min and hue h in [0, 6), a channel is
    V - C + C k(h), where k is a clipped triangle wave: |h - 3| - 1 for red.
    """
    red, green, blue = channels
    value = tf.maximum(tf.maximum(red, green), blue)
    chroma = value - tf.minimum(tf.minimum(red, green), blue)
    # The division comes last: XLA computes a quotient once, but repeats whatever is
    # cheaper than that for each of the three channels that read it.
    h = tf.where(
        value == red,
        green - blue,
        tf.where(value == green, 2 * chroma + blue - red, 4 * chroma + red - green),
    ) / tf.where(chroma > 0, chroma, 1.0)
    h += 6 * hue
    h -= 6 * tf.floor(h * (1 / 6))
    chroma = tf.minimum(chroma * saturation, value)
    waves = (tf.abs(h - 3) - 1, 2 - tf.abs(h - 2), 2 - tf.abs(h - 4))
    return [value - chroma + chroma * tf.clip_by_value(k, 0.0, 1.0) for k in waves]

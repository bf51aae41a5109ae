"""Random solarisation."""

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
class RandomSolarize(RandomAugmentation):
    """Inverts the bright pixels of images.

    With probability `probability`: `x -> 255 - x` where `x >= threshold`, for each
    channel by itself.

    Args:
        threshold: Value from which on a pixel is inverted, in [0, 255]. Half of the
            range (default) in BYOL.
        probability: Share of images that are solarised. 0.2 in BYOL's second view.
        seed: See `RandomAugmentation`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, channels)` or `(height, width, channels)`, any number
        of channels, uint8 or float in [0, 255].

    Output shape:
        The same, float32.

    Raises:
        ValueError: If `threshold` or `probability` is out of its range.

    Example:
    >>> solarize = kc.layers.RandomSolarize(probability=1.0)
    >>> solarize(np.full((1, 1, 1, 1), 200.0))[0, 0, 0, 0]
    <tf.Tensor: shape=(), dtype=float32, numpy=55.0>

    Reference:
        Grill et al., BYOL, 2020, appendix B (https://arxiv.org/abs/2006.07733).
    """

    def __init__(self, threshold=127.5, probability=0.2, seed=None, **kwargs):
        super().__init__(seed=seed, **kwargs)
        if not 0 <= threshold <= 255:
            raise ValueError(
                "`threshold` must be a pixel value in [0, 255]. "
                f"Received: threshold={threshold!r}"
            )
        self.threshold = threshold
        self.probability = check_probability(probability)

    def draw(self, seed, images):
        """Return `applied`."""
        return {"applied": uniform(seed, images, 1)[0] < self.probability}

    def augment_images(self, images, transformations, **kwargs):
        """Solarise the images that were drawn."""
        return _solarize(images, transformations["applied"], self.threshold)

    def get_config(self):
        """Return the constructor arguments."""
        return {
            **super().get_config(),
            "threshold": self.threshold,
            "probability": self.probability,
        }


@compiled
def _solarize(images, applied, threshold):
    images = tf.cast(images, "float32")
    inverted = per_image(applied) & (images >= threshold)
    return tf.where(inverted, 255 - images, images)

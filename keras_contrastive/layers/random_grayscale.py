"""Random conversion to gray."""

import keras
import tensorflow as tf

from keras_contrastive.layers.random_augmentation import (
    RandomAugmentation,
    check_probability,
    compiled,
    has_colors,
    per_image,
    uniform,
)


@keras.saving.register_keras_serializable(package="keras_contrastive")
class RandomGrayscale(RandomAugmentation):
    """Turns images gray, in three equal channels.

    With probability `probability` all channels of an image become
    `0.2989 R + 0.587 G + 0.114 B`. Images with another number of channels than 3 pass
    unchanged; unless it is 1, a warning says so once.

    Args:
        probability: Share of images that become gray. 0.2 in all the papers.
        seed: See `RandomAugmentation`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, channels)` or `(height, width, channels)`, any known
        number of channels, uint8 or float in [0, 255].

    Output shape:
        The same, float32.

    Raises:
        ValueError: If `probability` is not in [0, 1], or if the number of channels is
            not known.

    Example:
    >>> gray = kc.layers.RandomGrayscale(probability=1.0)
    >>> gray(np.full((1, 1, 1, 3), (255.0, 0.0, 0.0))).numpy().round(2)
    array([[[[76.22, 76.22, 76.22]]]], dtype=float32)

    Reference:
        Chen et al., SimCLR, 2020, appendix A (https://arxiv.org/abs/2002.05709).
    """

    def __init__(self, probability=0.2, seed=None, **kwargs):
        super().__init__(seed=seed, **kwargs)
        self.probability = check_probability(probability)

    def draw(self, seed, images):
        """Return `applied`."""
        return {"applied": uniform(seed, images, 1)[0] < self.probability}

    def augment_images(self, images, transformations, **kwargs):
        """Turn the images that were drawn gray."""
        if not has_colors(images, type(self).__name__):
            return tf.cast(images, "float32")
        return _gray(images, transformations["applied"])

    def get_config(self):
        """Return the constructor arguments."""
        return {**super().get_config(), "probability": self.probability}


@compiled
def _gray(images, applied):
    images = tf.cast(images, "float32")
    red, green, blue = tf.split(images, 3, axis=-1)
    gray = 0.2989 * red + 0.587 * green + 0.114 * blue
    return tf.where(per_image(applied), gray, images)

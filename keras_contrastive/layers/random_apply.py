"""Any layer, applied to some of the images."""

import keras
import tensorflow as tf

from keras_contrastive.layers.random_augmentation import (
    RandomAugmentation,
    apply_layer,
    check_probability,
    per_image,
    uniform,
)


@keras.saving.register_keras_serializable(package="keras_contrastive")
class RandomApply(RandomAugmentation):
    """Applies a layer to each image with a given probability.

    The decision is made for each image, not for the batch. The layer runs on the
    whole batch, and the images it was not drawn for are put back, which on a batch
    is faster than running it image by image as keras-cv's layer of this name does.

    Args:
        layer: A layer of this package, of keras-cv or of Keras that leaves the shape
            of its images alone. Repeatable only for layers of this package: others
            draw from generators of their own.
        probability: Share of images the layer is applied to.
        seed: See `RandomAugmentation`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, channels)` or `(height, width, channels)`, uint8 or
        float in [0, 255].

    Output shape:
        The same, float32.

    Raises:
        ValueError: If `probability` is not in [0, 1].

    Example:
    >>> import keras_cv
    >>> equalize = keras_cv.layers.Equalization(value_range=(0, 255))
    >>> kc.layers.RandomApply(equalize, 0.3)(np.zeros((4, 8, 8, 3))).shape
    TensorShape([4, 8, 8, 3])
    """

    def __init__(self, layer, probability=0.5, seed=None, **kwargs):
        super().__init__(seed=seed, **kwargs)
        self.layer = layer
        self.probability = check_probability(probability)
        self.built = True

    def draw(self, seed, images):
        """Return `applied`, and `seed` for the layer."""
        return {
            "applied": uniform(seed, images, 1)[0] < self.probability,
            "seed": tf.random.fold_in(seed, 1, alg="philox"),
        }

    def augment_images(self, images, transformations, **kwargs):
        """Apply the layer to the images that were drawn."""
        changed = apply_layer(self.layer, images, transformations["seed"])
        return tf.where(
            per_image(transformations["applied"]), changed, tf.cast(images, "float32")
        )

    def get_config(self):
        """Return the constructor arguments."""
        return {
            **super().get_config(),
            "layer": keras.saving.serialize_keras_object(self.layer),
            "probability": self.probability,
        }

    @classmethod
    def from_config(cls, config):
        """Build the layer from the result of `get_config`."""
        layer = keras.saving.deserialize_keras_object(config["layer"])
        return cls(**{**config, "layer": layer})

"""A policy: several random views of each image."""

import random

import keras
import tensorflow as tf

from keras_contrastive.layers.random_augmentation import (
    apply_layer,
    describe,
    next_seed,
)


@keras.saving.register_keras_serializable(package="keras_contrastive")
class Views(keras.layers.Layer):
    """Makes several random views of each image: a policy as one layer.

    Each branch is a list of layers, which run one after the other and make one view.
    `kc.augmentations` builds the policies of the papers; a new one is written down
    like this:

        branch = [
            kc.layers.RandomResizedCrop(32),
            keras_cv.layers.RandAugment(value_range=(0, 255)),
        ]
        policy = kc.layers.Views([branch, branch])

    `print(policy)` lists every operation with its probability and magnitude. A list
    that is used for two branches still gives two different views.

    Random numbers: `policy(images, seed=(a, b))` is a function without state. The
    same images and seed pair give the same views, eagerly, in `tf.data` with any
    parallelism, and in a compiled model, as long as all layers are of this package;
    those of keras-cv draw from generators of their own. The loaders of `kc.data`
    make a seed pair of their seed, the epoch and the step. `policy(images)` takes
    the next pair of the layer's own generator.

    Args:
        branches: List with one list of layers for each view.
        seed: Integer seed of the layer's own generator. None (default) takes one
            from Python's generator, which `keras.utils.set_random_seed` fixes.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        images: `(batch, height, width, channels)` or `(height, width, channels)`,
            uint8 or float in [0, 255].
        seed: Two integers or an integer tensor `(2,)`, or None.

    Returns:
        Tuple with one float32 tensor in [0, 255] for each branch.

    Raises:
        ValueError: If there is no branch, if the images have another rank or are
            uint16, or if they are floats in [0, 1] (seen only in eager calls).

    Example:
    >>> policy = kc.augmentations.simclr(32)
    >>> view_1, view_2 = policy(np.random.randint(0, 256, (8, 32, 32, 3)), seed=(0, 1))
    >>> view_1.shape, view_1.dtype
    (TensorShape([8, 32, 32, 3]), tf.float32)
    """

    def __init__(self, branches, seed=None, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        if not branches or not all(branches):
            raise ValueError(
                "`branches` must be a list with one non-empty list of layers for each "
                f"view. Received: branches={branches!r}"
            )
        self.branches = [list(branch) for branch in branches]
        self.seed = seed
        self._random_generator = tf.random.Generator.from_seed(
            random.randrange(2**31) if seed is None else seed
        )
        self.built = True
        self._convert_input_args = False
        self._allow_non_tensor_positional_args = True

    def call(self, images, seed=None):
        """Return the tuple of views."""
        images = tf.convert_to_tensor(images)
        if images.shape.rank not in (3, 4):
            raise ValueError(
                "A policy takes images (batch, height, width, channels) or (height, "
                f"width, channels). Received: images of shape {images.shape}"
            )
        if images.dtype == tf.uint16:
            raise ValueError(
                "A policy takes images in [0, 255], uint8 or float. Received: uint16. "
                "Pass kc.data.to_255(images); the loaders of kc.data do it themselves."
            )
        _check_range(images)
        if seed is None:
            seed = next_seed(self._random_generator)
        single = images.shape.rank == 3
        batch = images[None] if single else images
        views = [self.run(i, batch, seed) for i in range(len(self.branches))]
        return tuple(view[0] if single else view for view in views)

    def run(self, view: int, images, seed, first: int = 0):
        """Apply the layers of one view to a batch, from layer `first` on."""
        layers = self.branches[view][first:]
        seed_of = layer_seeds(seed, view)
        for number, layer in enumerate(layers, start=first):
            images = apply_layer(layer, images, seed_of(number))
        return images

    def __str__(self):
        lines = []
        for i, branch in enumerate(self.branches, start=1):
            lines.append(f"view_{i}")
            lines += [f"  {describe(layer)}" for layer in branch]
        return "\n".join(lines)

    def get_config(self):
        """Return the constructor arguments."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "branches": [[serialize(x) for x in branch] for branch in self.branches],
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config):
        """Build the layer from the result of `get_config`."""
        deserialize = keras.saving.deserialize_keras_object
        branches = [[deserialize(x) for x in branch] for branch in config["branches"]]
        return cls(**{**config, "branches": branches})


def layer_seeds(seed, view: int):
    """Return a function: number of a layer of the view -> its seed pair.

    As `tf.random.fold_in` of the view and then of the number, which would draw anew
    for every layer.
    """
    drawn = _draw(tf.stack([_draw(seed), view]))
    return lambda number: tf.stack([drawn, number])


def _draw(seed):
    """Return one int32 of all bits."""
    return tf.random.stateless_uniform((), seed, None, None, "int32", alg="philox")


def _check_range(images):
    """Refuse floats in [0, 1]; a black image is left alone."""
    if not tf.executing_eagerly() or not images.dtype.is_floating:
        return
    if tf.size(images) > 0 and 0 < tf.reduce_max(images) <= 1:
        raise ValueError(
            "Images must be in [0, 255], but these are floats in [0, 1]. Received: "
            f"largest value={float(tf.reduce_max(images)):.4g}. Multiply them by 255; "
            "the encoders scale and normalise inside."
        )

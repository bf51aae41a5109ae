"""The base class of the package's random augmentation layers."""

import functools
import random
import warnings

import keras
import keras_cv
import tensorflow as tf


class RandomAugmentation(keras_cv.layers.VectorizedBaseImageAugmentationLayer):
    """Base of the augmentation layers: one draw per image, a whole batch at once.

    A subclass says two things: `draw`, the random decisions of a batch, and
    `augment_images`, what these decisions do to the images (a pure function).
    Everything random comes from an explicit seed pair, so there are two ways in:

    * `layer(images)`, as with every layer of keras-cv: eagerly, in `tf.data`, in
      `keras_cv.layers.Augmenter`, in a `keras.Sequential` or in a model. The seed
      pair comes from the layer's own `tf.random.Generator`, which never hands out
      one pair twice, but in a parallel `Dataset.map` hands them out in an order
      that depends on the threads.
    * `layer.transform(images, seed)`, a function without state: the same seed pair
      gives the same images everywhere, whatever the parallelism.

    Images are in [0, 255], uint8 or float, `(batch, height, width, channels)` or,
    in a call, also `(height, width, channels)`; what comes out is float32 in
    [0, 255], under a mixed precision policy too. As in keras-cv a call always
    augments; there is no `training` argument. Labels in a dictionary of inputs pass
    unchanged.

    Args:
        seed: Integer seed of the layer's own generator. None (default) takes one
            from Python's generator, which `keras.utils.set_random_seed` fixes.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Example:
    >>> layer = kc.layers.RandomSolarize(probability=1.0)
    >>> layer.transform(tf.fill((1, 2, 2, 3), 200.0), seed=(1, 2))[0, 0, 0, 0]
    <tf.Tensor: shape=(), dtype=float32, numpy=55.0>
    """

    def __init__(self, seed=None, **kwargs):
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.seed = seed
        # Not keras.random.SeedGenerator: its read and its write are two operations,
        # and a parallel Dataset.map was seen to draw the same seed several times.
        self._random_generator = tf.random.Generator.from_seed(
            random.randrange(2**31) if seed is None else seed
        )

    def draw(self, seed, images) -> dict[str, tf.Tensor]:
        """Return the random decisions for a batch, each with leading axis `batch`.

        Args:
            seed: Integer tensor `(2,)`.
            images: Tensor `(batch, height, width, channels)`; only its shape is used.

        Returns:
            Dictionary of tensors `(batch, ...)`: the `transformations` of
            `augment_images`.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement `draw`.")

    def transform(self, images, seed) -> tf.Tensor:
        """Return the augmented batch, a pure function of the images and the seed.

        Args:
            images: Tensor `(batch, height, width, channels)` in [0, 255].
            seed: Two integers, or an integer tensor `(2,)`.

        Returns:
            Float32 tensor `(batch, height, width, channels)` in [0, 255].
        """
        return self.augment_images(images, self.draw(seed, images))

    def get_random_transformation_batch(self, batch_size, images=None, **kwargs):
        """Draw with a seed pair of the layer's own generator (keras-cv's hook)."""
        return self.draw(next_seed(self._random_generator), images)

    def augment_labels(self, labels, transformations, **kwargs):
        """Return the labels unchanged."""
        return labels

    def get_config(self):
        """Return the constructor arguments."""
        return {**super().get_config(), "seed": self.seed}


def next_seed(generator: tf.random.Generator) -> tf.Tensor:
    """Return the generator's next seed pair, int32 `(2,)`."""
    return tf.cast(generator.make_seeds(1)[:, 0] % (2**31 - 1), "int32")


def uniform(seed, images, count: int) -> tf.Tensor:
    """Return independent numbers `(count, batch)`, uniform in [0, 1)."""
    # Philox by name: the default generator may be another one under XLA.
    shape = (count, tf.shape(images)[0])
    return tf.random.stateless_uniform(shape, seed, alg="philox")


def per_image(values: tf.Tensor) -> tf.Tensor:
    """Reshape `(batch,)` to `(batch, 1, 1, 1)`."""
    return tf.reshape(values, (-1, 1, 1, 1))


def compiled(function):
    """Let XLA fuse the element-wise operations of `function(images, ...)`.

    On a CPU this is what makes the layers fast: without it TensorFlow writes every
    intermediate image to memory (the colour jitter takes 5 times as long). XLA
    compiles once for each image shape, so a call that is eager, or whose image
    shape is only known at run time, runs the plain operations; the values agree to
    float32 rounding.
    """
    fused = tf.function(function, jit_compile=True)

    @functools.wraps(function)
    def run(images, *args):
        images = tf.convert_to_tensor(images)
        known = images.shape[1:].is_fully_defined()
        return (fused if known and not tf.executing_eagerly() else function)(
            images, *args
        )

    return run


def apply_layer(layer: keras.layers.Layer, images, seed) -> tf.Tensor:
    """Run one layer of a policy: ours with the seed, any other one as it is."""
    if isinstance(layer, RandomAugmentation):
        return layer.transform(images, seed)
    images = tf.cast(images, "float32")
    if isinstance(layer, keras_cv.layers.RandAugment):
        if not has_colors(images, type(layer).__name__):
            return images  # one of its operations fails
    # Keras's own random layers do nothing unless they are told that it is training.
    arguments = {"training": True} if layer._call_has_training_arg else {}
    return tf.cast(layer(images, **arguments), "float32")


def describe(layer: keras.layers.Layer) -> str:
    """Return `Name(argument=value, ...)`, what makes the layer what it is."""
    hidden = {"name", "trainable", "dtype", "seed"}
    config = {k: v for k, v in layer.get_config().items() if k not in hidden}
    if isinstance(getattr(layer, "layer", None), keras.layers.Layer):
        config["layer"] = describe(layer.layer)
    arguments = ", ".join(f"{key}={_short(value)}" for key, value in config.items())
    return f"{type(layer).__name__}({arguments})"


def _short(value) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return f"({', '.join(map(_short, value))})"
    return str(value)


def check_probability(value: float, name: str = "probability") -> float:
    """Return `value`, or raise ValueError if it is not in [0, 1]."""
    if not 0.0 <= value <= 1.0:
        raise ValueError(
            f"`{name}` is the share of images an operation is applied to and must be "
            f"in [0, 1]. Received: {name}={value!r}. For 80 % write 0.8."
        )
    return float(value)


def has_colors(images, layer_name: str) -> bool:
    """Return whether images have red, green and blue, and what needs them can be done.

    With one channel everybody expects that it is left out; with others, a warning says
    so, once for each number of channels.

    Raises:
        ValueError: If the number of channels is not known.
    """
    channels = images.shape[-1]
    if channels is None:
        raise ValueError(
            f"{layer_name} must know how many channels images have. Received: images "
            f"of shape {tuple(images.shape)}. Fix the shape with `tf.ensure_shape`."
        )
    if channels not in (1, 3) and channels not in _told:
        _told.add(channels)
        warnings.warn(
            f"Images of {channels} channels have no colours that are known: what "
            "needs red, green and blue (saturation, hue, gray, RandAugment) is left "
            "out of the views, and all else is applied to each channel alike. Drop an "
            "alpha channel with images[..., :3] if that is what the last one is.",
            stacklevel=2,
        )
    return channels == 3


_told: set[int] = set()  # numbers of channels that a user has been told about

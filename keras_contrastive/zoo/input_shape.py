"""The same encoder, with the same weights, for images of another size or colour."""

import keras
import numpy as np
import tensorflow as tf

from keras_contrastive.zoo import encoder_config

# ITU-R BT.601, as in most gray images; they sum to 1, so that gray stays what it is.
_LUMINANCE = np.array([0.299, 0.587, 0.114], "float32")


def with_input_shape(encoder: keras.Model, input_shape: tuple) -> keras.Model:
    """Return the encoder for images of another shape, if that is exact.

    Another size takes a network whose weights do not depend on it: convolutions and
    global pooling. From 1 channel to 3, a colour image has the features of its
    luminance, and a gray one in three equal channels those it had; from 3 to 1, a gray
    image has those of its three equal channels. The kernel of the first convolution
    is spread or summed, and the features are compared on random images.

    Args:
        encoder: A functional model from images to features; it stays as it is.
        input_shape: `(height, width, channels)`; height and width may be None,
            channels are 1, 3 or what they were.

    Returns:
        A new functional model.

    Raises:
        ValueError: A wrong `input_shape`, or a network that does not allow it.

    Example:
    >>> encoder = kc.encoders.resnet(depth=10, width=4)
    >>> with_input_shape(encoder, (96, 96, 1)).input_shape
    (None, 96, 96, 1)
    """
    shape = _checked(input_shape)
    before = encoder.input_shape[1:]
    if shape[:2] != before[:2]:
        encoder = _resized(encoder, (*shape[:2], before[2]))
    if shape[2] != before[2]:
        encoder = _recoloured(encoder, shape)
    return encoder


def _checked(input_shape):
    try:
        shape = tuple(input_shape)
    except TypeError:
        shape = ()
    sizes = [x for x in shape[:2] if x is not None] + list(shape[2:])
    if len(shape) != 3 or not all(
        isinstance(x, int | np.integer) and x > 0 for x in sizes
    ):
        raise ValueError(
            "`input_shape` must be (height, width, channels), positive ints; height "
            f"and width may be None. Received: input_shape={input_shape!r}"
        )
    return shape


def _resized(encoder, shape):
    new = _rebuilt(encoder, shape)
    changed = _changed_weights(encoder, new)
    if changed or new.output_shape != encoder.output_shape:
        what = changed[0] if changed else f"the output {encoder.output_shape}"
        raise _refusal(
            encoder,
            shape,
            f"{what} depends on the size. Only a network of convolutions that ends in "
            "global pooling takes any size",
        )
    new.set_weights(encoder.get_weights())
    return new


def _recoloured(encoder, shape):
    channels = encoder.input_shape[-1], shape[2]
    if channels not in ((1, 3), (3, 1)):
        raise _refusal(encoder, shape, "only 1 channel becomes 3, and 3 become 1")
    new = _rebuilt(encoder, shape)
    weights = encoder.get_weights()
    changed = _changed_weights(encoder, new)
    exact = new.output_shape == encoder.output_shape and len(changed) <= 1
    for index, (value, variable) in enumerate(zip(weights, new.weights, strict=exact)):
        if value.shape == tuple(variable.shape):
            continue
        # A kernel of a convolution, (height, width, channels, filters).
        if value.ndim != 4 or value.shape[2:3] != channels[:1]:
            exact = False
        elif channels == (1, 3):
            weights[index] = value * _LUMINANCE[:, None]
        else:
            weights[index] = value.sum(axis=2, keepdims=True)
    if exact:
        new.set_weights(weights)
        exact = _same_features(encoder, new)
    if not exact:
        raise _refusal(
            encoder,
            shape,
            "gray images would have other features. It is exact where all that comes "
            "before the first convolution is the same for every channel",
        )
    return new


def _same_features(encoder, new):
    """Whether gray images, and colour images where `new` takes them, agree."""
    size = [x or 64 for x in new.input_shape[1:3]]
    rng = np.random.default_rng(0)
    gray = rng.uniform(0, 255, (2, *size, 1)).astype("float32")
    colour = np.repeat(gray, 3, axis=-1)
    if new.input_shape[-1] == 1:
        pairs = [(colour, gray)]
    else:
        random = rng.uniform(0, 255, (2, *size, 3)).astype("float32")
        pairs = [(gray, colour), (random @ _LUMINANCE[:, None], random)]
    for old_images, new_images in pairs:
        expected = encoder(old_images).numpy()
        try:
            features = new(new_images).numpy()
        except (ValueError, tf.errors.InvalidArgumentError):
            return False  # a Rescaling with a factor for each channel, for example
        error = np.abs(features - expected).max()
        if not error <= 1e-4 * np.abs(expected).max():
            return False
    return True


def _rebuilt(encoder, shape):
    """The same layers on another input, with fresh weights."""
    old = [None, *encoder.input_shape[1:]]
    config = _replaced(encoder_config.to_config(encoder), old, [None, *shape])
    try:
        return encoder_config.from_config(config, f"{encoder.name!r}")
    except ValueError as error:
        reason = " ".join(str(error.__cause__ or error).split())[:300]
        raise _refusal(encoder, shape, f"it cannot be built: {reason}") from error


def _replaced(config, old, new):
    if isinstance(config, list):
        return [_replaced(item, old, new) for item in config]
    if not isinstance(config, dict):
        return config
    # Layers are built by calling them; these hold the old shapes.
    dropped = ("build_config", "build_input_shape")
    kept = {k: _replaced(v, old, new) for k, v in config.items() if k not in dropped}
    shape = list(kept.get("batch_shape") or [])
    if shape == old:
        kept["batch_shape"] = new
    elif len(shape) == 4:  # of a model inside, which sees feature maps
        kept["batch_shape"] = [shape[0], None, None, shape[3]]
    return kept


def _changed_weights(encoder, new):
    """Descriptions of the weights that have another shape."""
    if len(encoder.weights) != len(new.weights):
        return ["the number of weights", "which"]
    return [
        f"{a.path!r} of shape {tuple(a.shape)}, which would be {tuple(b.shape)},"
        for a, b in zip(encoder.weights, new.weights, strict=True)
        if a.shape != b.shape
    ]


def _refusal(encoder, shape, reason):
    return ValueError(
        f"The encoder {encoder.name!r} cannot take `input_shape`: {reason}. Received: "
        f"input_shape={shape}. It was made for {encoder.input_shape[1:]}: leave "
        "`input_shape` out and give it images of that shape."
    )

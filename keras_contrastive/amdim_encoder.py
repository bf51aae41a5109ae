"""AMDIM's encoder: the places of its maps see no more than their part of an image."""

import keras
from keras import layers, ops

from keras_contrastive.checks import check_count
from keras_contrastive.layers.sync_batch_normalization import SyncBatchNormalization

LARGEST = 8  # times `width`: the authors' widest block before the features


def amdim(
    width: int = 64,
    depth: int = 3,
    dim: int = 512,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    name: str | None = None,
) -> keras.Model:
    """Build AMDIM's encoder, whose maps of 5 x 5 and 7 x 7 places have small fields.

    For images of 32 pixels:

    | layers                 | side     | channels    | a place sees |
    |------------------------|----------|-------------|--------------|
    | 3x3 convolution, ReLU  | 32 to 30 | width       | 3 pixels     |
    | one unit of 1x1        | 30       | width       | 3            |
    | block 4x4, stride 2    | 30 to 14 | 2 * width   | 6            |
    | block 2x2, stride 2    | 14 to 7  | 4 * width   | 8: `map7`    |
    | block 3x3              | 7 to 5   | 4 * width   | 16: `map5`   |
    | block 3x3              | 5 to 3   | 4 * width   | 24           |
    | unit 3x3, batch norm   | 3 to 1   | dim         | 32: features |

    A block has `depth` units. The first changes the size, the others are of 1x1
    convolutions, which add depth and let no place see more. A unit is a convolution, a
    ReLU and a 1x1 convolution that begins with zeros, beside the average of the same
    window, with zeros for new channels; without a bias and without a batch norm.

    There is no padding: behind a border of zeros, a place could tell where in the image
    it lies, and that two places are of one image, without looking at the image.

    Images are float32 (integer arrays are cast) in [0, 255] and become [0, 1]. Features
    are float32 under any dtype policy.

    Args:
        width: Channels of the first convolution, a positive int. In the authors' runs
            128 to 320.
        depth: Units in each block, a positive int; 3, and 8 to 10 for ImageNet.
        dim: Number of features, at least as many as the last block has channels, 4 or
            8 times `width`; in the authors' runs 8 times.
        input_shape: `(size, size, channels)` of the images. A size of 32 to 35 pixels,
            64 to 71 or 128 to 143 ends in 7 x 7 places: each doubling has one more
            block of 4x4. 16 and 17 have none.
        name: Name of the model; `amdim` by default.

    Returns:
        A functional `keras.Model` from `(batch, height, width, channels)` to
        `(batch, dim)`; `feature_maps(encoder, ["map7", "map5"])` gives its maps.

    Raises:
        ValueError: A number that is not a positive int, another size of images, or a
            `dim` that is too small.

    Example:
    >>> encoder = keras_contrastive.encoders.amdim(width=8, depth=2, dim=64)
    >>> maps = keras_contrastive.encoders.feature_maps(encoder, ["map7", "map5"])
    >>> {name: x.shape for name, x in maps(np.zeros((2, 32, 32, 3))).items()}
    {'map7': TensorShape([2, 7, 7, 32]), 'map5': TensorShape([2, 5, 5, 32])}

    References:
        - [Bachman et al., 2019 (AMDIM)](https://arxiv.org/abs/1906.00910)
        - https://github.com/Philip-Bachman/amdim-public. For 128 pixels the authors
          begin with a padded 5x5 convolution of stride 2 in place of a block, and have
          the unit of 1x1 for 32 pixels alone.
    """
    for key, value in (("width", width), ("depth", depth), ("dim", dim)):
        check_count(key, value)
    halvings = _halvings(input_shape)
    channels = [width * min(2**i, LARGEST) for i in range(1, halvings + 2)]
    if dim < channels[-1]:
        raise ValueError(
            f"`dim` must be at least {channels[-1]}, the channels of the last block: "
            f"the shortcut adds channels and drops none. Received: dim={dim}."
        )
    inputs = keras.Input(input_shape, dtype="float32", name="images")
    x = layers.Rescaling(1 / 255, dtype="float32", name="scaling")(inputs)
    x = _conv(width, 3, 1, "stem_conv", use_bias=True)(x)
    x = layers.ReLU(name="stem_relu")(x)
    x = _unit(x, width, 1, 1, "stem_unit")
    for index, filters in enumerate(channels[:-1], start=1):
        x = _block(x, filters, 4, 2, depth, f"block{index}")
    x = _block(x, channels[-1], 2, 2, depth, "map7")
    x = _block(x, channels[-1], 3, 1, depth, "map5")
    x = _block(x, channels[-1], 3, 1, depth, "map3")
    x = _unit(x, dim, 3, 1, "map1")
    x = SyncBatchNormalization(name="map1_bn")(x)
    x = layers.GlobalAveragePooling2D(dtype="float32", name="features")(x)
    return keras.Model(inputs, x, name=name or "amdim")


def _halvings(input_shape):
    """Number of 4x4 blocks after which a 2x2 block gives 7 x 7 places."""
    height, width, channels = input_shape if len(input_shape) == 3 else (0, 1, 0)
    for halvings in range(4):
        least = 16 * 2**halvings
        if height == width and channels and least <= (height or 0) < least * 9 / 8:
            return halvings
    raise ValueError(
        "`input_shape` must be (size, size, channels), with a size of 32 to 35 pixels, "
        "64 to 71, 128 to 143, or 16 to 17: without padding, other sizes have no map "
        f"of 7 x 7. Received: input_shape={tuple(input_shape)}"
    )


def _block(x, filters, kernel, stride, depth, name):
    """`depth` units; the last one has the block's name."""
    for index in range(1, depth + 1):
        last = name if index == depth else f"{name}_unit{index}"
        x = _unit(x, filters, kernel, stride, last)
        kernel = stride = 1
    return x


def _unit(x, filters, kernel, stride, name):
    """A convolution, ReLU, a 1x1 convolution; beside them the mean of the window."""
    shortcut = x
    if kernel > 1:
        pool = layers.AveragePooling2D(kernel, stride, name=f"{name}_pool")
        shortcut = pool(shortcut)
    if filters > x.shape[-1]:
        more = filters - x.shape[-1]
        shortcut = ops.pad(shortcut, ((0, 0), (0, 0), (0, 0), (0, more)))
    x = _conv(filters, kernel, stride, f"{name}_conv1")(x)
    x = layers.ReLU(name=f"{name}_relu")(x)
    x = _conv(filters, 1, 1, f"{name}_conv2", kernel_initializer="zeros")(x)
    return layers.Add(name=name)([x, shortcut])


def _conv(filters, kernel, stride, name, **kwargs):
    """A convolution without padding; torch's kernel, U(-1, 1) / sqrt(fan-in)."""
    uniform = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
    kwargs = {"use_bias": False, "kernel_initializer": uniform, **kwargs}
    return layers.Conv2D(filters, kernel, stride, "valid", name=name, **kwargs)

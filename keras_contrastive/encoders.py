"""Encoders: functional models from images in [0, 255] to features `(batch, dim)`.

Scaling is a layer inside the graph, so training and serving cannot differ. Any other
functional `keras.Model` with such inputs and outputs is an encoder too.
"""

from collections.abc import Callable

import keras
from keras import layers

from keras_contrastive.amdim_encoder import amdim
from keras_contrastive.application_encoder import from_application
from keras_contrastive.backbones import from_backbone
from keras_contrastive.checks import check_count
from keras_contrastive.encoder_checks import check_encoder
from keras_contrastive.feature_maps import feature_maps
from keras_contrastive.layers.color_spaces import RGBToLab
from keras_contrastive.layers.patches import Patches, PatchGrid
from keras_contrastive.resnet import resnet
from keras_contrastive.vit import VIT_SIZES, vit

__all__ = [
    "VIT_SIZES",
    "amdim",
    "feature_maps",
    "from_application",
    "from_backbone",
    "of_patches",
    "lightness_and_color",
    "resnet",
    "side_by_side",
    "vit",
]


def side_by_side(encoders: dict[str, keras.Model], name: str | None = None):
    """Make one encoder of several: the same images in, all features in a row out.

    For methods whose view of an image is a part of it, such as lightness beside colour
    in CMC: each encoder begins with what takes its part. Probe, zoo and export take
    the result like any other encoder, and
    `feature_maps(encoder, ["lightness", "colour"])` gives the features of each.

    Args:
        encoders: The name of each, and the encoder, which keeps its layers and weights.
        name: Name of the new encoder; by default the names, joined by "_".

    Returns:
        A functional `keras.Model` from images to float32 features `(batch, dim)`, `dim`
        the sum of all, in the order of `encoders`.

    Raises:
        ValueError: There is no encoder, or their images are not of one shape; see also
            `check_encoder`.

    Example:
    >>> images = keras.Input((32, 32, 3))
    >>> red, others = [
    ...     keras_contrastive.encoders.resnet(10, 16, input_shape=(32, 32, channels))
    ...     for channels in (1, 2)]
    >>> encoder = keras_contrastive.encoders.side_by_side({
    ...     "red": keras.Model(images, red(images[..., :1])),
    ...     "others": keras.Model(images, others(images[..., 1:]))})
    >>> encoder.output_shape
    (None, 256)
    """
    if not isinstance(encoders, dict) or not encoders:
        raise ValueError(
            "`encoders` must be a dict from names to at least one encoder. Received: "
            f"encoders={encoders!r}"
        )
    for encoder in encoders.values():
        check_encoder(encoder)
    shapes = {key: encoder.input_shape for key, encoder in encoders.items()}
    shape, *others = shapes.values()
    if any(other != shape for other in others):
        raise ValueError(
            "`encoders` must take the same images. Received: input shapes "
            f"{shapes}. Let each begin with what picks its part of the image, such as "
            "`x = keras.Input((32, 32, 3)); keras.Model(x, encoder(x[..., :1]))`."
        )
    images = keras.Input(shape[1:], dtype="float32", name="images")
    features = [
        keras.Model(encoder.inputs[0], encoder.outputs[0], name=key)(images)
        for key, encoder in encoders.items()
    ]
    if len(features) == 1:
        x = layers.Activation("linear", dtype="float32", name="features")(*features)
    else:
        x = layers.Concatenate(dtype="float32", name="features")(features)
    return keras.Model(images, x, name=name or "_".join(encoders))


def of_patches(
    patch_encoder: keras.Model,
    stride: int,
    input_shape: tuple[int, int, int],
    name: str | None = None,
) -> keras.Model:
    """Make an encoder of whole images of an encoder of patches, as CPC has it.

    An image is cut into overlapping patches, each goes through `patch_encoder` by
    itself, and the features of an image are the mean over its patches. The layer
    `"grid"` has those of each patch, `(batch, rows, columns, dim)`, for
    `feature_maps`. Pixels to the right of and below the last whole patch are not seen.

    Args:
        patch_encoder: An encoder of patches of one size; it keeps its layers and
            weights. Patches of an image share a batch: without batch norm, none can
            know of the others (`resnet(norm=keras.layers.LayerNormalization)`).
        stride: Pixels between neighbouring patches; CPC has half a patch's side.
        input_shape: `(height, width, channels)` of the images.
        name: Name of the encoder; by default `<patch_encoder.name>_of_patches`.

    Returns:
        A functional `keras.Model` from images `(batch, height, width, channels)` in
        [0, 255] to float32 features `(batch, dim)`.

    Raises:
        ValueError: A stride below 1; a patch encoder for any size of patches; images
            of unknown size, smaller than a patch, or of other channels; see also
            `check_encoder`.

    Example:
    >>> patches = keras_contrastive.encoders.resnet(
    ...     depth=10, width=8, input_shape=(8, 8, 3),
    ...     norm=keras.layers.LayerNormalization)
    >>> encoder = keras_contrastive.encoders.of_patches(patches, 4, (32, 32, 3))
    >>> encoder.get_layer("grid").output.shape, encoder.output_shape
    ((None, 7, 7, 64), (None, 64))

    References:
        - [van den Oord et al., 2018 (CPC)](https://arxiv.org/abs/1807.03748)
        - [Henaff et al., 2019 (version 2)](https://arxiv.org/abs/1905.09272)
    """
    check_encoder(patch_encoder)
    check_count("stride", stride)
    _, *size, channels = patch_encoder.input_shape
    if None in size:
        raise ValueError(
            "`patch_encoder` must take patches of one size. Received: "
            f"patch_encoder={patch_encoder.name!r} with input shape "
            f"{patch_encoder.input_shape}. Build it with the patch's height and width "
            "in `input_shape`."
        )
    known = len(input_shape) == 3 and None not in input_shape
    if not known or any(a < b for a, b in zip(input_shape, size, strict=False)):
        raise ValueError(
            "`input_shape` must be (height, width, channels) of images that hold a "
            f"patch of {size[0]} x {size[1]} pixels. Received: "
            f"input_shape={input_shape}. Take larger images or smaller patches."
        )
    if input_shape[-1] != channels:
        raise ValueError(
            f"Images must have the channels of `patch_encoder`, {channels}. Received: "
            f"input_shape={input_shape}. Build the patch encoder for "
            f"{input_shape[-1]}."
        )
    images = keras.Input(input_shape, dtype="float32", name="images")
    cut = Patches(size, stride, dtype="float32", name="patches")
    x = patch_encoder(cut(images))
    grid = PatchGrid(*cut.grid(input_shape), dtype="float32", name="grid")(x)
    x = layers.GlobalAveragePooling2D(dtype="float32", name="features")(grid)
    return keras.Model(images, x, name=name or f"{patch_encoder.name}_of_patches")


def lightness_and_color(
    build: Callable[[tuple], keras.Model],
    input_shape: tuple[int | None, int | None, int] = (32, 32, 3),
    color_space: keras.layers.Layer | None = None,
    name: str | None = None,
) -> keras.Model:
    """Make one encoder of two: one sees the lightness of an image, one its colour.

    For CMC. The parts are called "lightness" and "color".

    Args:
        build: Function, shape of images to an encoder, called with one channel and with
            two. They see values in [0, 255] as any encoder does.
        input_shape: `(height, width, 3)` of the images, red, green and blue.
        color_space: Layer, images to images whose first channel is lightness; by
            default `kc.layers.RGBToLab()`.
        name: Name of the encoder; by default that of both parts.

    Returns:
        A functional `keras.Model` from images in [0, 255] to float32 features
        `(batch, dim)`, those of lightness first.

    Raises:
        ValueError: If the images do not have three channels; see also `side_by_side`.

    Example:
    >>> encoder = keras_contrastive.encoders.lightness_and_color(
    ...     lambda shape: keras_contrastive.encoders.resnet(10, 16, input_shape=shape))
    >>> encoder.output_shape
    (None, 256)

    Reference:
        Tian et al., 2020 (https://arxiv.org/abs/1906.05849)
    """
    if input_shape[-1] != 3:
        raise ValueError(
            "An encoder of lightness and colour, as CMC has, takes images with 3 "
            "channels, red, green and blue. Received: "
            f"input_shape={tuple(input_shape)}. Take a method that compares views, or "
            "make parts of your own channels by `side_by_side`."
        )
    color_space = color_space or RGBToLab()
    parts = {}
    for part, channels in (("lightness", slice(0, 1)), ("color", slice(1, 3))):
        images = keras.Input(input_shape, dtype="float32", name="images")
        x = color_space(images)[..., channels]
        parts[part] = keras.Model(images, build(tuple(x.shape[1:]))(x))
    return side_by_side(parts, name)

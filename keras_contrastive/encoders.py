"""Encoders: functional models from images in [0, 255] to features `(batch, dim)`.

Scaling is a layer inside the graph, so training and serving cannot differ. Any other
functional `keras.Model` with such inputs and outputs is an encoder too.
"""

import functools
import warnings
from collections.abc import Callable

import keras
from keras import layers

from keras_contrastive.amdim_encoder import amdim
from keras_contrastive.checks import check_count
from keras_contrastive.encoder_checks import check_encoder
from keras_contrastive.feature_maps import feature_maps
from keras_contrastive.layers.color_spaces import RGBToLab
from keras_contrastive.layers.patches import Patches, PatchGrid
from keras_contrastive.layers.sync_batch_normalization import SyncBatchNormalization
from keras_contrastive.pixel_scaling import scaled
from keras_contrastive.vit import VIT_SIZES, vit

__all__ = [
    "VIT_SIZES",
    "amdim",
    "feature_maps",
    "from_application",
    "of_patches",
    "lightness_and_color",
    "resnet",
    "side_by_side",
    "vit",
]

# Blocks per stage, and whether they are bottlenecks (He et al. 2016, table 1).
# 10 is not in the paper: one basic block per stage, for work without a GPU. 200 is
# that of SimCLR, BYOL and VICReg.
_DEPTHS = {
    10: ((1, 1, 1, 1), False),
    18: ((2, 2, 2, 2), False),
    34: ((3, 4, 6, 3), False),
    50: ((3, 4, 6, 3), True),
    101: ((3, 4, 23, 3), True),
    152: ((3, 8, 36, 3), True),
    200: ((3, 24, 36, 3), True),
}
_STEMS = ("small", "imagenet")
# Whether strided convolutions, and the max-pool, are padded as TensorFlow's "same",
# on the right and bottom first (torch pads all sides alike), and pixels around images
# for the small stem.
_PADDINGS = {
    "torch": (False, False, 1),
    "simclr": (False, True, 1),
    "same": (True, True, 1),
    "solo_learn": (False, False, 2),
}


def resnet(
    depth: int = 18,
    width: int = 64,
    stem: str = "small",
    input_shape: tuple[int | None, int | None, int] = (32, 32, 3),
    zero_init_residual: bool = False,
    name: str | None = None,
    norm: Callable[..., keras.layers.Layer] = SyncBatchNormalization,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    padding: str = "torch",
    inner_width: int = 1,
) -> keras.Model:
    """Build a ResNet encoder with either stem and any width.

    With `width=64` and `stem="imagenet"` it is torchvision's ResNet without the last
    dense layer: the same padding, the stride on the 3x3 convolution of a bottleneck
    ("v1.5"), batch norm with decay 0.9 and epsilon 1e-5 (synchronised over replicas),
    He-normal weights by fan-out. Inputs are float32 (integer arrays are cast) in
    [0, 255] and become [0, 1], as in SimCLR, which subtracts no mean; or, with `mean`
    and `std`, `(images / 255 - mean) / std`. Features are float32 under any dtype
    policy.

    Args:
        depth: 10, 18 or 34 (basic blocks), 50, 101, 152 or 200 (bottlenecks). 10 is
            one basic block per stage.
        width: Channels of the first stage, any positive int; stage `s` has
            `width * 2**(s-1)`, times 4 in bottlenecks. `dim` is `8 * width` or
            `32 * width`. On CPUs multiples of 16 are fast: in mixed_bfloat16 a
            width of 16 trained 3 times as fast as 24, and 32 as fast as 24.
        stem: `"small"`: a 3x3 convolution with stride 1, for images of about 28 to 96
            pixels (SimCLR appendix B.9). `"imagenet"`: a 7x7 convolution and a
            max-pool, together stride 4.
        input_shape: `(height, width, channels)` of the images. Height and width may
            be None; channels any positive int.
        zero_init_residual: Start the last batch norm of every block with gamma 0, so
            that blocks begin as the identity. SimCLR's code does; BYOL's notes that
            it is slightly worse for large networks.
        name: Name of the model; `resnet18` and so on by default.
        norm: What makes each normalisation: a callable that takes `name` and
            `gamma_initializer` and returns a layer. CPC wants
            `keras.layers.LayerNormalization`: a batch norm tells the network which
            patches come from one image.
        mean: What is subtracted of each channel in [0, 1], such as ImageNet's
            (0.485, 0.456, 0.406); None: nothing.
        std: What each channel is divided by then; None: nothing.
        padding: Of strided convolutions and the max-pool. `"torch"`: all sides alike.
            `"same"`: TensorFlow's, more on the right and bottom, as in BYOL.
            `"simclr"`: the max-pool alone like that. `"solo_learn"`: torch's, and the
            small stem pads by 2 pixels. Converted weights want theirs.
        inner_width: Channels inside of bottlenecks, times that: 2 in torchvision's
            `wide_resnet50_2`. The wide networks of SwAV and VICReg have both, `width`
            and this.

    Returns:
        A functional `keras.Model` from `(batch, height, width, channels)` to
        `(batch, dim)`. Layers are named `stage1_block1_conv1` and so on.

    Raises:
        ValueError: An unknown `depth`, `stem` or `padding`, a wrong `width`,
            `inner_width` or `input_shape`, a `mean` or `std` that is not of the
            channels, or a `norm` that is one layer.

    Example:
    >>> encoder = keras_contrastive.encoders.resnet(depth=18, width=32)
    >>> encoder(np.zeros((2, 32, 32, 3), "uint8")).shape
    TensorShape([2, 256])

    References:
        - [He et al., 2016](https://arxiv.org/abs/1512.03385)
        - [Chen et al., 2020 (SimCLR)](https://arxiv.org/abs/2002.05709)
    """
    if depth not in _DEPTHS:
        raise ValueError(
            f"`depth` must be one of {[*_DEPTHS]}. Received: depth={depth!r}"
        )
    if stem not in _STEMS:
        raise ValueError(f"`stem` must be one of {_STEMS}. Received: stem={stem!r}")
    if not isinstance(width, int) or width < 1:
        raise ValueError(f"`width` must be a positive int. Received: width={width!r}")
    if len(input_shape) != 3 or not input_shape[-1]:
        raise ValueError(
            "`input_shape` must be (height, width, channels) without the batch axis. "
            f"Received: input_shape={input_shape}"
        )

    if not callable(norm) or isinstance(norm, layers.Layer):
        raise ValueError(
            "`norm` must make a layer for each call, as a class or a function does. "
            f"Received: norm={norm!r}. Pass keras.layers.LayerNormalization itself, or "
            "`lambda **kw: keras.layers.LayerNormalization(epsilon=1e-5, **kw)`."
        )

    if padding not in _PADDINGS:
        raise ValueError(
            f"`padding` must be one of {[*_PADDINGS]}. Received: padding={padding!r}"
        )
    check_count("inner_width", inner_width)
    blocks, bottleneck = _DEPTHS[depth]
    return build_resnet(
        blocks,
        bottleneck,
        width,
        stem,
        input_shape,
        zero_init_residual=zero_init_residual,
        name=name or f"resnet{depth}",
        norm=norm,
        mean=mean,
        std=std,
        padding=padding,
        inner_width=inner_width,
    )


def resnet_depth(blocks: tuple[int, ...], bottleneck: bool) -> int | None:
    """Return the depth by which a ResNet of these blocks is known, or None."""
    for depth, parts in _DEPTHS.items():
        if parts == (tuple(blocks), bottleneck):
            return depth
    return None


def build_resnet(
    blocks: tuple[int, ...],
    bottleneck: bool,
    width: int,
    stem: str,
    input_shape: tuple[int | None, int | None, int],
    *,
    name: str,
    zero_init_residual: bool = False,
    norm: Callable[..., keras.layers.Layer] = SyncBatchNormalization,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    padding: str = "torch",
    inner_width: int = 1,
) -> keras.Model:
    """Build a ResNet of any number of blocks in each stage.

    It checks nothing; `resnet` does, and says what all but the first two arguments are:
    `blocks`, how many each stage has, and `bottleneck`, whether they are such.
    """
    same_conv, same_pool, border = _PADDINGS[padding]
    inputs = keras.Input(input_shape, dtype="float32", name="images")
    x = scaled(inputs, mean, std)
    conv_norm = functools.partial(_conv_norm, norm=norm, same=same_conv)
    if stem == "small":
        if border > 1:  # "same" pads the last pixel of it
            x = layers.ZeroPadding2D(border - 1, name="stem_pad")(x)
        x = conv_norm(x, width, 3, 1, "stem_conv", "stem_bn")
        x = layers.ReLU(name="stem_relu")(x)
    else:
        x = conv_norm(x, width, 7, 2, "stem_conv", "stem_bn")
        x = layers.ReLU(name="stem_relu")(x)
        if not same_pool:
            # Zeros cannot win over values behind a ReLU: as good as torch's -inf.
            x = layers.ZeroPadding2D(1, name="stem_pool_pad")(x)
        pool = "same" if same_pool else "valid"
        x = layers.MaxPooling2D(3, 2, pool, name="stem_pool")(x)
    for stage, num_blocks in enumerate(blocks, start=1):
        channels = width * 2 ** (stage - 1)
        for block in range(1, num_blocks + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            if bottleneck:  # kernel size, stride and channels of each convolution
                inner = inner_width * channels
                convs = [(1, 1, inner), (3, stride, inner), (1, 1, 4 * channels)]
            else:
                convs = [(3, stride, channels), (3, 1, channels)]
            prefix = f"stage{stage}_block{block}"
            x = _residual_block(x, convs, stride, zero_init_residual, prefix, conv_norm)
    features = layers.GlobalAveragePooling2D(dtype="float32", name="features")(x)
    return keras.Model(inputs, features, name=name)


def _residual_block(x, convs, stride, zero_init, prefix, conv_norm):
    """A basic (3x3, 3x3) or bottleneck (1x1, 3x3, 1x1) block with its shortcut."""
    shortcut, out_channels = x, convs[-1][-1]
    if stride != 1 or x.shape[-1] != out_channels:
        names = f"{prefix}_shortcut_conv", f"{prefix}_shortcut_bn"
        shortcut = conv_norm(x, out_channels, 1, stride, *names)
    for index, (kernel, conv_stride, filters) in enumerate(convs, start=1):
        last = index == len(convs)
        names = f"{prefix}_conv{index}", f"{prefix}_bn{index}"
        zero = zero_init and last
        x = conv_norm(x, filters, kernel, conv_stride, *names, zero_gamma=zero)
        if not last:
            x = layers.ReLU(name=f"{prefix}_relu{index}")(x)
    x = layers.Add(name=f"{prefix}_add")([shortcut, x])
    return layers.ReLU(name=f"{prefix}_relu{len(convs)}")(x)


def _conv_norm(
    x, filters, kernel, stride, conv_name, norm_name, *, norm, same, zero_gamma=False
):
    """Convolution padded by `kernel // 2` on every side, then the normalisation.

    "same" pads a strided convolution on the right and bottom first; torch all sides.
    """
    pad = kernel // 2
    if stride > 1 and pad and not same:
        x = layers.ZeroPadding2D(pad, name=f"{conv_name}_pad")(x)
    if stride > 1 and not pad:
        # The same function as a strided convolution, whose gradient corrupts memory
        # in oneDNN; see `encoder_checks.unsafe_convolutions`.
        x = layers.AveragePooling2D(1, stride, name=f"{conv_name}_pool")(x)
        stride = 1
    x = layers.Conv2D(
        filters,
        kernel,
        strides=stride,
        padding="valid" if stride > 1 and not same else "same",
        use_bias=False,
        kernel_initializer=keras.initializers.VarianceScaling(
            scale=2.0, mode="fan_out", distribution="untruncated_normal"
        ),
        name=conv_name,
    )(x)
    return norm(
        gamma_initializer="zeros" if zero_gamma else "ones",
        name=norm_name,
    )(x)


def from_application(
    model: keras.Model,
    preprocessing: keras.layers.Layer | None = None,
    name: str | None = None,
    pooling: str | None = None,
) -> keras.Model:
    """Make an encoder of a `keras.applications` model, or of another image model.

    What the application expects of its pixels (`preprocess_input` of its family)
    becomes a part of the graph, found by the model's name; MobileNetV3, EfficientNet
    and ConvNeXt have it inside already. A feature map is averaged over its positions;
    the tokens of a transformer, such as those of keras-hub, are pooled as `pooling`
    says. The encoder shares the layers and weights of `model`.

    Note that the batch norms of `keras.applications` are not synchronised across
    replicas; `encoder_checks.unsynchronized_batch_norms` lists them.

    Args:
        model: A functional model with one image input and one output, a feature map
            `(batch, height, width, channels)`, tokens `(batch, tokens, dim)` or
            features `(batch, dim)`; a `keras.applications` model is built with
            `include_top=False`.
        preprocessing: A layer from images in [0, 255] to what `model` expects, for
            example `keras.layers.Rescaling(1 / 255)`. By default that of the
            `keras.applications` family; a model that has a Rescaling or Normalization
            layer gets the images in [0, 255], and so does one that is not known, with
            a warning. `keras.layers.Identity()` says that this is right.
        name: Name of the encoder; by default `<model.name>_encoder`.
        pooling: What becomes of tokens or positions: `"mean"`, or `"class_token"`,
            the first token of those vision transformers that have one. Needed for
            tokens; None averages feature maps.

    Returns:
        A functional `keras.Model` from images `(batch, height, width, channels)` in
        [0, 255] to float32 features `(batch, dim)`.

    Raises:
        TypeError: `model` is not a `keras.Model`.
        ValueError: Its inputs or outputs are not as above, it is a classifier
            (`include_top=True`), or it was built with `include_preprocessing=False`;
            `pooling` is missing or does not fit the output; its family's
            preprocessing is for 3 channels, and it has another number.

    Example:
    >>> mobilenet = keras.applications.MobileNetV2(
    ...     include_top=False, weights=None, input_shape=(96, 96, 3))
    >>> keras_contrastive.encoders.from_application(mobilenet).output_shape
    (None, 1280)
    """
    _check_application(model)
    _check_pooling(model, pooling)
    inputs = keras.Input(model.input_shape[1:], dtype="float32", name="images")
    if preprocessing is None:
        x = _application_preprocessing(inputs, model)
    else:
        x = preprocessing(inputs)
    [x] = keras.tree.flatten(model(x))  # a model may return a list of one
    if len(x.shape) == 4:
        x = layers.GlobalAveragePooling2D(dtype="float32", name="features")(x)
    elif pooling == "mean":
        x = layers.GlobalAveragePooling1D(dtype="float32", name="features")(x)
    else:
        x = x[:, 0] if pooling == "class_token" else x
        x = layers.Activation("linear", dtype="float32", name="features")(x)
    return keras.Model(inputs, x, name=name or f"{model.name}_encoder")


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


def _check_application(model):
    if not isinstance(model, keras.Model):
        raise TypeError(
            "`model` must be a keras.Model, for example keras.applications."
            "MobileNetV2(include_top=False). "
            f"Received: model={model!r} (of type {type(model).__name__})."
        )
    try:
        inputs, outputs = model.inputs, model.outputs
    except AttributeError:
        inputs, outputs = [], []
    shapes = [tuple(x.shape) for x in [*inputs, *outputs]]
    if (
        len(inputs) != 1
        or len(outputs) != 1
        or len(shapes[0]) != 4
        or len(shapes[1]) not in (2, 3, 4)
    ):
        raise ValueError(
            "`model` must be a built functional or Sequential model with one input "
            "(batch, height, width, channels) and one output, a feature map "
            "(batch, height, width, channels), tokens (batch, tokens, dim) or features "
            "(batch, dim). "
            f"Received: model={model.name!r} with inputs {shapes[: len(inputs)]} and "
            f"outputs {shapes[len(inputs) :]}."
        )
    last = model.layers[-1]
    if getattr(last, "activation", None) is keras.activations.softmax:
        raise ValueError(
            "`model` must return features, not class probabilities: build it with "
            "include_top=False. "
            f"Received: model={model.name!r}, whose last layer {last.name!r} is a "
            "softmax."
        )


# What `pooling` may be, by the rank of the output.
_POOLING = {2: (None,), 3: ("mean", "class_token"), 4: (None, "mean")}


def _check_pooling(model, pooling):
    shape = tuple(model.outputs[0].shape)
    allowed = _POOLING[len(shape)]
    if pooling not in allowed:
        raise ValueError(
            f"`pooling` must be {' or '.join(map(repr, allowed))} for an output of "
            f"shape {shape}. Received: pooling={pooling!r} for model={model.name!r}."
            + (
                " Take 'class_token' if the first token is a class token."
                if len(shape) == 3
                else ""
            )
        )


# Families of keras.applications by the beginning of their models' names, and the mode
# of their `preprocess_input`. "inside" ones have layers for it in the model.
_PREPROCESSING = {
    "resnet50v2": "tf",
    "resnet101v2": "tf",
    "resnet152v2": "tf",
    "resnet50": "caffe",
    "resnet101": "caffe",
    "resnet152": "caffe",
    "vgg16": "caffe",
    "vgg19": "caffe",
    "densenet": "torch",
    "mobilenetv3": "inside",
    "efficientnet": "inside",
    "convnext": "inside",
    "mobilenetv2_": "tf",
    "mobilenet_": "tf",
    "inception_": "tf",
    "xception": "tf",
    "nasnet": "tf",
}


def _application_preprocessing(x, model):
    """The `preprocess_input` of the model's family on images in [0, 255]."""
    scalings = (layers.Rescaling, layers.Normalization)
    if any(isinstance(layer, scalings) for layer in model._flatten_layers()):
        return x
    name = model.name.lower()
    prefixes = [prefix for prefix in _PREPROCESSING if name.startswith(prefix)]
    mode = _PREPROCESSING[prefixes[0]] if prefixes else None
    if mode == "inside":
        raise ValueError(
            f"`model` must contain its preprocessing. Received: model={model.name!r}, "
            "built with include_preprocessing=False. Build it without that argument, "
            "or pass `preprocessing`, a layer from [0, 255] to what it expects."
        )
    channels = model.input_shape[-1]
    if mode in ("torch", "caffe") and channels != 3:
        raise ValueError(
            f"`model` must have 3 channels (RGB) for the preprocessing of its family. "
            f"Received: model={model.name!r} with {channels}. Pass `preprocessing`, a "
            "layer from [0, 255] to what it was or will be trained on, such as "
            "keras.layers.Rescaling(1 / 255)."
        )
    if mode is None:
        warnings.warn(
            f"`model` gets its pixels in [0, 255]: {model.name!r} is no model of "
            "keras.applications and has no Rescaling or Normalization layer. Pass what "
            "it expects, such as preprocessing=keras.layers.Rescaling(1 / 255), or "
            "preprocessing=keras.layers.Identity() if [0, 255] is right.",
            stacklevel=3,
        )
    if mode == "tf":
        x = layers.Rescaling(1 / 127.5, -1.0, dtype="float32", name="scaling")(x)
    if mode == "torch":  # ImageNet's mean and standard deviation, RGB
        mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
        x = layers.Rescaling(
            [1 / (255 * s) for s in std],
            [-m / s for m, s in zip(mean, std, strict=True)],
            dtype="float32",
            name="scaling",
        )(x)
    if mode == "caffe":  # BGR minus ImageNet's mean
        x = keras.ops.flip(x, axis=-1)
        offset = [-103.939, -116.779, -123.68]
        x = layers.Rescaling(1.0, offset, dtype="float32", name="scaling")(x)
    return x

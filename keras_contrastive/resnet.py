"""ResNet encoders: He et al. (2016), and SimCLR version 2's with selective kernels."""

import functools
from collections.abc import Callable

import keras
from keras import layers

from keras_contrastive.checks import check_count
from keras_contrastive.layers.streams import StreamMix, StreamSum
from keras_contrastive.layers.sync_batch_normalization import SyncBatchNormalization
from keras_contrastive.pixel_scaling import scaled

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
# Hidden channels of a selective kernel's attention: this share of those that it mixes,
# and at least so many (SimCLR version 2's code, its `sk_ratio` and `min_dim`).
_SK_RATIO, _SK_LEAST = 0.0625, 32
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
    selective_kernel: bool = False,
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
        name: Name of the model; by default `resnet18` and so on, `resnet50_sk` with
            selective kernels.
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
        selective_kernel: Build SimCLR version 2's network, the same function as that
            of its authors' code: in each bottleneck two 3x3 convolutions, mixed channel
            by channel as attention to the whole map says; average pooling in the
            shortcuts of the first block of each stage; and in the ImageNet stem three
            3x3 convolutions (ResNet-D) and TensorFlow's max-pool. Basic blocks have no
            selective kernels there either: of depths below 50 the stem and the
            shortcuts change. A ResNet-50 has 35 instead of 24 million parameters.

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
        - [Chen et al., 2020 (version 2)](https://arxiv.org/abs/2006.10029);
          google-research/simclr, tf2/resnet.py
        - [Li et al., 2019 (selective kernels)](https://arxiv.org/abs/1903.06586)
        - [He et al., 2018 (ResNet-D)](https://arxiv.org/abs/1812.01187)
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
        name=name or f"resnet{depth}" + "_sk" * selective_kernel,
        norm=norm,
        mean=mean,
        std=std,
        padding=padding,
        inner_width=inner_width,
        selective_kernel=selective_kernel,
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
    selective_kernel: bool = False,
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
        x = _stem_conv(x, width, 3, 1, "", conv_norm)
    else:
        if selective_kernel:
            x = _stem_conv(x, max(1, width // 2), 3, 2, "1", conv_norm)
            x = _stem_conv(x, max(1, width // 2), 3, 1, "2", conv_norm)
            x = _stem_conv(x, width, 3, 1, "", conv_norm)
        else:
            x = _stem_conv(x, width, 7, 2, "", conv_norm)
        same_pool = same_pool or selective_kernel
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
            if not selective_kernel:
                shortcut = _shortcut(x, convs, stride, prefix, conv_norm)
            elif block == 1:
                shortcut = _pooled_shortcut(x, convs, stride, prefix, conv_norm)
            else:
                shortcut = x
            streams = 2 if selective_kernel and bottleneck else 1
            x = _convolutions(x, convs, streams, zero_init_residual, prefix, conv_norm)
            x = layers.Add(name=f"{prefix}_add")([shortcut, x])
            x = layers.ReLU(name=f"{prefix}_relu{len(convs)}")(x)
    features = layers.GlobalAveragePooling2D(dtype="float32", name="features")(x)
    return keras.Model(inputs, features, name=name)


def _stem_conv(x, filters, kernel, stride, number, conv_norm):
    x = conv_norm(x, filters, kernel, stride, f"stem_conv{number}", f"stem_bn{number}")
    return layers.ReLU(name=f"stem_relu{number}")(x)


def _shortcut(x, convs, stride, prefix, conv_norm):
    """`x`, or a 1x1 convolution of it where its shape changes."""
    out_channels = convs[-1][-1]
    if stride == 1 and x.shape[-1] == out_channels:
        return x
    names = f"{prefix}_shortcut_conv", f"{prefix}_shortcut_bn"
    return conv_norm(x, out_channels, 1, stride, *names)


def _pooled_shortcut(x, convs, stride, prefix, conv_norm):
    """ResNet-D's: a 1x1 convolution of the means of 2x2 pixels.

    The authors' code pools where the stride is 1, too, and leaves out there what is
    beyond the edge; else it counts as 0.
    """
    if stride == 1:
        x = layers.AveragePooling2D(2, 1, "same", name=f"{prefix}_shortcut_pool")(x)
    else:
        x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"{prefix}_shortcut_pad")(x)
        x = layers.AveragePooling2D(2, stride, name=f"{prefix}_shortcut_pool")(x)
    names = f"{prefix}_shortcut_conv", f"{prefix}_shortcut_bn"
    return conv_norm(x, convs[-1][-1], 1, 1, *names)


def _convolutions(x, convs, streams, zero_init, prefix, conv_norm):
    """Those of a basic (3x3, 3x3) or bottleneck (1x1, 3x3, 1x1) block.

    With two streams there are two of the 3x3 convolutions, and a mixture of both.
    """
    for index, (kernel, stride, filters) in enumerate(convs, start=1):
        last = index == len(convs)
        mixed = streams == 2 and kernel == 3
        names = f"{prefix}_conv{index}", f"{prefix}_bn{index}"
        zero = zero_init and last
        channels = streams * filters if mixed else filters
        x = conv_norm(x, channels, kernel, stride, *names, zero_gamma=zero)
        if not last:
            x = layers.ReLU(name=f"{prefix}_relu{index}")(x)
        if mixed:
            x = _selected(x, filters, f"{prefix}_sk", conv_norm)
    return x


def _selected(streams, channels, prefix, conv_norm):
    """Two streams, mixed by what a small network says of the mean of their sum."""
    x = layers.GlobalAveragePooling2D(keepdims=True, name=f"{prefix}_pool")(streams)
    x = StreamSum(name=f"{prefix}_sum")(x)
    hidden = max(int(channels * _SK_RATIO), _SK_LEAST)
    x = conv_norm(x, hidden, 1, 1, f"{prefix}_conv1", f"{prefix}_bn")
    x = layers.ReLU(name=f"{prefix}_relu")(x)
    x = _conv(x, 2 * channels, 1, 1, f"{prefix}_conv2")
    return StreamMix(name=f"{prefix}_mix")([streams, x])


def _conv_norm(
    x, filters, kernel, stride, conv_name, norm_name, *, norm, same, zero_gamma=False
):
    """A convolution and the normalisation behind it."""
    x = _conv(x, filters, kernel, stride, conv_name, same)
    return norm(
        gamma_initializer="zeros" if zero_gamma else "ones",
        name=norm_name,
    )(x)


def _conv(x, filters, kernel, stride, conv_name, same=False):
    """Convolution padded by `kernel // 2` on every side, without a bias.

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
    return layers.Conv2D(
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

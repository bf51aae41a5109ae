"""Vision transformers: encoders from images in [0, 255] to class-token features."""

import keras
from keras import layers, ops

from keras_contrastive.checks import check_count
from keras_contrastive.pixel_scaling import scaled

# Dosovitskiy et al. 2021, table 1, and DeiT for the two smaller ones.
VIT_SIZES = {
    "tiny": {"dim": 192, "depth": 12, "heads": 3},
    "small": {"dim": 384, "depth": 12, "heads": 6},
    "base": {"dim": 768, "depth": 12, "heads": 12},
}


def vit(
    patch: int = 16,
    dim: int = 192,
    depth: int = 12,
    heads: int = 3,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    registers: int = 0,
    grid: tuple[int, int] | None = None,
    name: str | None = None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
) -> keras.Model:
    """Build a vision transformer (ViT) encoder of any size.

    An image is cut into patches, each becomes a token with a learned position, and
    `depth` pre-norm blocks of attention and an MLP four times as wide follow. Features
    are those of the class token after the last layer norm. It is timm's ViT without
    the last dense layer: exact GELU, layer norms with epsilon 1e-6, biases everywhere.
    Inputs are float32 (integer arrays are cast) in [0, 255] and become [-1, 1], as for
    timm's ViTs, or, with `mean` and `std`, `(images / 255 - mean) / std`. Features are
    float32 under any dtype policy.

    The encoder takes images of other sizes than `input_shape`, too, if `patch` divides
    them: positions are interpolated (bicubic with antialiasing, as timm's). So smaller
    crops of a multi-crop policy need nothing else. Exports have the size of
    `input_shape`. Of TF-Lite's variants take `float32`, `float16` or `dynamic`: int8
    activations lose too much in layer norms, and the check of `int8` refuses the file.

    timm's sizes are `vit(patch=16, **VIT_SIZES["small"])`, and so on:

    | size  | dim | depth | heads | parameters, patch 16, 224 x 224 x 3 |
    |-------|-----|-------|-------|-------------------------------------|
    | tiny  | 192 | 12    | 3     | 5.5 million                         |
    | small | 384 | 12    | 6     | 21.7 million                        |
    | base  | 768 | 12    | 12    | 85.8 million                        |

    Args:
        patch: Side of the square patches in pixels; it divides height and width.
            8 to 16 for ImageNet, 4 for images of 32 pixels.
        dim: Size of a token, and of the features; a multiple of `heads`.
        depth: Number of blocks.
        heads: Attention heads of each block.
        input_shape: `(height, width, channels)` of the images. Height and width may
            be None.
        registers: Extra tokens without a position, which keep the patch tokens free
            of artefacts (Darcet et al., 2024: 4). They are not part of the features.
        grid: `(rows, columns)` of patches that have a position of their own; by
            default those of `input_shape`, and 14 x 14 where it is open.
        name: Name of the model; `vit` by default.
        mean: What is subtracted of each channel in [0, 1]; by default 0.5.
        std: What each channel is divided by then; by default 0.5.

    Returns:
        A functional `keras.Model` from `(batch, height, width, channels)` to
        `(batch, dim)`. Of its layers, `block1` ... give all tokens, `(batch, 1 +
        registers + patches, dim)`, and `patch_tokens` those of the patches after the
        last norm, `(batch, patches, dim)`, row by row; see `feature_maps`.

    Raises:
        ValueError: A patch that does not divide the images, a `dim` that is no
            multiple of `heads`, or a number that is not a positive int.

    Example:
    >>> encoder = keras_contrastive.encoders.vit(4, 48, 2, 3, input_shape=(32, 32, 3))
    >>> encoder(np.zeros((2, 32, 32, 3))).shape, encoder(np.zeros((2, 16, 16, 3))).shape
    (TensorShape([2, 48]), TensorShape([2, 48]))
    >>> maps = keras_contrastive.encoders.feature_maps(encoder, ["patch_tokens"])
    >>> maps(np.zeros((2, 32, 32, 3)))["patch_tokens"].shape
    TensorShape([2, 64, 48])

    References:
        - [Dosovitskiy et al., 2021](https://arxiv.org/abs/2010.11929)
        - [Touvron et al., 2021 (DeiT)](https://arxiv.org/abs/2012.12877)
        - [Darcet et al., 2024 (registers)](https://arxiv.org/abs/2309.16588)
        - https://github.com/huggingface/pytorch-image-models
    """
    for key, value in (("dim", dim), ("depth", depth), ("heads", heads)):
        check_count(key, value)
    if dim % heads:
        raise ValueError(
            f"`dim` must be a multiple of `heads`. Received: dim={dim}, heads={heads}"
        )
    if len(input_shape) != 3 or not input_shape[-1]:
        raise ValueError(
            "`input_shape` must be (height, width, channels) without the batch axis. "
            f"Received: input_shape={input_shape}"
        )
    check_count("patch", patch)
    _check_divides(patch, input_shape[:2], f"input_shape={tuple(input_shape)}")
    if grid is None:
        rows, columns = (
            14 if side is None else side // patch for side in input_shape[:2]
        )
        grid = rows, columns

    images = keras.Input(input_shape, dtype="float32", name="images")
    if mean is None and std is None:  # one number, so that gray can become colour
        x = layers.Rescaling(1 / 127.5, -1.0, dtype="float32", name="scaling")(images)
    else:
        half = (0.5,) * images.shape[-1]
        x = scaled(images, mean or half, std or half)
    x = PatchEmbedding(patch, dim, tuple(grid), registers, name="patches")(x)
    for block in range(1, depth + 1):
        x = _block(x, dim, heads, f"block{block}")
    x = layers.LayerNormalization(epsilon=1e-6, name="norm")(x)
    _, class_token = SplitTokens(registers, name="patch_tokens")(x)
    features = layers.Activation("linear", dtype="float32", name="features")
    return VisionTransformer(images, features(class_token), name=name or "vit")


def _block(x, dim, heads, name):
    """X + attention(norm(x)), then x + MLP(norm(x))."""
    y = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm1")(x)
    y = layers.MultiHeadAttention(
        heads, dim // heads, kernel_initializer=_normal(), name=f"{name}_attention"
    )(y, y)
    x = layers.Add(name=f"{name}_add1")([x, y])
    y = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm2")(x)
    y = layers.Dense(4 * dim, kernel_initializer=_normal(), name=f"{name}_mlp1")(y)
    y = ExactGELU(name=f"{name}_gelu")(y)
    y = layers.Dense(dim, kernel_initializer=_normal(), name=f"{name}_mlp2")(y)
    return layers.Add(name=name)([x, y])


def _normal():
    # One for each kernel: one object gives every kernel of a shape the same values.
    return keras.initializers.TruncatedNormal(stddev=0.02)


def _check_divides(patch, size, received):
    if any(side is not None and (side < patch or side % patch) for side in size):
        raise ValueError(
            "`patch` must divide the height and the width of the images. "
            f"Received: patch={patch}, {received}. Crop or resize the images to a "
            f"multiple of {patch}, or choose another patch."
        )


@keras.saving.register_keras_serializable(package="keras_contrastive")
class VisionTransformer(keras.Model):
    """A functional model whose images may be smaller or larger than its input.

    What `vit` returns. It is a class of its own only because a functional model of
    Keras refuses every size but that of its input.
    """

    @property
    def input_spec(self):
        """What Keras checks of the images: four axes, and the channels."""
        channels = self.inputs[0].shape[-1]
        return [keras.InputSpec(shape=(None, None, None, channels), name="images")]


@keras.saving.register_keras_serializable(package="keras_contrastive")
class PatchEmbedding(layers.Layer):
    """Images to tokens: the class token, registers, and the patches with positions.

    Args:
        patch: Side of the square patches in pixels.
        dim: Size of a token.
        grid: `(rows, columns)` of patches that have a position of their own; other
            numbers get interpolated ones.
        registers: Extra tokens without a position.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        images: Float tensor `(batch, height, width, channels)`.

    Returns:
        Tokens `(batch, 1 + registers + rows * columns, dim)`.

    Raises:
        ValueError: A patch that does not divide the images, or a count that is none.
    """

    def __init__(self, patch, dim, grid, registers=0, **kwargs):
        super().__init__(**kwargs)
        self.patch = check_count("patch", patch)
        self.dim = check_count("dim", dim)
        if len(grid) != 2:
            raise ValueError(f"`grid` must be (rows, columns). Received: grid={grid!r}")
        self.grid = tuple(check_count("grid", side) for side in grid)
        self.registers = registers and check_count("registers", registers)
        self.conv = layers.Conv2D(
            dim,
            patch,
            strides=patch,
            # That of torch's convolutions, which timm leaves as it is.
            kernel_initializer=keras.initializers.VarianceScaling(
                1 / 3, "fan_in", "uniform"
            ),
            dtype=self.dtype_policy,
            name="conv",
        )

    def build(self, input_shape):
        """Create the kernel, the positions and the extra tokens."""
        self.conv.build(input_shape)
        rows, columns = self.grid
        self.class_token = self._tokens("class_token", 1, 1e-6)
        self.positions = self._tokens("positions", 1 + rows * columns, 0.02)
        self.register_tokens = None
        if self.registers:
            self.register_tokens = self._tokens("registers", self.registers, 1e-6)
        self.built = True

    def _tokens(self, name, number, stddev):
        normal = keras.initializers.TruncatedNormal(stddev=stddev)
        return self.add_weight(name=name, shape=(number, self.dim), initializer=normal)

    def call(self, images):
        """Map images to tokens."""
        size = images.shape[1:3]
        _check_divides(self.patch, size, f"images of shape {tuple(images.shape)}")
        x = self.conv(images)
        positions = self._positions_of(x)
        x = ops.reshape(x, (-1, ops.shape(positions)[0], self.dim))
        x = x + ops.cast(positions, x.dtype)

        first = self.class_token + self.positions[:1]
        if self.register_tokens is not None:
            first = ops.concatenate([first, self.register_tokens], axis=0)
        first = ops.broadcast_to(first[None], (ops.shape(x)[0], *first.shape))
        return ops.concatenate([ops.cast(first, x.dtype), x], axis=1)

    def _positions_of(self, patches):
        """Positions of `(batch, rows, columns, dim)`, `(rows * columns, dim)`."""
        positions = self.positions[1:]
        if tuple(patches.shape[1:3]) == self.grid:
            return positions
        # Resizing is linear along each axis. Unlike the resize operation, a product
        # runs under XLA and in TF-Lite, with its gradient.
        new = ops.shape(patches)[1:3]
        rows, columns = (
            _resize_matrix(*sizes) for sizes in zip(self.grid, new, strict=True)
        )
        x = ops.reshape(ops.cast(positions, "float32"), (*self.grid, self.dim))
        x = ops.tensordot(rows, x, axes=[[1], [0]])  # (new rows, columns, dim)
        x = ops.matmul(columns, x)
        return ops.reshape(x, (-1, self.dim))

    def compute_output_shape(self, input_shape):
        """Return `(batch, tokens, dim)`."""
        sides = [side and side // self.patch for side in input_shape[1:3]]
        patches = None if None in sides else sides[0] * sides[1]
        tokens = patches and 1 + self.registers + patches
        return (input_shape[0], tokens, self.dim)

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "patch": self.patch,
            "dim": self.dim,
            "grid": list(self.grid),
            "registers": self.registers,
        }


def _resize_matrix(old, new):
    """The matrix `(new, old)` of bicubic resizing with antialiasing along one axis.

    The kernel is Keys's with a = -0.5; it grows with the factor when the axis shrinks.
    """
    scale = old / ops.cast(new, "float32")
    centres = (ops.arange(new, dtype="float32") + 0.5) * scale
    distance = ops.arange(old, dtype="float32") + 0.5 - centres[:, None]
    x = ops.abs(distance) / ops.maximum(scale, 1.0)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    weights = ops.where(x < 1, near, ops.where(x < 2, far, 0.0))
    return weights / ops.sum(weights, axis=1, keepdims=True)


@keras.saving.register_keras_serializable(package="keras_contrastive")
class ExactGELU(layers.Layer):
    """GELU, `x P(X <= x)` for X of N(0, 1), by an operation that ONNX has, too."""

    def call(self, x):
        """Return GELU of every element."""
        return 0.5 * x * (1.0 + ops.erf(x * 0.5**0.5))


@keras.saving.register_keras_serializable(package="keras_contrastive")
class SplitTokens(layers.Layer):
    """All tokens to those of the patches and the class token.

    Args:
        registers: Number of register tokens, which follow the class token.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        tokens: Float tensor `(batch, 1 + registers + patches, dim)`.

    Returns:
        A tuple of patch tokens `(batch, patches, dim)` and class token `(batch, dim)`.
    """

    def __init__(self, registers=0, **kwargs):
        super().__init__(**kwargs)
        self.registers = registers

    def call(self, tokens):
        """Split the tokens."""
        return tokens[:, 1 + self.registers :], tokens[:, 0]

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "registers": self.registers}

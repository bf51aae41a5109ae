"""Networks as others name their tensors, and how each tensor fits ours.

A layout recognises its network by names alone, infers every size from the shapes,
builds the encoder and lists its slots: the name and shape a tensor must have, and where
it goes. What is left over, lacking or of another shape is for the caller to say.
"""

import dataclasses
import math
import re
from collections.abc import Callable

import keras
import numpy as np

from keras_contrastive.encoders import vit
from keras_contrastive.resnet import build_resnet, resnet_depth

Tensors = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Slot:
    """A tensor of a file and the weights it becomes.

    Attributes:
        name: What the file calls it.
        shape: Its shape there.
        put: Takes the tensor and assigns the weights.
        take: Gives the tensor of the weights, the inverse.
    """

    name: str
    shape: tuple[int, ...]
    put: Callable[[np.ndarray], object]
    take: Callable[[], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """What an encoder does first: `(images / 255 - mean) / std`, and how it pads.

    Attributes:
        mean, std: Of red, green and blue, or None.
        padding: As in `kc.encoders.resnet`.
        heads: The number of attention heads of a ViT, by its dim.
    """

    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    padding: str = "torch"
    heads: Callable[[int], int] = lambda dim: max(1, dim // 64)


def plain(name: str, variable, shape: tuple[int, ...] | None = None) -> Slot:
    """A tensor that is the weight itself, but for axes of size 1."""
    ours = tuple(variable.shape)
    shape = shape or ours
    return Slot(
        name,
        shape,
        lambda x: variable.assign(x.reshape(ours)),
        lambda: variable.numpy().reshape(shape),
    )


def transposed(name: str, variable) -> Slot:
    """The kernel of a convolution or Dense layer, as torch has it."""
    there = (3, 2, 0, 1) if len(variable.shape) == 4 else (1, 0)
    back = (2, 3, 1, 0) if len(variable.shape) == 4 else (1, 0)
    return Slot(
        name,
        tuple(variable.shape[axis] for axis in there),
        lambda x: variable.assign(x.transpose(back)),
        lambda: np.ascontiguousarray(variable.numpy().transpose(there)),
    )


_NORM = ("gamma", "beta", "moving_mean", "moving_variance")


class TorchResNet:
    """torchvision's names: `conv1.weight`, `layer1.0.downsample.0.weight`, ..."""

    conv = "{}.weight"
    norm = ("{}.weight", "{}.bias", "{}.running_mean", "{}.running_var")
    mark = "conv1.weight"

    def name_of(self, layer: str, shortcut: str = "downsample") -> str:
        """Return what torch calls a layer of `kc.encoders.resnet`."""
        if layer.startswith("stem_"):
            return {"conv": "conv1", "bn": "bn1"}[layer.removeprefix("stem_")]
        stage, block, part = _place(layer)
        ending = {"shortcut_conv": f"{shortcut}.0", "shortcut_bn": f"{shortcut}.1"}
        return f"layer{stage}.{block - 1}.{ending.get(part, part)}"

    def build(self, tensors, preprocessing, input_shape=None):
        """Build the encoder that the tensors are of."""
        stem = tensors["conv1.weight"].shape  # (filters, channels, height, width)
        blocks = _counts(tensors, r"layer(\d+)\.(\d+)\.")
        first = tensors.get("layer1.0.conv1.weight")
        bottleneck = "layer1.0.conv3.weight" in tensors
        inner = first.shape[0] // stem[0] if first is not None and bottleneck else 1
        return _resnet(
            *(blocks, bottleneck, stem[0], stem[-1], stem[1]),
            *(inner, preprocessing, input_shape),
        )

    def slots(self, encoder, tensors=()):
        """List the slots of an encoder that `build` made."""
        other = any(".shortcut." in name for name in tensors)
        for layer in _with_weights(encoder):
            name = self.name_of(layer.name, "shortcut" if other else "downsample")
            if isinstance(layer, keras.layers.Conv2D):
                yield transposed(self.conv.format(name), layer.kernel)
            else:
                for pattern, ours in zip(self.norm, _NORM, strict=True):
                    yield plain(pattern.format(name), getattr(layer, ours))


class TorchViT:
    """timm's names: `cls_token`, `blocks.0.attn.qkv.weight`, ..."""

    mark = "cls_token"

    def build(self, tensors, preprocessing, input_shape=None):
        """Build the encoder that the tensors are of."""
        dim = tensors["cls_token"].shape[-1]
        kernel = tensors["patch_embed.proj.weight"].shape
        side = math.isqrt(max(0, tensors["pos_embed"].shape[1] - 1)) or 1
        patch = kernel[-1]
        heads = preprocessing.heads(dim)
        if dim % heads:
            raise ValueError(
                f"a ViT of this source with tokens of {dim} numbers has {heads} heads, "
                "which do not divide them; say how many with heads="
            )
        [depth] = _counts(tensors, r"(blocks)\.(\d+)\.")
        shape = input_shape or (side * patch, side * patch, kernel[1])
        return vit(
            patch,
            dim,
            depth,
            heads,
            shape,
            grid=(side, side),
            mean=preprocessing.mean,
            std=preprocessing.std,
        )

    def slots(self, encoder, tensors=()):
        """List the slots of an encoder that `build` made."""
        patches = encoder.get_layer("patches")
        dim = patches.dim
        yield plain("cls_token", patches.class_token, (1, 1, dim))
        yield plain("pos_embed", patches.positions, (1, *patches.positions.shape))
        yield transposed("patch_embed.proj.weight", patches.conv.kernel)
        yield plain("patch_embed.proj.bias", patches.conv.bias)
        for layer in encoder.layers:
            block = re.fullmatch(r"block(\d+)_(\w+)", layer.name)
            if block is None or not layer.weights:
                continue
            prefix, part = f"blocks.{int(block[1]) - 1}", block[2]
            if part == "attention":
                yield from _attention(layer, f"{prefix}.attn", dim)
            elif part.startswith("norm"):
                yield plain(f"{prefix}.{part}.weight", layer.gamma)
                yield plain(f"{prefix}.{part}.bias", layer.beta)
            else:
                name = f"{prefix}.mlp.fc{part[-1]}"
                yield transposed(f"{name}.weight", layer.kernel)
                yield plain(f"{name}.bias", layer.bias)
        norm = encoder.get_layer("norm")
        yield plain("norm.weight", norm.gamma)
        yield plain("norm.bias", norm.beta)


class SimCLRResNet:
    """Names of TensorFlow 1: layers are numbered as they are made, shortcuts first."""

    mark = "conv2d/kernel"
    norm = ("{}/gamma", "{}/beta", "{}/moving_mean", "{}/moving_variance")

    def build(self, tensors, preprocessing, input_shape=None):
        """Build the encoder that the tensors are of."""
        kernels = [tensors.get("conv2d/kernel")]
        while f"conv2d_{len(kernels)}/kernel" in tensors:
            kernels.append(tensors[f"conv2d_{len(kernels)}/kernel"])
        shapes = [kernel.shape for kernel in kernels]
        size, _, channels, width = shapes[0]
        # Selective kernels come with a stem of three convolutions.
        selective = [shape[0] for shape in shapes[:3]] == [3, 3, 3]
        if selective:
            size, width, shapes = 7, shapes[2][-1], shapes[2:]
        # The first block's shortcut is 4 times as wide, if it has bottlenecks.
        bottleneck = len(shapes) > 1 and shapes[1][-1] == 4 * width
        # A bottleneck has one 3x3, perhaps of two streams, a basic block has two.
        wide = [shape[-1] for shape in shapes[1:] if shape[0] == 3]
        streams = 2 if selective and bottleneck else 1
        counts = [wide.count(width * 2**stage * streams) for stage in range(4)]
        blocks = [count if bottleneck else count // 2 for count in counts]
        return _resnet(
            *(blocks, bottleneck, width, size, channels, 1),
            *(preprocessing, input_shape, selective),
        )

    def slots(self, encoder, tensors=()):
        """List the slots of an encoder that `build` made."""
        names = {type_: _numbered(type_) for type_ in ("conv2d", "batch_normalization")}
        for layer in sorted(_with_weights(encoder), key=_tensorflow_order):
            if isinstance(layer, keras.layers.Conv2D):
                yield plain(f"{next(names['conv2d'])}/kernel", layer.kernel)
            else:
                name = next(names["batch_normalization"])
                for pattern, ours in zip(self.norm, _NORM, strict=True):
                    yield plain(pattern.format(name), getattr(layer, ours))


class HaikuResNet:
    """haiku's names: `block_group_0/~/block_0/~/conv_0/w`, ..."""

    mark = "initial_conv/w"
    norm = (
        "{}/scale",
        "{}/offset",
        "{}/~/mean_ema/average",
        "{}/~/var_ema/average",
    )

    def name_of(self, layer: str) -> str:
        """Return what haiku calls a layer of `kc.encoders.resnet`."""
        if layer.startswith("stem_"):
            kind = layer.removeprefix("stem_")
            return {"conv": "initial_conv", "bn": "initial_batchnorm"}[kind]
        stage, block, part = _place(layer)
        part = part.replace("bn", "batchnorm")
        if part[-1].isdigit():
            part = f"{part[:-1]}_{int(part[-1]) - 1}"
        return f"block_group_{stage - 1}/~/block_{block - 1}/~/{part}"

    def build(self, tensors, preprocessing, input_shape=None):
        """Build the encoder that the tensors are of."""
        size, _, channels, width = tensors["initial_conv/w"].shape
        blocks = _counts(tensors, r"block_group_(\d+)/~/block_(\d+)/")
        bottleneck = "block_group_0/~/block_0/~/conv_2/w" in tensors
        return _resnet(
            *(blocks, bottleneck, width, size, channels, 1),
            *(preprocessing, input_shape),
        )

    def slots(self, encoder, tensors=()):
        """List the slots of an encoder that `build` made."""
        for layer in _with_weights(encoder):
            name = self.name_of(layer.name)
            if isinstance(layer, keras.layers.Conv2D):
                yield plain(f"{name}/w", layer.kernel)
            else:
                for pattern, ours in zip(self.norm, _NORM, strict=True):
                    variable = getattr(layer, ours)
                    shape = (1, 1, 1, *variable.shape)
                    yield plain(pattern.format(name), variable, shape)


TORCH_RESNET, TORCH_VIT = TorchResNet(), TorchViT()
SIMCLR_RESNET, HAIKU_RESNET = SimCLRResNet(), HaikuResNet()


def _resnet(
    blocks,
    bottleneck,
    width,
    size,
    channels,
    inner,
    preprocessing,
    input_shape,
    selective_kernel=False,
):
    """A ResNet whose stem has a kernel of this size."""
    stem = {7: "imagenet", 3: "small"}.get(size)
    if stem is None:
        raise ValueError(
            f"its first convolution is {size} x {size}; a ResNet here begins with 7 x "
            "7 (and a max-pool) or with 3 x 3"
        )
    depth = resnet_depth(blocks, bottleneck)
    side = 224 if stem == "imagenet" else 32
    padding = preprocessing.padding
    return build_resnet(
        tuple(blocks),
        bottleneck,
        width,
        stem,
        input_shape or (side, side, channels),
        name=f"resnet{depth or ''}" + "_sk" * selective_kernel,
        mean=preprocessing.mean,
        std=preprocessing.std,
        padding=padding,
        inner_width=max(1, inner),
        selective_kernel=selective_kernel,
    )


def _counts(tensors, pattern):
    """How many numbers stand in names, for each stage in order."""
    found: dict[str, set[int]] = {}
    for name in tensors:
        match = re.match(pattern, name)
        if match:
            found.setdefault(match[1], set()).add(int(match[2]))
    return tuple(len(found[stage]) for stage in sorted(found)) or (0,)


def _place(layer):
    """Stage, block and part of a layer's name, such as `stage1_block2_conv3`."""
    match = re.fullmatch(r"stage(\d+)_block(\d+)_(\w+)", layer)
    if match is None:
        raise ValueError(f"no layer of a ResNet of this package: {layer!r}")
    return int(match[1]), int(match[2]), match[3]


def _with_weights(encoder):
    return [layer for layer in encoder.layers if layer.weights]


def _tensorflow_order(layer):
    """Stem first, then each block: its shortcut, then its convolutions in order."""
    if layer.name.startswith("stem_"):
        return (0, 0, _number(layer.name) or 3)  # stem_conv1, stem_conv2, stem_conv
    stage, block, part = _place(layer.name)
    if part.startswith("sk_"):  # between the second and the third convolution
        return (stage, block, 2 + _number(part) / 10)
    return (stage, block, _number(part))


def _number(name):
    """The digit at the end of a name, or 0."""
    return int(name[-1]) if name[-1].isdigit() else 0


def _numbered(name):
    """`conv2d`, `conv2d_1`, ..., as TensorFlow 1 made names unique."""
    yield name
    number = 1
    while True:
        yield f"{name}_{number}"
        number += 1


def _attention(layer, name, dim):
    """The four Dense layers of attention; torch has the first three as one."""
    parts = [layer.query_dense, layer.key_dense, layer.value_dense]

    def put(x):  # (3 dim, dim)
        for part, kernel in zip(parts, np.split(x.T, 3, axis=1), strict=True):
            part.kernel.assign(kernel.reshape(part.kernel.shape))

    def put_bias(x):
        for part, bias in zip(parts, np.split(x, 3), strict=True):
            part.bias.assign(bias.reshape(part.bias.shape))

    def take():
        kernels = [part.kernel.numpy().reshape(dim, dim) for part in parts]
        return np.concatenate(kernels, axis=1).T

    def take_bias():
        return np.concatenate([part.bias.numpy().reshape(-1) for part in parts])

    yield Slot(f"{name}.qkv.weight", (3 * dim, dim), put, take)
    yield Slot(f"{name}.qkv.bias", (3 * dim,), put_bias, take_bias)
    out = layer.output_dense
    yield Slot(
        f"{name}.proj.weight",
        (dim, dim),
        lambda x: out.kernel.assign(x.T.reshape(out.kernel.shape)),
        lambda: out.kernel.numpy().reshape(dim, dim).T,
    )
    yield plain(f"{name}.proj.bias", out.bias)

"""Weights from elsewhere become a preset: read, matched by name, checked, saved."""

import math
import os
import pathlib

import keras
import numpy as np

from keras_contrastive.files import sha256, write_model
from keras_contrastive.zoo import tensor_files
from keras_contrastive.zoo.encoder_config import at_most
from keras_contrastive.zoo.foreign_networks import Preprocessing
from keras_contrastive.zoo.foreign_sources import SOURCES, Source
from keras_contrastive.zoo.preset import save_to_preset
from keras_contrastive.zoo.preset_files import printable

# What data parallelism and compilation put into names.
_WRAPPERS = ("module", "_orig_mod")
# Statistics that say nothing about the function: of torch's and haiku's batch norm.
_COUNTERS = ("num_batches_tracked", "counter", "hidden")
# What TensorFlow keeps of an optimizer beside each weight.
_SLOTS = ("/Momentum", "/LARSOptimizer", "/Adam", "/Adam_1")
_SHOWN = 6  # names in an error, of each kind


def convert(
    path: str | os.PathLike,
    source: str,
    output: str | os.PathLike,
    head: bool = False,
    input_shape: tuple[int | None, int | None, int] | None = None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    heads: int | None = None,
    overwrite: bool = False,
) -> pathlib.Path:
    """Make a preset of a file of weights that others published.

    Every tensor of the encoder is matched by name and shape, and all sizes are
    inferred: any depth and width of ResNets, any size of ViTs. Tensors that the source
    is known to carry beside it (momentum copy, queue, classifier) stay out; any other
    that is left over, lacking or of another shape is an error that names it.
    What the source does to its pixels becomes the encoder's own layer, so that it
    takes images in [0, 255] as all do, and its padding is kept, so that features are
    those of the original network.

    Nothing in the file is run: files of PyTorch are opened by
    `torch.load(weights_only=True)`, pickles by one that knows NumPy arrays alone.

    Args:
        path: The file, `.pth`, `.pth.tar`, `.ckpt`, `.bin` or `.safetensors`; a
            TensorFlow checkpoint by its prefix, its `.index` or its folder; BYOL's
            `.pkl`.
        source: Where it is from, a name of `kc.zoo.SOURCES`: `"moco_v2"`, `"dino"`,
            `"simclr_v1"`, `"timm"`, ...
        output: The folder of the preset to write.
        head: Write the heads, too, so that pre-training can go on: each is a model
            from features to embeddings, `<output>_projector.keras`,
            `<output>_predictor.keras` and so on, beside the preset.
            `keras.saving.load_model` gives what the methods take as `projector`.
        input_shape: `(height, width, channels)` of images; by default (224, 224, 3),
            and (32, 32, 3) where the network begins with a 3x3 convolution. A ViT has
            that of its positions.
        mean: Of each channel in [0, 1], in place of the source's. For files of timm,
            lightly and others that were trained with another.
        std: Of each channel in [0, 1], in place of the source's.
        heads: Attention heads of a ViT, which no tensor tells; by default the
            source's.
        overwrite: Replace a preset that is at `output`.

    Returns:
        The folder of the preset. Its card says source, licence and the numbers
        published with it, marked as such.

    Raises:
        ValueError: An unknown source; tensors that do not match; a file that is
            damaged, hostile, or holds NaN; no heads in it where they are asked for.
        FileNotFoundError: There is no such file.
        FileExistsError: Something is at `output`.
        ImportError: torch or safetensors is missing: `keras-contrastive[torch]`.

    Example:
    >>> path = kc.zoo.convert("moco_v2_800ep_pretrain.pth.tar", "moco_v2", "moco")
    Traceback (most recent call last):
    FileNotFoundError: There is no file of weights ...
    """
    about = _source(source)
    path, output = pathlib.Path(path), pathlib.Path(output)
    tensors = _select(tensor_files.read(path), about, path)
    parts = _split(tensors, about, path)
    preprocessing = _preprocessing(about, parts["encoder"], mean, std, heads)
    layout, encoder = _build(parts["encoder"], about, preprocessing, input_shape, path)
    params = _fill(layout, encoder, parts["encoder"], path)
    models = _heads(parts, about, path) if head else {}
    metadata = _metadata(about, source, path, encoder, preprocessing, params)
    preset = save_to_preset(encoder, output, metadata, overwrite=overwrite)
    for name, model in models.items():
        write_model(preset.with_name(f"{preset.name}_{name}.keras"), model)
    return preset


def sources_table() -> str:
    """Return the Markdown table of all sources, as in the documentation."""
    lines = ["| source | method | licence | repository |", "|---|---|---|---|"]
    for name, about in SOURCES.items():
        place = about.url.removeprefix("https://github.com/").split("/tree/")[0]
        cells = f"`{name}`", about.method, about.licence, f"[{place}]({about.url})"
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _source(name) -> Source:
    if name not in SOURCES:
        raise ValueError(
            f"`source` must be one of {', '.join(SOURCES)}. Received: source={name!r}"
        )
    return SOURCES[name]


def _select(content, about, path):
    """The tensors of a file, flat; what is beside their dict holds none that count."""
    for key in about.states:
        if isinstance(content.get(key), dict):
            content = content[key]
            break
    if about.states == ("experiment_state",):  # BYOL: online parameters, and state
        parts = [content.get(key) for key in ("online_params", "online_state")]
        if not all(isinstance(part, dict) for part in parts):
            raise _error(path, about, "it has no online_params and online_state")
        found = [_flat(part, "/") for part in parts]
        tensors = {**found[0], **found[1]}
    else:
        tensors = {}
        for name, value in content.items():
            if isinstance(value, np.ndarray):
                words = [w for w in name.split(".") if w not in _WRAPPERS]
                tensors[".".join(words)] = value
        if len(tensors) < sum(isinstance(x, np.ndarray) for x in content.values()):
            raise _error(path, about, "two tensors have one name without 'module.'")
    if not tensors:
        found = ", ".join(printable(key) for key in [*content][:_SHOWN]) or "nothing"
        raise _error(path, about, f"there are no tensors, but {found}")
    return {
        name: value
        for name, value in tensors.items()
        if name.replace("/", ".").rpartition(".")[2] not in _COUNTERS
    }


def _flat(tree, separator):
    found = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            inner = _flat(value, separator)
            found.update({f"{key}{separator}{name}": x for name, x in inner.items()})
        else:
            found[key] = value
    return found


def _split(tensors, about, path):
    """Tensors of the encoder, and of each head, without what their names begin with."""
    prefix = _prefix(tensors, about, path)
    parts: dict[str, dict] = {"encoder": {}}
    left = []
    for name, value in tensors.items():
        place = _place(name, about, prefix)
        if place is None:
            left.append(name)
        elif place[0] is not None:
            parts.setdefault(place[0], {})[place[1]] = value
    if left:
        raise _error(path, about, f"nobody takes {_listed(left)}")
    parts["encoder"] = _torchvision_names(parts["encoder"])
    return parts


def _place(name, about, prefix):
    """The part of a tensor and its name there; (None, "") beside, None unknown."""
    if name.endswith(_SLOTS):
        return None, ""
    for key, head in about.heads.items():
        for start in head.prefixes:
            if name.startswith(start):
                return key, name.removeprefix(start)
    if prefix and name.startswith(prefix):
        return "encoder", name.removeprefix(prefix)
    if name.startswith(about.beside):
        return None, ""
    return None if prefix else ("encoder", name)


def _prefix(tensors, about, path):
    marks = [network.mark for network in about.networks]
    marks += ["0.weight"]  # `nn.Sequential(*resnet.children())`
    for start in about.encoders:
        if any(start + mark in tensors for mark in marks):
            return start
    if not about.encoders:
        for name in tensors:
            for mark in marks:
                if name.endswith(f"/{mark}"):
                    return name.removesuffix(mark)
    expected = [
        f"{start}{mark}" for start in about.encoders or ("...",) for mark in marks
    ]
    raise _error(
        path,
        about,
        f"there is no tensor {' or '.join(expected[:4])}; there are {_listed(tensors)}",
    )


def _torchvision_names(tensors):
    """Names of a ResNet, if they are numbers of `nn.Sequential(*resnet.children())`.

    torchvision has ReLU and max-pool between stem and stages, lightly's own has not.
    """
    if "0.weight" not in tensors:
        return tensors
    numbers = sorted(
        {int(n) for n in (x.partition(".")[0] for x in tensors) if n.isdigit()}
    )
    names = ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4")
    known = dict(zip(map(str, numbers), names, strict=False))
    renamed = {}
    for name, value in tensors.items():
        first, _, rest = name.partition(".")
        renamed[f"{known.get(first, first)}.{rest}"] = value
    return renamed


def _preprocessing(about, tensors, mean, std, heads):
    is_vit = "cls_token" in tensors
    default: Preprocessing = (about.vit if is_vit else None) or about.preprocessing
    return Preprocessing(
        default.mean if mean is None else tuple(mean),
        default.std if std is None else tuple(std),
        default.padding,
        default.heads if heads is None else lambda _: heads,
    )


def _build(tensors, about, preprocessing, input_shape, path):
    """The layout and an encoder of the sizes that the tensors have."""
    bad = [
        name
        for name, value in tensors.items()
        if not np.issubdtype(value.dtype, np.floating)
        and str(value.dtype) != "bfloat16"
    ]
    if bad:
        raise _error(path, about, f"these are no floats: {_listed(bad)}")
    [layout] = [x for x in about.networks if x.mark in tensors]
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        # Sizes come from the file, and so does the memory: what is lacking is told by
        # name after that, so there is room for some of it.
        with at_most(2**20 + 4 * sum(value.size for value in tensors.values())):
            return layout, layout.build(tensors, preprocessing, input_shape)
    except Exception as error:  # KeyError, IndexError, ValueError of wrong shapes
        reason = f"{error}" if isinstance(error, ValueError) else f"no {error}"
        raise _error(path, about, f"no network can be built of it: {reason}") from error
    finally:
        keras.config.set_dtype_policy(policy)


def _fill(layout, encoder, tensors, path):
    """Put every tensor where it belongs, and return how many numbers there were."""
    slots = {slot.name: slot for slot in layout.slots(encoder, tensors)}
    missing = [name for name in slots if name not in tensors]
    unmatched = [name for name in tensors if name not in slots]
    misshapen = [
        f"{name} {tensors[name].shape}, expected {slot.shape}"
        for name, slot in slots.items()
        if name in tensors and tensors[name].shape != slot.shape
    ]
    found = [
        f"{kind}: {_listed(names)}"
        for kind, names in (
            ("missing", missing),
            ("unmatched", unmatched),
            ("of another shape", misshapen),
        )
        if names
    ]
    if found:
        raise ValueError(
            f"The tensors of {str(path)!r} must be those of a {encoder.name} of this "
            f"package, each once. Received: {'; '.join(found)}. Nothing was written. "
            "Check `source`; a network with other parts cannot be converted."
        )
    total = 0
    for name, slot in slots.items():
        value = np.asarray(tensors[name], "float32")
        if not np.isfinite(value).all():
            raise ValueError(
                f"{str(path)!r} must hold finite weights. Received: NaN or infinity in "
                f"{printable(name)!r}. Its training has diverged, or it is damaged."
            )
        if name.endswith(("var", "variance", "var_ema/average")) and (value < 0).any():
            raise ValueError(
                f"{str(path)!r} must hold variances of 0 or more. Received: "
                f"{printable(name)!r} with {value.min()}."
            )
        slot.put(value)
        total += math.prod(slot.shape)
    if total != encoder.count_params():
        raise AssertionError(  # a mistake of ours, in a layout
            f"{total} numbers were read, for {encoder.count_params()} weights."
        )
    return total


def _heads(parts, about, path):
    found = {name: parts[name] for name in about.heads if name in parts}
    if not found:
        raise _error(
            path,
            about,
            f"there is no head in it, none of {', '.join(about.heads) or 'any kind'}. "
            "Leave out head=True",
        )
    models = {}
    for name, tensors in found.items():
        tensors = {key: np.asarray(value, "float32") for key, value in tensors.items()}
        if not all(np.isfinite(value).all() for value in tensors.values()):
            raise _error(path, about, f"NaN or infinity in its {name}")
        try:
            models[name] = about.heads[name].build(tensors)
        except ValueError as error:
            raise _error(path, about, f"its {name} cannot be built: {error}") from error
    return models


def _metadata(about, source, path, encoder, preprocessing, params):
    network = encoder.name
    kernel = encoder.get_layer("stem_conv").kernel if "resnet" in network else None
    if kernel is not None:
        network = f"{network}, width {kernel.shape[-1]}, of {source}"
    mean, std = preprocessing.mean, preprocessing.std
    scaling = "pixels / 255"
    if mean is not None or std is not None:
        scaling = f"(pixels / 255 - {mean}) / {std}"
    content = {
        "method": about.method,
        "architecture": network,
        "preprocessing": f"inside the graph: {scaling}; give it RGB in [0, 255]",
        "data": about.data,
        "licence": about.licence,
        "source": about.url,
        "paper": about.paper or None,
        "converted from": path.name,
        "converted numbers": params,
        "published": [list(row) for row in about.published],
    }
    if path.is_file():
        content["SHA-256 of that file"] = sha256(path)
    return content


def _error(path, about, reason):
    return ValueError(
        f"{str(path)!r} must be a file of {about.method}, as {about.url} writes them. "
        f"Received: {printable(reason)}. Nothing was written."
    )


def _listed(names):
    names = [printable(name)[:100] for name in names]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"

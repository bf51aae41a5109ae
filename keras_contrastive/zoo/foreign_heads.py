"""Heads as others name their tensors, and the layers of this package they become."""

import re

import keras
import numpy as np

from keras_contrastive.layers.dino_head import DINOHead
from keras_contrastive.layers.projection_head import ProjectionHead
from keras_contrastive.layers.prototypes import Prototypes

# A Dense layer: its kernel (in, out), and of its bias and its batch norm what there is.
_PARTS = ("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance")
_TORCH_NORM = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


def torch_layers(tensors: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """Sort the tensors of an `nn.Sequential`, or of one `nn.Linear`, into layers.

    Args:
        tensors: By names such as `0.weight` and `1.running_var`, or `weight`.

    Raises:
        ValueError: Anything else among them.
    """
    modules: dict[int, dict[str, np.ndarray]] = {}
    for name, value in tensors.items():
        match = re.fullmatch(r"(?:(\d+)\.)?(\w+)", name)
        if match is None or match[2] not in _TORCH_NORM:
            raise ValueError(
                f"a head is of linear layers and batch norms, not {name!r}"
            )
        modules.setdefault(int(match[1] or 0), {})[match[2]] = value
    layers: list[dict[str, np.ndarray]] = []
    for _, parts in sorted(modules.items()):
        weight = parts.get("weight")
        if weight is not None and weight.ndim == 2:
            layer = {"kernel": weight.T}
            if "bias" in parts:
                layer["bias"] = parts["bias"]
            layers.append(layer)
        elif layers and "running_var" in parts:
            layers[-1].update({_TORCH_NORM[k]: v for k, v in parts.items()})
        else:
            raise ValueError(f"a head has {sorted(parts)} without a linear layer")
    return layers


def simclr_layers(tensors: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """The same of SimCLR's names, `nl_0/dense/kernel` and so on."""
    layers: dict[int, dict[str, np.ndarray]] = {}
    for name, value in tensors.items():
        pattern = r"(?:nl|l)_(\d+)/(?:dense|batch_normalization)(?:_\d+)?/(\w+)"
        match = re.fullmatch(pattern, name)
        if match is None or match[2] not in _PARTS:
            raise ValueError(f"a head is of Dense layers and batch norms, not {name!r}")
        layers.setdefault(int(match[1]), {})[match[2]] = value
    return [layer for _, layer in sorted(layers.items())]


def haiku_layers(tensors: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """The same of BYOL's names, `linear/w`, `batch_norm/scale`, `linear_1/w`."""
    known = {
        "scale": "gamma",
        "offset": "beta",
        "~/mean_ema/average": "moving_mean",
        "~/var_ema/average": "moving_variance",
        "w": "kernel",
        "b": "bias",
    }
    layers: dict[int, dict[str, np.ndarray]] = {}
    for name, value in tensors.items():
        match = re.fullmatch(r"(?:linear|batch_norm)(?:_(\d+))?/(.+)", name)
        if match is None or match[2] not in known:
            raise ValueError(
                f"a head is of linear layers and batch norms, not {name!r}"
            )
        kind = known[match[2]]
        value = value if kind == "kernel" else value.reshape(-1)
        layers.setdefault(int(match[1] or 0), {})[kind] = value
    return [layer for _, layer in sorted(layers.items())]


def projection_head(layers: list[dict[str, np.ndarray]]) -> keras.Model:
    """Build a `kc.layers.ProjectionHead` of these layers, with their weights.

    Args:
        layers: What one of the functions above returned.

    Raises:
        ValueError: Layers that do not follow on each other, hidden layers of which
            one alone has a bias or a batch norm.
    """
    *hidden, last = layers
    if any("kernel" not in layer for layer in layers):
        raise ValueError("a head has a batch norm without a linear layer")
    kinds = {frozenset(layer) for layer in hidden}
    if len(kinds) > 1:
        raise ValueError("hidden layers of a head must be of one kind")
    kind = next(iter(kinds), frozenset())
    norm = frozenset(_PARTS[2:])
    if kind & norm not in (frozenset(), norm):
        raise ValueError(f"a hidden layer must have all of a batch norm, not {kind}")
    head = ProjectionHead(
        last["kernel"].shape[1],
        tuple(layer["kernel"].shape[1] for layer in hidden),
        hidden_bias="bias" in kind,
        hidden_norm=norm <= kind,
        output_bias="bias" in last,
        output_norm="moving_variance" in last,
        output_scale="gamma" in last,
        output_center="beta" in last,
        name="head",
    )
    model = _model(head, layers[0]["kernel"].shape[0])
    _fill(head, layers)
    return model


def dino_head(tensors: dict[str, np.ndarray]) -> keras.Model:
    """Build a `kc.layers.DINOHead` of the tensors of DINO's, with their weights.

    Args:
        tensors: By names such as `mlp.0.weight`, `last_layer.weight_v`.

    Raises:
        ValueError: Another kind of head, or one whose gains were trained.
    """
    found = {name: value for name, value in tensors.items() if name.startswith("mlp.")}
    layers = torch_layers({k.removeprefix("mlp."): v for k, v in found.items()})
    rest = {name: tensors[name] for name in tensors if name not in found}
    names = ("last_layer.weight_g", "last_layer.weight_v")
    if set(rest) != set(names) or len(layers) < 2:
        raise ValueError(f"a head of DINO ends in {', '.join(names)}, not {[*rest]}")
    gain, directions = (rest[name] for name in names)
    if not np.allclose(gain, 1.0):
        raise ValueError("the gains of a head of DINO must be 1; these were trained")
    has_norm = "moving_mean" in layers[0]
    for layer in layers[:-1] if has_norm else ():
        # A bias before a batch norm moves its mean and nothing else.
        bias = layer.pop("bias", 0.0)
        layer["moving_mean"] = layer["moving_mean"] - bias
    head = DINOHead(
        len(directions),
        tuple(layer["kernel"].shape[1] for layer in layers[:-1]),
        directions.shape[1],
        has_norm,
        name="head",
    )
    model = _model(head, layers[0]["kernel"].shape[0])
    _fill(head.mlp, layers)
    head.last_kernel.assign(directions.T)
    return model


def prototypes(tensors: dict[str, np.ndarray]) -> keras.Model:
    """Build `kc.layers.Prototypes` of the tensor `weight`."""
    if set(tensors) != {"weight"}:
        raise ValueError(f"prototypes are one tensor, not {[*tensors]}")
    layer = Prototypes(*tensors["weight"].shape, name="prototypes")
    layer.directions.assign(tensors["weight"])
    return _model(layer, tensors["weight"].shape[1])


def _model(layer, dim):
    x = keras.Input((dim,), dtype="float32", name="features")
    return keras.Model(x, layer(x), name=layer.name)


def _fill(head, layers):
    parts = {part.name: part for part in head._sublayers}
    for index, layer in enumerate(layers, start=1):
        prefix = f"hidden{index}" if index < len(layers) else "output"
        for kind, value in layer.items():
            owner = "dense" if kind in ("kernel", "bias") else "norm"
            getattr(parts[f"{prefix}_{owner}"], kind).assign(value)

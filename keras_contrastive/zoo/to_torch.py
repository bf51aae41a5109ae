"""A ResNet of this package as a state dict of PyTorch, by torchvision's names."""

import os
import pathlib

import keras
import numpy as np

from keras_contrastive.encoder_checks import check_encoder
from keras_contrastive.files import temporary_file, write_json
from keras_contrastive.finite import check_finite
from keras_contrastive.zoo.foreign_networks import TORCH_RESNET


def to_torch(model: keras.Model, path: str | os.PathLike) -> pathlib.Path:
    """Write a ResNet's weights for PyTorch, by torchvision's names.

    The file is a flat state dict, `conv1.weight`, `layer1.0.bn1.running_var`, ..., as
    `torchvision.models.resnet50().load_state_dict(...)` takes it once `fc` is
    `torch.nn.Identity()`. PyTorch's network takes `(pixels / 255 - mean) / std`; both
    stand with the sizes of the network in `<path>.json` beside it.

    Args:
        model: An encoder of `kc.encoders.resnet` (padding `"torch"`), fresh, trained
            or from a preset; or a `ContrastiveModel`, whose encoder is taken.
        path: Ends in `.pth` or `.pt`, which needs torch, or in `.safetensors`, which
            needs that package alone. What is there is replaced.

    Returns:
        The path.

    Raises:
        TypeError: `model` is not a `keras.Model`.
        ValueError: Another ending, another network, one that pads as TensorFlow
            does, so that PyTorch's would have other features, or weights that are not
            finite.
        ImportError: torch or safetensors is missing: `keras-contrastive[torch]`.

    Example:
        kc.zoo.to_torch(encoder, "encoder.pth")
        # then in PyTorch
        net = torchvision.models.resnet18()
        net.fc = torch.nn.Identity()
        net.load_state_dict(torch.load("encoder.pth", weights_only=True))
    """
    path = pathlib.Path(path)
    save = {".pth": _save_torch, ".pt": _save_torch, ".safetensors": _save_safetensors}
    if path.suffix not in save:
        raise ValueError(
            f"`path` must end in {', '.join(save)}. Received: path={str(path)!r}"
        )
    encoder = getattr(model, "encoder", model)
    check_encoder(encoder)
    _check_network(encoder)
    check_finite(encoder)
    state = {}
    for slot in TORCH_RESNET.slots(encoder):
        state[slot.name] = slot.take()
        if slot.name.endswith("running_var"):
            counter = slot.name.replace("running_var", "num_batches_tracked")
            state[counter] = np.array(0, "int64")
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary_file(path) as temporary:
        save[path.suffix](state, temporary)
    write_json(path.with_name(f"{path.name}.json"), _about(encoder))
    return path


def _check_network(encoder):
    try:
        names = [TORCH_RESNET.name_of(x.name) for x in encoder.layers if x.weights]
    except (ValueError, KeyError):
        names = []
    kinds = (keras.layers.Conv2D, keras.layers.BatchNormalization)
    known = all(isinstance(x, kinds) for x in encoder.layers if x.weights)
    if "conv1" not in names or not known:
        raise ValueError(
            "PyTorch's names are known for encoders of kc.encoders.resnet with batch "
            f"norm. Received: {encoder.name!r}, of other layers. Export it to ONNX "
            "with kc.export.to_onnx."
        )
    norms = [x for x in encoder.layers if isinstance(x, kinds[1])]
    same = [
        x.name
        for x in encoder.layers
        if max(getattr(x, "strides", (1,))) > 1
        and getattr(x, "padding", "valid") == "same"
    ]
    if same or any(x.epsilon != 1e-5 for x in norms):
        raise ValueError(
            "PyTorch's ResNet pads all sides alike, and its batch norm has epsilon "
            f"1e-5. Received: {encoder.name!r}, which pads {same[:3] or 'alike'}: its "
            "features would be others there. Export it to ONNX with kc.export.to_onnx."
        )


def _about(encoder):
    scaling = encoder.get_layer("scaling")
    scale = np.broadcast_to(scaling.scale, encoder.input_shape[-1:])
    offset = np.broadcast_to(scaling.offset, encoder.input_shape[-1:])
    std = 1 / (255 * scale)
    layers = [layer.name for layer in encoder.layers]
    return {
        "network": encoder.name,
        "input": "channels first, (pixels / 255 - mean) / std",
        "mean": [float(round(x, 6)) for x in -offset * std],
        "std": [float(round(x, 6)) for x in std],
        "width": encoder.get_layer("stem_conv").filters,
        "dim": encoder.output_shape[-1],
        "max_pool": "stem_pool" in layers,
        "conv1_padding": encoder.get_layer("stem_conv").kernel_size[0] // 2
        + ("stem_pad" in layers),
    }


def _save_torch(state, path):
    try:
        import torch
    except ImportError as error:
        raise _missing("torch", "Or write a .safetensors file.") from error
    # A copy: NumPy's may be a view that cannot be written.
    torch.save({k: torch.from_numpy(np.array(v)) for k, v in state.items()}, path)


def _save_safetensors(state, path):
    try:
        from safetensors.numpy import save_file
    except ImportError as error:
        raise _missing("safetensors", "") from error
    save_file({k: np.ascontiguousarray(v) for k, v in state.items()}, path)


def _missing(package, remedy):
    return ImportError(
        f"Writing weights for PyTorch needs {package}, which is missing: pip install "
        f'"keras-contrastive[torch]". {remedy}'
    )

"""What an encoder computes on the way to its features."""

import difflib
import re

import keras

from keras_contrastive.encoder_checks import check_encoder


def feature_maps(encoder: keras.Model, names: list[str]) -> keras.Model:
    """Build a model that gives intermediate outputs of an encoder, by layer name.

    It shares the encoder's layers: what trains one trains the other, and one call
    gives maps and features at the cost of the features alone. A method that needs
    both calls it in the place of the encoder:

        self.maps = kc.encoders.feature_maps(encoder, ["conv3", "features"])

    Args:
        encoder: A functional `keras.Model`; layers of nested models are found too.
        names: Names of layers. Where a name stands in several nested models, or to be
            sure, the path: `"resnet50/conv1_relu"`. For an encoder of
            `kc.encoders.resnet` also `"conv1"` for the stem and `"conv2"` to `"conv5"`
            for the ends of the four stages, as He et al. call them in table 1. One of
            `kc.encoders.vit` has `"block1"` ... and `"patch_tokens"`, one of
            `kc.encoders.amdim` has `"map7"` and `"map5"`.

    Returns:
        A functional `keras.Model` from the encoder's images to a dict with the output
        of each layer, such as `(batch, height, width, channels)`, under its name.

    Raises:
        ValueError: A name that is not there (near ones are named) or in several nested
            models, or no name at all; see also `check_encoder`.

    Example:
    >>> encoder = keras_contrastive.encoders.resnet(depth=10, width=16)
    >>> model = keras_contrastive.encoders.feature_maps(encoder, ["conv3", "features"])
    >>> {name: x.shape for name, x in model(np.zeros((2, 32, 32, 3))).items()}
    {'conv3': TensorShape([2, 16, 16, 32]), 'features': TensorShape([2, 128])}
    """
    model, wanted = _mapped(encoder, names)
    maps = {name: model.output[1][path] for name, path in wanted.items()}
    return keras.Model(model.input, maps, name=f"{encoder.name}_maps")


def features_and_maps(encoder: keras.Model, names: list[str]) -> keras.Model:
    """Build a model that gives an encoder's features beside intermediate outputs.

    Args:
        encoder: As in `feature_maps`.
        names: Names of layers, as in `feature_maps`.

    Returns:
        A functional `keras.Model` from the encoder's images to the list of its features
        and of the output of each layer, in the order of `names`.

    Raises:
        ValueError: As in `feature_maps`.

    Example:
    >>> encoder = keras_contrastive.encoders.resnet(depth=10, width=16)
    >>> features, map = features_and_maps(encoder, ["conv3"])(np.zeros((2, 32, 32, 3)))
    >>> features.shape, map.shape
    (TensorShape([2, 128]), TensorShape([2, 16, 16, 32]))
    """
    model, wanted = _mapped(encoder, names)
    features, maps = model.output
    outputs = [features, *(maps[wanted[name]] for name in names)]
    return keras.Model(model.input, outputs, name=f"{encoder.name}_and_maps")


def _mapped(encoder, names):
    """A model with outputs `(features, {path: map})`, and the path of each name."""
    check_encoder(encoder)
    if isinstance(names, str) or not names:
        raise ValueError(
            "`names` must be a list of layer names, such as ['conv4', 'features']. "
            f"Received: names={names!r}"
        )
    paths = list(_paths(encoder))
    known = _stages(paths) | {path: path for path in paths}
    wanted = {name: _meant(name, known, encoder.name) for name in names}
    return _with_maps(encoder, set(wanted.values())), wanted


def _paths(model):
    """Names of all layers, those of nested models behind a `/`, in their order."""
    for layer in model.layers:
        if _is_nested(layer):
            yield from (f"{layer.name}/{path}" for path in _paths(layer))
        yield layer.name


def _is_nested(layer):
    return isinstance(layer, keras.Model) and hasattr(layer, "inputs")


def _with_maps(model, paths):
    """The same model, with outputs `(its own, {path: what the layer there gives})`."""
    found = {}

    def call(layer, *args, **kwargs):
        inner = {p.split("/", 1)[1] for p in paths if p.startswith(f"{layer.name}/")}
        if inner:
            outputs, maps = _with_maps(layer, inner)(*args)
            found.update({f"{layer.name}/{path}": x for path, x in maps.items()})
        else:
            outputs = layer(*args, **kwargs)
        found[layer.name] = keras.tree.flatten(outputs)[0]
        return outputs

    # A copy that keeps every layer runs through the graph; of a Sequential, too.
    copy = keras.models.clone_model(
        keras.Model(_one(model.inputs), _one(model.outputs), name=model.name),
        clone_function=lambda layer: layer,
        call_function=call,
    )
    maps = {path: found[path] for path in paths}
    return keras.Model(copy.input, (copy.output, maps), name=model.name)


def _one(tensors):
    # `input` of a Sequential is that of the model it was called in.
    return tensors[0] if len(tensors) == 1 else tensors


def _stages(paths):
    """The ends of a ResNet's stages in `paths`, by the paper's names."""
    ends = {}
    for path in paths:  # blocks come in their order
        end = re.fullmatch(r"(.*/)?(stem|stage(\d)_block\d+)_relu\d*", path)
        if end:
            ends[f"{end[1] or ''}conv{int(end[3] or 0) + 1}"] = path
    return ends


def _meant(name, known, encoder):
    """The path that `name` means, by `known`, from names to paths."""
    matches = [key for key in known if f"/{key}".endswith(f"/{name}")]
    if name in known:
        matches = [name]
    if len(matches) > 1:
        raise ValueError(
            f"`names` must say which layer is meant. Received: {name!r}, which stands "
            f"for {matches}. Give the path."
        )
    if not matches:
        candidates = {*known, *(key.rsplit("/", 1)[-1] for key in known)}
        near = difflib.get_close_matches(name, sorted(candidates), n=4, cutoff=0.5)
        hint = (
            f"Near it are {near}." if near else f"Its last layers are {[*known][-5:]}."
        )
        raise ValueError(
            f"`names` must be layers of the encoder {encoder!r}. Received: {name!r}. "
            f"{hint}"
        )
    return known[matches[0]]

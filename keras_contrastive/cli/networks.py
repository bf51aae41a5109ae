"""Encoders by name: what commands build, and what they load, with its value range."""

import inspect
import pathlib

import keras
from absl import flags

from keras_contrastive import encoders, zoo
from keras_contrastive.cli.main import UsageError, near
from keras_contrastive.cli.run_folder import flags_of
from keras_contrastive.pixel_values import check_value_range

KERAS_HUB = "keras_hub:"


def new_encoder(name, shape, *, depth, width, patch, grid_of=None) -> keras.Model:
    """Build an encoder.

    Args:
        name: Of `NETWORKS`, the name or folder of a preset, a model of
            `keras.applications` with random weights, or `keras_hub:` and the name or
            folder of a preset of keras-hub.
        shape: `(height, width, channels)` of its images.
        depth: Layers of a ResNet, blocks of a ViT, units in AMDIM's blocks.
        width: Channels of the first stage, or size of a ViT's tokens.
        patch: Side of the patches in pixels.
        grid_of: Shape of the images whose positions a ViT has; by default `shape`.

    Raises:
        LookupError: There is no such network.
    """
    if name in NETWORKS:
        return NETWORKS[name](shape, depth, width, patch, grid_of or shape)
    if name in zoo.list_presets() or pathlib.Path(name).is_dir():
        return zoo.from_preset(name, input_shape=shape)
    if name in applications():
        make = getattr(keras.applications, name)
        model = make(include_top=False, weights=None, input_shape=shape)
        return encoders.from_application(model)
    if name.startswith(KERAS_HUB):
        hub = name.removeprefix(KERAS_HUB)
        return encoders.from_backbone(hub, input_shape=shape)
    known = (*NETWORKS, *zoo.list_presets(), *applications(), KERAS_HUB)
    raise LookupError(
        f"--encoder: there is no network {name!r}, and no folder of a preset. "
        f"{near(name, known)}"
    )


def architecture(name, depth, width, patch) -> str:
    """Return the network in words."""
    resnet = f"ResNet-{depth}, width {width}, small stem"
    words = {
        "resnet": resnet,
        "vit": f"ViT, {depth} blocks of {width}, patch {patch}",
        "patches": f"{resnet}, layer norm, of patches of {patch}, half overlapping",
        "color": f"two of {resnet}, for lightness and colour",
        "amdim": f"AMDIM's, width {width}, {depth} units in a block",
    }
    return words.get(name, name)


def applications() -> list[str]:
    """Return the names of the models of `keras.applications`."""
    return [
        name
        for name, make in vars(keras.applications).items()
        if inspect.isfunction(make) and name[0].isupper()
    ]


def load_encoder(path: str) -> keras.Model:
    """Load an encoder.

    Args:
        path: The name or the folder of a preset, the folder of a run, or a `.keras`
            file of an encoder or of a whole method.

    Raises:
        LookupError: There is nothing of the kind.
        ValueError: It is damaged, or no encoder.
    """
    place = pathlib.Path(path)
    if place.is_dir() and (place / "encoder.keras").exists():
        place = place / "encoder.keras"
    if place.is_file():
        model = keras.models.load_model(place, compile=False)
        return getattr(model, "encoder", model)
    if path in zoo.list_presets() or place.is_dir():
        return zoo.from_preset(path)
    raise LookupError(
        f"There is no preset, no folder of a run and no .keras file {path!r}. "
        f"{near(path, zoo.list_presets())}"
    )


def range_of(flag, path: str | None = None) -> tuple[float, float] | None:
    """Return the two numbers of --value_range, or those an encoder was trained with.

    Args:
        flag: What `define_range` gave.
        path: Of the encoder, as in `load_encoder`; None for a new one.
    """
    if flag.value is not None or path is None:
        return _parsed(flag.value)
    place = pathlib.Path(path)
    place = place.parent if place.is_file() else place
    trained_with = flags_of(place)
    if trained_with:
        return _parsed(trained_with.get("value_range"))
    if path in zoo.list_presets() or (place / "metadata.json").exists():
        return _parsed(zoo.describe(path).get("value_range"))
    return None


def define_range(values: flags.FlagValues):
    """Define the flag --value_range."""
    return flags.DEFINE_list(
        "value_range",
        None,
        "LOW,HIGH: the pixel values of more than 8 bits that become 0 and 255, such as "
        "0,4095 for 12 bits. By default what the encoder was trained with, or else all "
        "that 16 bits hold.",
        flag_values=values,
    )


def _parsed(numbers):
    try:
        return check_value_range(numbers)
    except ValueError:
        raise UsageError(
            "--value_range must be two numbers, the lower one first, such as 0,4095. "
            f"Received: {','.join(map(str, numbers))}"
        ) from None


def _resnet(shape, depth, width, patch, grid_of, **arguments):
    return encoders.resnet(depth, width, input_shape=shape, **arguments)


def _vit(shape, depth, width, patch, grid_of):
    grid = tuple(side // patch for side in grid_of[:2])
    heads = max(1, width // 64)
    return encoders.vit(patch, width, depth, heads, input_shape=shape, grid=grid)


def _patches(shape, depth, width, patch, grid_of):
    of_patch = _resnet(
        (patch, patch, shape[-1]),
        *(depth, width, patch, grid_of),
        norm=keras.layers.LayerNormalization,  # none tells whose patches they are
    )
    return encoders.of_patches(of_patch, patch // 2, shape)


def _color(shape, *numbers):
    return encoders.lightness_and_color(lambda part: _resnet(part, *numbers), shape)


def _amdim(shape, depth, width, patch, grid_of):
    return encoders.amdim(width, depth, 8 * width, shape)


NETWORKS = {
    "resnet": _resnet,
    "vit": _vit,
    "patches": _patches,
    "color": _color,
    "amdim": _amdim,
}

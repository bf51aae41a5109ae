"""What a user does with presets: list, load, ask."""

import os

import keras

from keras_contrastive.zoo import sources
from keras_contrastive.zoo.card import table as table_of
from keras_contrastive.zoo.input_shape import with_input_shape
from keras_contrastive.zoo.preset import load_encoder
from keras_contrastive.zoo.preset_files import METADATA, METRICS


def list_presets() -> list[str]:
    """Return the names of the presets that ship with the package, sorted.

    A name says method, architecture and pre-training data, in this order.

    Returns:
        Names that `from_preset` takes.

    Example:
    >>> "byol_resnet10_fashion_mnist" in kc.list_presets()
    True
    """
    return sorted(sources.registered())


def from_preset(
    preset: str | os.PathLike,
    cache_dir: str | os.PathLike | None = None,
    sha256: str | None = None,
    input_shape: tuple[int | None, int | None, int] | None = None,
) -> keras.Model:
    """Load a pre-trained encoder.

    Every file is checked by its SHA-256 before anything is built: those of shipped
    presets against the package's registry, any other's against its own
    `metadata.json`, which tells damage but not malice; `sha256` pins that one too.
    Nothing in a preset is executed: layers are those of Keras and of this package.

    Args:
        preset: A name of `list_presets()`; a folder that `save_to_preset` wrote; the
            `https://` URL of such a folder or of a `.zip` of it; or
            `hf://owner/name`, with `@revision` and `/folder` if wanted. A download is
            kept, and not looked up again until it is deleted.
        cache_dir: Where downloads are kept; by default the environment variable
            `KERAS_CONTRASTIVE_CACHE`, else `~/.keras/keras_contrastive`.
        sha256: That of the preset's `metadata.json`, as `describe` gives it; it pins
            every file.
        input_shape: `(height, width, channels)` of your images, where the encoder is
            to take others than those of the preset. Any size (height and width may be
            None), if the network is of convolutions and global pooling, as all that
            ship are; its features are best near the size of its training. Channels
            are 1 or 3: the first convolution is summed or spread, so that a gray
            image has the same features with 1 channel as with 3 equal ones, and a
            colour image, given to what was trained on gray, those of its luminance.
            By default the preset's.

    Returns:
        A functional `keras.Model` from images `(batch, height, width, channels)` in
        [0, 255] to float32 features `(batch, dim)`.

    Raises:
        ValueError: An unknown name (near matches are named), a damaged or changed
            file, another format version, layers that could run code; an
            `input_shape` that the network does not allow.
        FileNotFoundError: A file of the preset is missing.
        OSError: A download failed.
        ImportError: huggingface_hub is missing, for `hf://`.

    Example:
    >>> path = kc.save_to_preset(kc.encoders.resnet(depth=10, width=4), "runs/birds")
    >>> encoder = kc.from_preset("runs/birds")
    >>> kc.from_preset("runs/birds", input_shape=(96, 96, 1)).input_shape
    (None, 96, 96, 1)
    """
    encoder = load_encoder(sources.read(preset, cache_dir, sha256))
    if input_shape is not None:
        encoder = with_input_shape(encoder, input_shape)
    return encoder


def describe(
    preset: str | os.PathLike,
    cache_dir: str | os.PathLike | None = None,
    sha256: str | None = None,
) -> dict:
    """Return everything that is known about a preset.

    Args:
        preset: As in `from_preset`.
        cache_dir: As in `from_preset`.
        sha256: As in `from_preset`.

    Returns:
        The content of `metadata.json`, with `metrics`, the `folder` and the `sha256`
        that pins the preset in `from_preset`.

    Raises:
        ValueError, OSError: As in `from_preset`.

    Example:
    >>> path = kc.save_to_preset(kc.encoders.resnet(depth=10, width=4), "runs/birds")
    >>> kc.zoo.describe(path)["params"]
    19932
    """
    files = sources.read(preset, cache_dir, sha256)
    return {
        **files.json(METADATA),
        "metrics": files.json(METRICS),
        "folder": str(files.folder),
        "sha256": files.sha256,
    }


def table() -> str:
    """Return the Markdown table of all shipped presets, as in README.

    Returns:
        One line for each preset, those of one data set together; accuracies in %, `-`
        where there is none.

    Example:
    >>> print(kc.zoo.table())
    | ...
    """
    about = sorted(map(describe, list_presets()), key=lambda x: str(x.get("data")))
    return table_of([(x, x["metrics"]) for x in about])

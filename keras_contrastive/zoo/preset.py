"""Presets written and loaded; preset_files.py says what is in their folder."""

import contextlib
import datetime
import json
import os
import pathlib

import keras

from keras_contrastive.distribute import outside_strategy
from keras_contrastive.encoder_checks import check_encoder
from keras_contrastive.files import (
    locked,
    package_versions,
    recover,
    to_json,
)
from keras_contrastive.finite import check_finite
from keras_contrastive.zoo import encoder_config
from keras_contrastive.zoo.card import card
from keras_contrastive.zoo.preset_files import (
    CONFIG,
    FILES,
    FORMAT,
    FORMAT_VERSION,
    METADATA,
    METRICS,
    WEIGHTS,
    WRITTEN,
    PresetFiles,
    checksum,
    fingerprint,
    parse,
    read_preset,
    write_preset,
)

# What we write ourselves, so that it is true, and what `describe` adds.
_OURS: tuple[str, ...] = ("format", "format_version", *WRITTEN, "files", "checksum")
_OURS += ("metrics", "folder", "sha256")


def save_to_preset(
    model: keras.Model,
    path: str | os.PathLike,
    metadata: dict | None = None,
    metrics: dict | None = None,
    weights_dtype: str = "float32",
    overwrite: bool = False,
) -> pathlib.Path:
    """Write an encoder as a preset: a folder with its origin, numbers and hashes.

    The folder appears under its name only when it is complete. What is loaded from it
    is float32 whatever the precision of the training.

    Args:
        model: An encoder made of layers of Keras and of this package, or a
            `ContrastiveModel`, whose encoder is saved (without heads).
        path: The folder to write; its name is the preset's. A link is followed.
        metadata: Where the encoder comes from, free in form. The card knows `method`,
            `architecture`, `preprocessing`, `data`, `epochs`, `batch_size`, `seed`,
            `augmentation`, `command`, `commit`, `hardware`, `minutes` and `licence`.
        metrics: A dict for each data set, its key `"sample"` or the data set's name
            in TensorFlow Datasets: what `kc.zoo.measure` returns, and `few_labels`,
            what `kc.evaluation.few_label_evaluation(...).to_dict()` returns.
        weights_dtype: Of kernels on disk. `"float16"` halves the file and rounds to
            11 bits; vectors, such as those of batch norm, stay float32. Measure the
            encoder that `kc.from_preset` returns then, and `kc.zoo.add_metrics`.
        overwrite: Replace a preset that is at `path`. Its numbers are kept, beside
            those in `metrics`, if encoder and weights turn out to be the same.

    Returns:
        The folder.

    Raises:
        TypeError: `model` is not a `keras.Model`, or `metadata` or `metrics` no dict.
        ValueError: It is not an encoder; it has a layer that presets refuse; weights
            that are not finite, or that float16 cannot hold; a name in `metadata`
            that is ours to write.
        FileExistsError: Something is at `path` and `overwrite` is False, or it is
            not a preset, or there are other files in it.

    Example:
    >>> encoder = kc.encoders.resnet(depth=10, width=4)
    >>> path = kc.save_to_preset(encoder, "runs/birds", {"method": "SimCLR"})
    >>> kc.from_preset(path).output_shape
    (None, 32)
    """
    path = pathlib.Path(path).resolve()
    metadata, metrics = _check_dicts(metadata, metrics)
    if weights_dtype not in ("float32", "float16"):
        raise ValueError(
            "`weights_dtype` must be 'float32' or 'float16'. "
            f"Received: weights_dtype={weights_dtype!r}"
        )
    _check_free(path, overwrite)
    encoder = getattr(model, "encoder", model)
    feature_dim = check_encoder(encoder)
    check_finite(encoder)
    config = encoder_config.to_config(encoder)
    # What was trained under `tf.distribute` has mirrored variables; the copy has not.
    copy = outside_strategy(lambda: encoder_config.from_config(config))
    copy.set_weights(encoder.get_weights())
    content = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "name": path.name,
        "method": None if encoder is model else type(model).__name__,
        "architecture": encoder.name,
        "preprocessing": "inside the graph: give it pixels in [0, 255]",
        **metadata,
        "params": encoder.count_params(),
        "feature_dim": feature_dim,
        "input": {"shape": list(encoder.inputs[0].shape[1:]), "range": [0, 255]},
        "weights_dtype": weights_dtype,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": package_versions(),
    }
    contents = {
        CONFIG: json.dumps(config).encode(),
        WEIGHTS: encoder_config.weights_to_bytes(copy, weights_dtype),
    }
    with contextlib.suppress(OSError):  # `_write` says why it cannot be made
        path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.parent):  # from the look at what is there to its replacement
        _check_free(path, overwrite)
        known = _known_metrics(path, contents)
        _write(path, contents, content, _merged(known, metrics))
    return path


def _check_free(path, overwrite):
    """Refuse to replace anything but a preset, and one with other files in it."""
    recover(path)
    if not path.exists():
        return
    try:
        content = (path / METADATA).read_bytes()
        is_preset = parse(path / METADATA, content).get("format") == FORMAT
    except (OSError, ValueError):
        is_preset = False
    if not (overwrite and is_preset):
        raise FileExistsError(
            "`path` must be a new folder, or a preset to replace with overwrite=True. "
            f"Received: path={str(path)!r}, which exists, and overwrite={overwrite}"
        )
    others = sorted({x.name for x in path.iterdir()} - {METADATA, *FILES})
    if others:
        raise FileExistsError(
            "`path` must hold nothing but a preset to be replaced. Received: "
            f"path={str(path)!r}, with {', '.join(others[:5])}. Move that away first."
        )


def _known_metrics(path, contents):
    """The numbers of the preset at `path`, if it is whole and of the same encoder."""
    try:
        before = read_preset(path)
    except (OSError, ValueError):
        return {}
    same = all(before.contents[name] == contents[name] for name in (CONFIG, WEIGHTS))
    return before.json(METRICS) if same else {}


def _merged(known, metrics):
    """Numbers by data set: those that are known, and new ones in place of them."""
    names = dict.fromkeys([*known, *metrics])
    return {name: {**known.get(name, {}), **metrics.get(name, {})} for name in names}


def add_metrics(path: str | os.PathLike, metrics: dict) -> pathlib.Path:
    """Add numbers to a preset: its metrics, card and hashes are written again.

    The weights and where they come from stay as they are.

    Args:
        path: The folder of a preset.
        metrics: As in `save_to_preset`; numbers of the same name are replaced.

    Returns:
        The folder.

    Raises:
        TypeError: `metrics` is no dict of dicts.
        ValueError, OSError: The preset is damaged, see `kc.from_preset`.

    Example:
    >>> path = kc.save_to_preset(kc.encoders.resnet(depth=10, width=4), "runs/birds")
    >>> path = kc.zoo.add_metrics(path, {"sample": {"knn": 0.8}})
    >>> kc.zoo.describe(path)["metrics"]
    {'sample': {'knn': 0.8}}
    """
    path = pathlib.Path(path).resolve()
    _, metrics = _check_dicts(None, metrics)
    with locked(path.parent):  # another process may be adding other numbers
        before = read_preset(path)
        metrics = _merged(before.json(METRICS), metrics)
        _write(path, before.contents, before.json(METADATA), metrics)
    return path


def _write(path, contents, metadata, metrics):
    """Write configuration and weights as they are, all else anew, and put it in place.

    Args:
        path: The preset's folder.
        contents: Bytes of configuration and weights, by file name.
        metadata: What goes into `metadata.json`; its hashes are made here.
        metrics: What goes into `metrics.json`.
    """
    contents = {CONFIG: contents[CONFIG], WEIGHTS: contents[WEIGHTS]}
    contents[METRICS] = to_json(metrics)
    # As they were written: a NumPy number is a number then.
    text = card(json.loads(to_json(metadata)), json.loads(contents[METRICS]))
    contents["README.md"] = text.encode()
    files = {name: fingerprint(contents[name]) for name in FILES}
    metadata = json.loads(to_json(metadata | {"files": files}))
    contents[METADATA] = to_json(metadata | {"checksum": checksum(metadata)})
    write_preset(path, contents)


def _check_dicts(metadata, metrics):
    for name, value in (("metadata", metadata), ("metrics", metrics)):
        if value is not None and not isinstance(value, dict):
            raise TypeError(f"`{name}` must be a dict. Received: {name}={value!r}")
    metadata, metrics = metadata or {}, metrics or {}
    taken = [name for name in _OURS if name in metadata]
    if taken:
        raise ValueError(
            f"`metadata` must leave {', '.join(_OURS)} to save_to_preset. "
            f"Received: metadata with {', '.join(taken)}"
        )
    if not all(isinstance(value, dict) for value in metrics.values()):
        raise TypeError(
            "`metrics` must hold a dict for each data set, such as {'sample': "
            f"kc.zoo.measure(encoder)}}. Received: metrics={metrics!r}"
        )
    few = [numbers.get("few_labels", {}) for numbers in metrics.values()]
    if not all(isinstance(value, dict) for value in few):
        raise TypeError(
            "`few_labels` in `metrics` must be what FewLabelResult.to_dict() returns. "
            f"Received: {few!r}"
        )
    return metadata, metrics


def load_encoder(files: PresetFiles) -> keras.Model:
    """Build the encoder of a preset.

    Args:
        files: What `read_preset` returned.

    Returns:
        The encoder, float32.

    Raises:
        ValueError: A configuration that could run code, or weights that do not fit.
    """
    source = f"{files.folder}/{CONFIG}"
    weights = files.contents[WEIGHTS]
    at_most = len(weights) // 2  # a number takes two bytes or more
    encoder = encoder_config.from_config(files.json(CONFIG), source, at_most)
    encoder_config.read_weights(encoder, weights, f"{files.folder}/{WEIGHTS}")
    return encoder

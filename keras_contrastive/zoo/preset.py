"""Presets written and loaded; preset_files.py says what is in their folder."""

import datetime
import json
import os
import pathlib
import shutil
import warnings

import h5py
import keras
import numpy as np

from keras_contrastive.encoder_checks import check_encoder
from keras_contrastive.export.description import package_versions, write_json
from keras_contrastive.export.rebuild import outside_strategy
from keras_contrastive.export.version_folder import temporary_sibling
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
    check_preset,
    fingerprint,
    read_json,
)

# What we write ourselves, so that it is true.
_OURS = (
    "format",
    "format_version",
    "params",
    "feature_dim",
    "input",
    "weights_dtype",
    "created",
    "versions",
    "files",
)


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
        path: The folder to write; its name is the preset's.
        metadata: Where the encoder comes from, free in form. The card knows `method`,
            `architecture`, `preprocessing`, `data`, `epochs`, `batch_size`, `seed`,
            `augmentation`, `command`, `commit`, `hardware`, `minutes` and `licence`.
        metrics: A dict for each data set, its key `"sample"` or the data set's name
            in TensorFlow Datasets: what `kc.zoo.measure` returns, and `few_labels`,
            what `kc.evaluation.few_label_evaluation(...).to_dict()` returns.
        weights_dtype: Of kernels on disk. `"float16"` halves the file and rounds to
            11 bits; vectors, such as those of batch norm, stay float32. Measure the
            encoder that `kc.from_preset` returns then, and `kc.zoo.add_metrics`.
        overwrite: Replace a preset that is at `path`.

    Returns:
        `path`.

    Raises:
        TypeError: `model` is not a `keras.Model`, or `metadata` or `metrics` no dict.
        ValueError: It is not an encoder; it has a layer that presets refuse; weights
            that float16 cannot hold; a name in `metadata` that is ours to write.
        FileExistsError: Something is at `path`.

    Example:
    >>> encoder = kc.encoders.resnet(depth=10, width=4)
    >>> path = kc.save_to_preset(encoder, "runs/birds", {"method": "SimCLR"})
    >>> kc.from_preset(path).output_shape
    (None, 32)
    """
    path = pathlib.Path(path).absolute()
    metadata, metrics = _check_dicts(metadata, metrics)
    if weights_dtype not in ("float32", "float16"):
        raise ValueError(
            "`weights_dtype` must be 'float32' or 'float16'. "
            f"Received: weights_dtype={weights_dtype!r}"
        )
    if path.exists() and not (overwrite and (path / METADATA).is_file()):
        raise FileExistsError(
            "`path` must be a new folder, or a preset to replace with overwrite=True. "
            f"Received: path={str(path)!r}, which exists, and overwrite={overwrite}"
        )
    encoder = getattr(model, "encoder", model)
    feature_dim = check_encoder(encoder)

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
    with temporary_sibling(path.parent) as temporary:
        (temporary / CONFIG).write_text(json.dumps(config))
        _write_weights(copy, temporary / WEIGHTS, weights_dtype)
        _write_description(temporary, content, metrics)
        move_folder(temporary, path)
    return path


def add_metrics(path: str | os.PathLike, metrics: dict) -> pathlib.Path:
    """Add numbers to a preset: its metrics, card and hashes are written again.

    The weights and where they come from stay as they are.

    Args:
        path: The folder of a preset.
        metrics: As in `save_to_preset`; numbers of the same name are replaced.

    Returns:
        `path`.

    Raises:
        TypeError: `metrics` is no dict of dicts.
        ValueError, OSError: The preset is damaged, see `kc.from_preset`.

    Example:
    >>> path = kc.save_to_preset(kc.encoders.resnet(depth=10, width=4), "runs/birds")
    >>> path = kc.zoo.add_metrics(path, {"sample": {"knn": 0.8}})
    >>> kc.zoo.describe(path)["metrics"]
    {'sample': {'knn': 0.8}}
    """
    path = pathlib.Path(path).absolute()
    content = check_preset(path)
    _, metrics = _check_dicts(None, metrics)
    known = read_json(path / METRICS)
    for dataset, numbers in metrics.items():
        known[dataset] = {**known.get(dataset, {}), **numbers}
    with temporary_sibling(path.parent) as temporary:
        shutil.copytree(path, temporary, dirs_exist_ok=True)
        _write_description(temporary, content, known)
        move_folder(temporary, path)
    return path


def _write_description(folder, content, metrics):
    """Write all files but configuration and weights, and the hashes of all."""
    write_json(folder / METRICS, metrics)
    (folder / "README.md").write_text(card(content, metrics), encoding="utf-8")
    content["files"] = {name: fingerprint(folder / name) for name in FILES}
    write_json(folder / METADATA, content)


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
    return metadata, metrics


def _write_weights(encoder, path, dtype):
    encoder.save_weights(path)
    if dtype == "float32":
        return
    full = path.with_name(f"full.{path.name}")
    os.rename(path, full)
    with h5py.File(full) as source, h5py.File(path, "w") as target:

        def copy(name, item):
            if isinstance(item, h5py.Group):
                target.require_group(name).attrs.update(item.attrs)
                return
            value = item[()]
            if value.ndim >= 2 and value.dtype == "float32":
                if np.abs(value).max(initial=0) > np.finfo("float16").max:
                    raise ValueError(
                        "`weights_dtype='float16'` holds values up to 65504. Received: "
                        f"weights up to {np.abs(value).max():.3g} in {name!r}. Save "
                        "with weights_dtype='float32'."
                    )
                value = value.astype("float16")
            target[name] = value
            target[name].attrs.update(item.attrs)

        source.visititems(copy)
    full.unlink()


def move_folder(temporary, target) -> None:
    """Rename a finished folder to its final name, in place of what is there.

    Args:
        temporary: A folder beside `target`.
        target: Its final path.
    """
    old = temporary.with_name(f"{temporary.name}-old")
    if target.exists():
        os.rename(target, old)
    os.rename(temporary, target)
    shutil.rmtree(old, ignore_errors=True)


def load_encoder(folder: pathlib.Path) -> keras.Model:
    """Build the encoder of a preset that `check_preset` has passed.

    Args:
        folder: The preset's folder.

    Returns:
        The encoder, float32.

    Raises:
        ValueError: A configuration that could run code, or weights that do not fit.
    """
    encoder = encoder_config.from_config(
        read_json(folder / CONFIG), str(folder / CONFIG)
    )
    try:
        with warnings.catch_warnings():
            # Keras only warns of a layer that finds nothing and stays as it is.
            warnings.simplefilter("error", UserWarning)
            encoder.load_weights(folder / WEIGHTS)
    except Exception as error:  # h5py and Keras raise all kinds
        raise ValueError(
            f"{str(folder / WEIGHTS)!r} does not hold the weights of {CONFIG}: "
            f"{type(error).__name__}: {str(error)[:300]}"
        ) from error
    return encoder

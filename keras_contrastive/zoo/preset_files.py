"""The folder of a preset, and the check of its files.

config.json        the layers (encoder_config.py)
model.weights.h5   their weights, as `keras.Model.save_weights` writes them
metrics.json       numbers with their protocol, by data set
README.md          the card, for people
metadata.json      where it all comes from, the SHA-256 of the four above, and its own
"""

import hashlib
import json
import os
import pathlib

from keras_contrastive.files import sha256

FORMAT = "keras_contrastive preset"
FORMAT_VERSION = 1
METADATA = "metadata.json"
CONFIG, WEIGHTS, METRICS = "config.json", "model.weights.h5", "metrics.json"
FILES = (CONFIG, WEIGHTS, METRICS, "README.md")
# What `metadata.json` says of every encoder.
WRITTEN = (
    "name",
    "params",
    "feature_dim",
    "input",
    "weights_dtype",
    "created",
    "versions",
)


def fingerprint(path: pathlib.Path) -> dict:
    """Return the SHA-256 and the size of a file, as `metadata.json` lists them."""
    return {"sha256": sha256(path), "bytes": path.stat().st_size}


def checksum(metadata: dict) -> str:
    """Return the SHA-256 of the content of `metadata.json`, but for `checksum`."""
    rest = {key: value for key, value in metadata.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def check_preset(folder: str | os.PathLike, hashes: dict | None = None) -> dict:
    """Check every file of a preset by its SHA-256.

    Args:
        folder: The preset's folder.
        hashes: SHA-256 by file name from a source that is trusted more than the
            folder; `metadata.json` alone pins all files, as it holds their hashes.

    Returns:
        The content of `metadata.json`.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file is truncated or changed, or the format is of another
            version.
    """
    folder = pathlib.Path(folder)
    hashes = hashes or {}
    if METADATA in hashes:
        _check_file(folder / METADATA, {"sha256": hashes[METADATA]})
    metadata = read_json(folder / METADATA)
    _check_format(folder / METADATA, metadata)
    files = metadata.get("files")
    if (
        not isinstance(files, dict)
        or set(files) != set(FILES)
        or not all(isinstance(x, dict) and x.get("sha256") for x in files.values())
    ):
        raise ValueError(
            f"{str(folder / METADATA)!r} must list the SHA-256 of {', '.join(FILES)}. "
            f"Received: files={files!r}"
        )
    missing = [name for name in WRITTEN if name not in metadata]
    received = checksum(metadata)
    if missing or metadata.get("checksum") != received:
        lacking = f" without {', '.join(missing)}," if missing else ""
        raise ValueError(
            f"{str(folder / METADATA)!r} is damaged or changed. Expected: "
            f"{', '.join(WRITTEN)}, and the checksum {metadata.get('checksum')}. "
            f"Received: one{lacking} of the checksum {received}. Get the preset again "
            "from where it came; to change what it says, save it again with "
            "save_to_preset."
        )
    for name in FILES:
        expected = {k: v for k, v in files[name].items() if k in ("sha256", "bytes")}
        if name in hashes:
            expected["sha256"] = hashes[name]
        _check_file(folder / name, expected)
    return metadata


def _check_format(path, metadata):
    version = metadata.get("format_version")
    if metadata.get("format") != FORMAT or not isinstance(version, int):
        raise ValueError(
            f"{str(path)!r} must be of a preset, with format={FORMAT!r} and "
            f"format_version={FORMAT_VERSION}. Received: "
            f"format={metadata.get('format')!r}, format_version={version!r}"
        )
    if version != FORMAT_VERSION:
        newer = version > FORMAT_VERSION
        remedy = (
            "It is newer than this package: pip install --upgrade keras-contrastive."
            if newer
            else "It is too old for this package: get the preset again, or save the "
            "encoder again with save_to_preset."
        )
        raise ValueError(
            f"{str(path)!r} must have format_version={FORMAT_VERSION}. "
            f"Received: format_version={version}. {remedy}"
        )


def _check_file(path, expected):
    if not path.is_file():
        raise FileNotFoundError(
            f"The preset in {str(path.parent)!r} is not complete: {path.name} is "
            "missing. Get it again from where it came."
        )
    received = fingerprint(path)
    if any(received[key] != value for key, value in expected.items()):
        size = expected.get("bytes", "any number of")
        raise ValueError(
            f"{str(path)!r} is not what the preset says it is: damaged or changed. "
            f"Expected: SHA-256 {expected.get('sha256')} ({size} bytes). Received: "
            f"SHA-256 {received['sha256']} ({received['bytes']} bytes). Get the preset "
            "again from where it came."
        )


def read_json(path: pathlib.Path) -> dict:
    """Read a JSON object.

    Args:
        path: The file.

    Returns:
        Its content.

    Raises:
        FileNotFoundError: It is missing.
        ValueError: It is no JSON object, as when it is truncated.
    """
    if not path.is_file():
        there = sorted(x.name for x in path.parent.glob("*"))[:5]
        raise FileNotFoundError(
            f"A preset is a folder with {METADATA}, {', '.join(FILES)}. Received: "
            f"{str(path.parent)!r} without {path.name}, with {there or 'no files'}."
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{str(path)!r} must be a JSON object; it is damaged or truncated: {error}"
        ) from error
    if not isinstance(content, dict):
        raise ValueError(
            f"{str(path)!r} must be a JSON object. Received: {type(content).__name__}"
        )
    return content

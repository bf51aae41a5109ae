"""The folder of a preset, and the check of its files.

config.json        the layers (encoder_config.py)
model.weights.h5   their weights, as `keras.Model.save_weights` writes them
metrics.json       numbers with their protocol, by data set
README.md          the card, for people
metadata.json      where it all comes from, the SHA-256 of the four above, and its own
"""

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import re
import unicodedata

from keras_contrastive.files import (
    full_disk,
    recover,
    replace_folder,
    temporary_sibling,
    write_bytes,
)

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


MAX_TEXT_BYTES = 2**24  # of each file but the weights: 16 MiB
MAX_WEIGHTS_BYTES = 2**31  # more than the largest image encoders have: 2 GiB
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclasses.dataclass(frozen=True)
class PresetFiles:
    """All files of one version of a preset, in memory.

    Attributes:
        folder: Where they were read.
        contents: Bytes by file name.
    """

    folder: pathlib.Path
    contents: dict[str, bytes]

    @property
    def sha256(self) -> str:
        """The SHA-256 of `metadata.json`, which pins all files."""
        return fingerprint(self.contents[METADATA])["sha256"]

    def json(self, name: str) -> dict:
        """Return the content of a JSON file."""
        return parse(f"{self.folder}/{name}", self.contents[name])


def fingerprint(content: bytes) -> dict:
    """Return the SHA-256 and the size of a file, as `metadata.json` lists them."""
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def checksum(metadata: dict) -> str:
    """Return the SHA-256 of the content of `metadata.json`, but for `checksum`."""
    rest = {key: value for key, value in metadata.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def printable(text) -> str:
    """Return foreign text without what could steer a terminal, such as escapes."""
    kept = (x for x in str(text) if x in "\n\t" or unicodedata.category(x)[0] != "C")
    return "".join(kept)


def read_preset(folder: str | os.PathLike, sha256: str | None = None) -> PresetFiles:
    """Read every file of a preset, and check it by its SHA-256.

    A preset that is replaced at the same time is read again, so that all files are
    of one version.

    Args:
        folder: The preset's folder.
        sha256: That of `metadata.json` from a source that is trusted more than the
            folder. It pins all files, as `metadata.json` holds their hashes.

    Returns:
        The files.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A file is truncated or changed, or the format is of another
            version.
    """
    folder = pathlib.Path(folder)
    read = functools.partial(_read_file, folder)
    while True:
        recover(folder)
        before = _version(folder)
        try:
            return read_files(folder, read, sha256)
        except (ValueError, OSError):
            if _version(folder) == before:
                raise


def _version(folder):
    """What is another after the folder was replaced; None if there is none."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def _read_file(folder, name, limit):
    path = folder / name
    if not path.is_file():
        raise missing(folder, name, sorted(x.name for x in folder.glob("*")))
    with open(path, "rb") as file:
        return file.read(limit + 1)


def read_files(source, read, sha256: str | None = None) -> PresetFiles:
    """Read and check every file of a preset, wherever it is.

    Args:
        source: Where it is, for the messages.
        read: A function: name of a file and a number of bytes -> its content. Of what
            is larger it returns more than the number, or raises.
        sha256: As in `read_preset`.

    Returns:
        The files.

    Raises:
        ValueError: As in `read_preset`; and what `read` raises.
    """
    contents = {}

    def take(name, sha256=None, bytes=None, **_):
        limit = max_bytes(name) if bytes is None else bytes
        content = contents[name] = read(name, limit)
        found = fingerprint(content)
        received = f"SHA-256 {found['sha256']} ({found['bytes']} bytes)"
        if len(content) > limit:
            received = f"more than {limit} bytes"
        elif sha256 in (None, found["sha256"]) and bytes in (None, found["bytes"]):
            return
        raise ValueError(
            f"'{source}/{name}' is not what the preset says it is: damaged or changed. "
            f"Expected: SHA-256 {sha256} ({bytes or 'any number of'} bytes). Received: "
            f"{received}. Get the preset again from where it came."
        )

    take(METADATA, sha256)
    metadata = check_metadata(f"{source}/{METADATA}", contents[METADATA])
    for name in FILES:
        take(name, **metadata["files"][name])
    return PresetFiles(source, contents)


def missing(source, name: str, there: list[str]) -> FileNotFoundError:
    """Return the error of a preset without one of its files.

    Args:
        source: Where the preset is.
        name: The file.
        there: What is there instead.
    """
    return FileNotFoundError(
        f"A preset is a folder with {METADATA}, {', '.join(FILES)}. Received: "
        f"{str(source)!r} without {name}, with {there[:5] or 'no files'}. If it was a "
        "preset, get it again from where it came."
    )


def write_preset(folder: pathlib.Path, contents: dict[str, bytes]) -> None:
    """Write the files of a preset: all of them appear at once.

    Args:
        folder: The preset's folder; one that is there is replaced.
        contents: Bytes by file name.

    Raises:
        OSError: It cannot be written; what was there is there.
    """
    num_bytes = sum(map(len, contents.values()))
    with full_disk(folder, num_bytes), temporary_sibling(folder.parent) as temporary:
        for name, content in contents.items():
            write_bytes(temporary / name, content)
        replace_folder(temporary, folder)


def check_metadata(path: str, content: bytes) -> dict:
    """Check `metadata.json` by itself, and return it.

    Args:
        path: The file, for the messages.
        content: What is in it.

    Raises:
        ValueError: It is damaged, of another format, or lists files that are larger
            than those of a preset.
    """
    metadata = parse(path, content)
    _check_format(path, metadata)
    files = metadata.get("files")
    if (
        not isinstance(files, dict)
        or set(files) != set(FILES)
        or not all(isinstance(x, dict) and _is_listed(x) for x in files.values())
    ):
        raise ValueError(
            f"{str(path)!r} must list the SHA-256 of {', '.join(FILES)}. "
            f"Received: files={files!r}"
        )
    for name, about in files.items():
        if not 0 <= about.get("bytes", 0) <= max_bytes(name):
            raise ValueError(
                f"{name} of a preset has {max_bytes(name):,} bytes at most. Received: "
                f"{str(path)!r}, by which it has {about['bytes']:,}."
            )
    missing = [name for name in WRITTEN if name not in metadata]
    received = checksum(metadata)
    if missing or metadata.get("checksum") != received:
        lacking = f" without {', '.join(missing)}," if missing else ""
        raise ValueError(
            f"{str(path)!r} is damaged or changed. Expected: "
            f"{', '.join(WRITTEN)}, and the checksum {metadata.get('checksum')!r}. "
            f"Received: one{lacking} of the checksum {received!r}. Get the preset "
            "again from where it came; to change what it says, save it again with "
            "save_to_preset."
        )
    return metadata


def _is_listed(about):
    sha256, size = about.get("sha256"), about.get("bytes", 0)
    return isinstance(size, int) and _SHA256.fullmatch(str(sha256))


def max_bytes(name: str) -> int:
    """Return how large a file of this name may be in any preset."""
    return MAX_WEIGHTS_BYTES if name == WEIGHTS else MAX_TEXT_BYTES


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


def parse(path, content: bytes) -> dict:
    """Return a JSON object.

    Args:
        path: Its file, for the messages.
        content: What is in it.

    Raises:
        ValueError: It is no JSON object, as when it is truncated.
    """
    try:
        parsed = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{str(path)!r} must be a JSON object; it is damaged or truncated: {error}"
        ) from error
    if not isinstance(parsed, dict):
        raise ValueError(
            f"{str(path)!r} must be a JSON object. Received: {type(parsed).__name__}"
        )
    return parsed

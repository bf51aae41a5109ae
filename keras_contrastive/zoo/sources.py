"""Where a preset comes from: the package, a folder, an https URL or Hugging Face.

Only the five files of a preset are ever fetched, under fixed names, so that nothing can
be written anywhere else. They are checked in memory before they go to the cache.

`registry.json` has the SHA-256 of each shipped preset, which pins all of its files:
they are trusted only if they match. `python -m keras_contrastive.zoo register` writes
it.
"""

import difflib
import functools
import hashlib
import io
import json
import os
import pathlib
import re
import threading
import time
import urllib.parse
import urllib.request
import warnings
import zipfile
import zlib

from keras_contrastive.files import (
    recover,
    scratch_folder,
    temporary_sibling,
    write_json,
)
from keras_contrastive.zoo.preset import load_encoder
from keras_contrastive.zoo.preset_files import (
    FILES,
    MAX_WEIGHTS_BYTES,
    METADATA,
    PresetFiles,
    missing,
    printable,
    read_files,
    read_preset,
    write_preset,
)

_HERE = pathlib.Path(__file__).parent
REGISTRY = _HERE / "registry.json"
PRESETS = _HERE / "presets"
_NAMES = (METADATA, *FILES)
_TIMEOUT = 30  # seconds without a byte
_PATIENCE, _BYTES_PER_SECOND = 60, 20_000  # a minute, and more for what has come
_MAX_PACKING = 100  # weights hardly shrink: a .zip that does more is a bomb
_BAD_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    RuntimeError,  # encrypted
    NotImplementedError,  # another compression
)
HUGGING_FACE = re.compile(
    r"hf://(?!.*\.\.)(?P<repo>[\w.-]+/[\w.-]+)"
    r"(@(?P<revision>refs/\w+/[\w.-]+|[\w.-]+))?(/(?P<folder>[\w./-]+))?/?"
)


def read(
    preset: str | os.PathLike,
    cache_dir: str | os.PathLike | None = None,
    sha256: str | None = None,
) -> PresetFiles:
    """Find a preset, download it if need be, and read and check every file of it.

    Args:
        preset: As in `kc.from_preset`.
        cache_dir: As in `kc.from_preset`.
        sha256: As in `kc.from_preset`.

    Returns:
        The files.

    Raises:
        ValueError, OSError: As in `kc.from_preset`.
    """
    text = os.fspath(preset)
    is_path = isinstance(preset, os.PathLike)
    if "://" in text and not is_path:
        return cached(text, cache_dir, sha256)
    shipped = registered()
    if text in shipped and not is_path:
        if os.path.isdir(text):
            warnings.warn(
                f"{text!r} is a shipped preset, which is taken, and a folder here; "
                f"for the folder write {os.path.join('.', text)!r}.",
                stacklevel=3,
            )
        return read_preset(PRESETS / text, sha256 or shipped[text])
    if not _is_folder(text):
        raise ValueError(_unknown(text, shipped))
    return read_preset(text, sha256)


def _is_folder(text):
    recover(text)
    return os.path.isdir(text)


def _unknown(text, shipped):
    near = [name for name in shipped if text in name]  # its beginning, for example
    near = near[:3] or difflib.get_close_matches(text, shipped, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
    return (
        "A preset is the name of a shipped one (kc.list_presets()), a folder written "
        "by save_to_preset, an https:// URL or hf://owner/name. Received: "
        f"{text!r}, which is no shipped name and no folder. {hint}"
    ).rstrip()


def registered() -> dict[str, str]:
    """Return the SHA-256 of each shipped preset by its name."""
    return json.loads(REGISTRY.read_text())["presets"]


def register() -> list[str]:
    """Enter every preset of the folder `presets/` in the registry, and no other.

    Each is checked and loaded before anything is written.

    Returns:
        Their names.

    Raises:
        ValueError: A preset that is damaged or named differently from its folder.
    """
    entries = {}
    for folder in sorted(x for x in PRESETS.glob("*") if x.is_dir()):
        files = read_preset(folder)
        name = files.json(METADATA)["name"]
        if name != folder.name:
            raise ValueError(
                "A shipped preset must have the name of its folder. "
                f"Received: name={name!r} in {str(folder)!r}"
            )
        load_encoder(files)
        entries[name] = files.sha256
    write_json(REGISTRY, {"presets": entries})
    return [*entries]


def cache_folder(cache_dir: str | os.PathLike | None = None) -> pathlib.Path:
    """Return the folder where downloaded presets are kept.

    Args:
        cache_dir: The folder itself; by default the environment variable
            `KERAS_CONTRASTIVE_CACHE`, else `keras_contrastive` in Keras's own folder
            (`KERAS_HOME`, or `~/.keras`).

    Returns:
        Its path; it need not exist.
    """
    home = os.environ.get("KERAS_HOME") or "~/.keras"
    folder = cache_dir or os.environ.get("KERAS_CONTRASTIVE_CACHE")
    return pathlib.Path(folder or f"{home}/keras_contrastive").expanduser().absolute()


def cached(source: str, cache_dir=None, sha256: str | None = None) -> PresetFiles:
    """Return the files of a downloaded preset, which is fetched if it is not there.

    One in the cache is checked like a new one, and fetched again if it is damaged. Two
    processes may fetch the same one at a time.

    Args:
        source: Where it comes from; the name of its folder is made of this.
        cache_dir: As in `cache_folder`.
        sha256: As in `kc.from_preset`.

    Returns:
        The files, which are in the cache.

    Raises:
        OSError: The download failed, or the cache cannot be written.
        ValueError: No address, or a file is not what it should be. The cache is as it
            was.
    """
    reader = _reader_of(source)
    cache = cache_folder(cache_dir)
    readable = re.sub(r"[^A-Za-z0-9]+", "_", source.split("?")[0])[-40:].strip("_")
    digest = hashlib.sha256(source.encode()).hexdigest()[:16]
    target = cache / f"{readable}-{digest}"
    try:
        return read_preset(target, sha256)
    except (ValueError, OSError) as error:
        problem = error
    with temporary_sibling(cache):  # it can be written: known before the download
        try:
            contents = read_files(source, reader(), sha256).contents
            write_preset(target, contents)
        except (ValueError, OSError) as error:
            if target.is_dir():
                note = "It was fetched again, for the one in the cache failed"
                error.add_note(f"{note}: {problem}")
            raise
    return PresetFiles(target, contents)


def _reader_of(source):
    """A function that gives a `read` for `read_files`."""
    match = HUGGING_FACE.fullmatch(source)
    if match:
        return functools.partial(_hugging_face_reader, **match.groupdict())
    if not source.startswith("https://"):
        raise ValueError(
            "Presets are downloaded from https:// URLs, or hf://owner/name, with "
            f"@revision and /folder if wanted. Received: {source!r}"
        )
    return functools.partial(url_reader, source)


def url_reader(url: str):
    """Return a `read` for `read_files`: of a folder of a preset's files, or a `.zip`.

    Args:
        url: Of the folder or the archive. A query (`?token=...`) is kept.

    Raises:
        OSError, ValueError: The archive cannot be downloaded, or is none of a preset.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.path.endswith(".zip"):
        archive = io.BytesIO(_download(url, MAX_WEIGHTS_BYTES))
        return archive_reader(archive, url)

    def read(name, limit):
        path = f"{parts.path.rstrip('/')}/{name}"
        return _download(parts._replace(path=path).geturl(), limit)

    return read


class _SecureRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect from https:// to anything else."""

    def redirect_request(self, request, file, code, message, headers, url):
        if request.type == "https" and not url.startswith("https://"):
            raise OSError(f"it leads to {url!r}, which is not https://")
        return super().redirect_request(request, file, code, message, headers, url)


def _download(url, limit):
    """Return what is at `url`, `limit` bytes at most.

    Not by `keras.utils.get_file`: it waits for ever, takes any number of bytes and
    follows https:// to http://, and none of that can be set. A thread receives, which
    is left alone when it is slow: a server can hold it up before the first byte.
    """
    received, failures, given_up = bytearray(), [], threading.Event()
    length = 0

    def receive():
        nonlocal length
        try:
            opener = urllib.request.build_opener(_SecureRedirects)
            with opener.open(url, timeout=_TIMEOUT) as answer:
                length = int(answer.headers.get("Content-Length") or 0)
                while max(len(received), length) <= limit and not given_up.is_set():
                    content = answer.read1(2**16)
                    if not content:
                        break
                    received.extend(content)
        except Exception as error:  # an OSError or what http.client raises
            failures.append(printable(error))

    thread = threading.Thread(target=receive, daemon=True)
    thread.start()
    start = time.monotonic()
    while thread.is_alive():
        end = start + _PATIENCE + len(received) / _BYTES_PER_SECOND
        thread.join(max(0, end - time.monotonic()))
        if thread.is_alive() and time.monotonic() > end:
            given_up.set()
            failures.append(f"{len(received):,} bytes came, too slowly")
            break
    if not failures and len(received) < length <= limit:
        failures.append(f"it ended after {len(received):,} of {length:,} bytes")
    if failures:
        raise OSError(
            f"{url!r} could not be downloaded: {failures[0]}. Nothing of it was kept. "
            "Check the address and the network, then call again."
        )
    if max(len(received), length) > limit:
        raise ValueError(
            f"{url!r} must have {limit:,} bytes at most, to be that file of a preset. "
            f"Received: {'more' if len(received) > length else f'{length:,}'}. Nothing "
            "of it was kept."
        )
    return bytes(received)


def archive_reader(archive, source):
    """Return a `read` for `read_files`, of a `.zip` with a preset's files alone.

    They are at its top or in one folder. No file unpacks to more than is asked for,
    and all together to 100 times the size of the archive at most.

    Args:
        archive: The file, open.
        source: Where it comes from, for the messages.

    Raises:
        ValueError: It is no such archive; it holds anything else, a link or a path
            that leads out of it.
    """
    expected = f"A preset's archive must be a .zip with {', '.join(_NAMES)} alone."
    entries = {}
    try:
        unpacked = zipfile.ZipFile(archive)
    except _BAD_ZIP as error:
        raise ValueError(
            f"{expected} Received: one that cannot be unpacked ({printable(error)})."
        ) from error
    for entry in unpacked.infolist():
        if entry.is_dir():
            continue
        *parents, name = entry.filename.split("/")
        is_link = (entry.external_attr >> 16) & 0o170000 == 0o120000
        leads_out = len(parents) > 1 or parents in ([".."], [""])
        if name not in _NAMES or name in entries or is_link or leads_out:
            raise ValueError(f"{expected} Received: {entry.filename!r} in it.")
        entries[name] = entry
    left = max(2**20, _MAX_PACKING * sum(x.compress_size for x in entries.values()))

    def read(name, limit):
        nonlocal left
        if name not in entries:
            raise missing(source, name, sorted(entries))
        limit = min(limit, left)
        try:
            with unpacked.open(entries[name]) as packed:
                content = packed.read(limit + 1)  # as they come, not as promised
        except _BAD_ZIP as error:
            raise ValueError(
                f"{expected} Received: one that cannot be unpacked "
                f"({printable(error)})."
            ) from error
        left -= len(content)
        if len(content) > limit:
            raise ValueError(
                f"{name} in a preset's archive must unpack to {limit:,} bytes at most, "
                "by metadata.json and by the size of the archive. Received: more."
            )
        return content

    return read


def _hugging_face_reader(repo, revision, folder):
    """A `read` for `read_files`, of a repository of Hugging Face, by its own client.

    The client knows the user's token, for private repositories.
    """
    try:
        import huggingface_hub as client
    except ImportError as error:
        raise ImportError(
            "Presets of Hugging Face (hf://) are downloaded by huggingface_hub, which "
            'is missing: pip install "keras-contrastive[huggingface]". Received: '
            f"hf://{repo}"
        ) from error

    def failed(name, error):
        return OSError(
            f"{name} of hf://{repo} ({revision or 'main'}) could not be downloaded: "
            f"{printable(error)}. Nothing of it was kept."
        )

    try:  # one commit and its sizes, whoever pushes meanwhile
        about = client.HfApi().model_info(
            repo, revision=revision, files_metadata=True, timeout=_TIMEOUT
        )
    except Exception as error:  # the client's own kinds
        raise failed("The list of files", error) from error
    sizes = {x.rfilename: x.size for x in about.siblings}

    def read(name, limit):
        path = f"{folder.rstrip('/')}/{name}" if folder else name
        if path not in sizes:
            raise missing(f"hf://{repo}", path, sorted(sizes))
        if sizes[path] is None or sizes[path] > limit:
            raise failed(name, f"it has {sizes[path]} bytes, and may have {limit}")
        with scratch_folder(limit) as scratch:
            try:
                client.snapshot_download(
                    repo, revision=about.sha, allow_patterns=[path], local_dir=scratch
                )
                return (scratch / path).read_bytes()
            except Exception as error:
                raise failed(name, error) from error

    return read

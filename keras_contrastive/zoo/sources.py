"""Where a preset comes from: the package, a folder, an https URL or Hugging Face.

A download goes to a temporary folder of the cache, is hashed there, and is renamed
when it is whole. Only the five files of a preset are ever fetched, under fixed names,
so that nothing can be written anywhere else.
"""

import difflib
import functools
import hashlib
import http.client
import os
import pathlib
import re
import shutil
import time
import urllib.parse
import urllib.request
import warnings
import zipfile
import zlib

from keras_contrastive.files import recover, replace_folder, temporary_sibling
from keras_contrastive.zoo import registry
from keras_contrastive.zoo.preset_files import (
    FILES,
    MAX_WEIGHTS_BYTES,
    METADATA,
    PresetFiles,
    check_metadata,
    max_bytes,
    printable,
    read_preset,
)

_NAMES = (METADATA, *FILES)
_TIMEOUT = 30  # seconds without a byte
_PATIENCE, _BYTES_PER_SECOND = 60, 20_000  # a file may take 60 s, and time for its size
_MAX_PACKING = 100  # weights hardly shrink: a .zip that does more is a bomb
_HUGGING_FACE = re.compile(
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
    pinned = {} if sha256 is None else {METADATA: sha256}
    if "://" in text and not is_path:
        folder = cached(text, _fetcher(text), cache_dir, pinned)
        return read_preset(folder, pinned)
    shipped = registry.registered()
    if text in shipped and not is_path:
        if os.path.isdir(text):
            warnings.warn(
                f"{text!r} is a shipped preset, which is taken, and a folder here; "
                f"for the folder write {os.path.join('.', text)!r}.",
                stacklevel=3,
            )
        folder, pinned = registry.PRESETS / text, {**shipped[text], **pinned}
    elif _is_folder(text):
        folder = pathlib.Path(text)
    else:
        raise ValueError(_unknown(text, shipped))
    return read_preset(folder, pinned)


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


def cached(source: str, fetch, cache_dir=None, hashes: dict | None = None):
    """Return the folder of a downloaded preset, which is fetched if it is not there.

    One in the cache is checked like a new one, and fetched again if it is damaged. Two
    processes may fetch the same one at a time.

    Args:
        source: Where it comes from; the name of its folder is made of this.
        fetch: A function that writes the files of the preset into a folder.
        cache_dir: As in `cache_folder`.
        hashes: As in `read_preset`.

    Returns:
        The folder.

    Raises:
        OSError: What `fetch` raises; a file is missing.
        ValueError: A file is not what it should be. The cache is as it was.
    """
    cache = cache_folder(cache_dir)
    readable = re.sub(r"[^A-Za-z0-9]+", "_", source.split("?")[0])[-40:].strip("_")
    digest = hashlib.sha256(source.encode()).hexdigest()[:16]
    target = cache / f"{readable}-{digest}"
    problem = _problem(target, hashes)
    if problem is None:
        return target
    damage = ""
    if target.is_dir():
        damage = f" It was fetched again, for the one in the cache failed: {problem}"
    with temporary_sibling(cache) as temporary:
        try:
            fetch(temporary)
            read_preset(temporary, hashes)
            _move_to_cache(temporary, target, hashes)
        except (ValueError, OSError) as error:
            kinds = FileNotFoundError, OSError, ValueError
            kind = next(kind for kind in kinds if isinstance(error, kind))
            # The temporary folder goes away; its files came from the source.
            reason = str(error).replace(str(temporary), source)
            raise kind(f"{reason}{damage}") from error
    return target


def _move_to_cache(temporary, target, hashes):
    """Rename, unless another process has been faster."""
    if _problem(target, hashes) is None:
        return
    try:
        replace_folder(temporary, target)
    except OSError:
        if _problem(target, hashes) is not None:
            raise


def _problem(folder, hashes):
    """What `read_preset` raises, or None."""
    try:
        read_preset(folder, hashes)
    except (ValueError, OSError) as error:
        return error
    return None


def _fetcher(source):
    """A function that downloads `source` into a folder."""
    match = _HUGGING_FACE.fullmatch(source)
    if match:
        return functools.partial(_fetch_hugging_face, **match.groupdict())
    if not source.startswith("https://"):
        raise ValueError(
            "Presets are downloaded from https:// URLs, or hf://owner/name, with "
            f"@revision and /folder if wanted. Received: {source!r}"
        )
    return functools.partial(fetch_url, source)


def fetch_url(url: str, folder: pathlib.Path) -> None:
    """Download a preset: a folder of its files, or a `.zip` of them.

    Nothing is larger than `metadata.json`, which is read first, lists it; that and a
    `.zip` are not larger than any preset.

    Args:
        url: Of the folder or the archive. A query (`?token=...`) is kept.
        folder: Where to write.

    Raises:
        OSError: The download failed, or took too long.
        ValueError: More bytes than the preset has, or an archive with anything but
            the files of a preset.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.path.endswith(".zip"):
        _download(url, folder / "preset.zip", MAX_WEIGHTS_BYTES)
        unpack(folder / "preset.zip", folder)
        (folder / "preset.zip").unlink()
        return
    for name in _NAMES:
        path = f"{parts.path.rstrip('/')}/{name}"
        limit = _max_bytes(folder, name)
        _download(parts._replace(path=path).geturl(), folder / name, limit)


def _max_bytes(folder, name):
    """How large a file is at most, by `metadata.json` if that is there already."""
    path = folder / METADATA
    if name == METADATA or not path.exists():
        return max_bytes(name)
    about = check_metadata(path, path.read_bytes())["files"][name]
    return about.get("bytes", max_bytes(name))


class _SecureRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect from https:// to anything else."""

    def redirect_request(self, request, file, code, message, headers, url):
        if request.type == "https" and not url.startswith("https://"):
            raise OSError(f"it leads to {url!r}, which is not https://")
        return super().redirect_request(request, file, code, message, headers, url)


def _download(url, path, limit):
    """Write what is at `url` to a file, `limit` bytes at most.

    Not by `keras.utils.get_file`: it waits for ever, takes any number of bytes and
    follows https:// to http://, and none of that can be set.
    """
    end = time.monotonic() + _PATIENCE + limit / _BYTES_PER_SECOND
    opener = urllib.request.build_opener(_SecureRedirects)
    received = 0
    try:
        with opener.open(url, timeout=_TIMEOUT) as answer, open(path, "wb") as file:
            length = int(answer.headers.get("Content-Length") or 0)
            while received <= limit and length <= limit:
                content = answer.read1(2**16)
                if not content:
                    break
                received += len(content)
                file.write(content)
                if time.monotonic() > end:
                    raise OSError(f"{received:,} bytes came, too slowly")
        if received < length <= limit:
            raise OSError(f"it ended after {received:,} of {length:,} bytes")
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise OSError(
            f"{url!r} could not be downloaded: {printable(error)}. Nothing of it was "
            "kept. Check the address and the network, then call again."
        ) from error
    if max(received, length) > limit:
        raise ValueError(
            f"{url!r} must have {limit:,} bytes at most, to be that file of a preset. "
            f"Received: {'more' if received > length else f'{length:,}'}. Nothing of "
            "it was kept."
        )


def unpack(archive: pathlib.Path, folder: pathlib.Path) -> None:
    """Unpack the files of a preset, at the top of a `.zip` or in one folder of it.

    Args:
        archive: The file.
        folder: Where to write.

    Raises:
        ValueError: It is no such archive; it holds anything else, a link or a path
            that leads out of it; it unpacks to more than `metadata.json` lists, or to
            100 times its size.
    """
    expected = f"A preset's archive must be a .zip with {', '.join(_NAMES)} alone."
    try:
        with zipfile.ZipFile(archive) as source:
            entries = {}
            for entry in source.infolist():
                if entry.is_dir():
                    continue
                *parents, name = entry.filename.split("/")
                is_link = (entry.external_attr >> 16) & 0o170000 == 0o120000
                leads_out = len(parents) > 1 or parents in ([".."], [""])
                if name not in _NAMES or name in entries or is_link or leads_out:
                    raise ValueError(f"{expected} Received: {entry.filename!r} in it.")
                entries[name] = entry
            packed_bytes = sum(x.compress_size for x in entries.values())
            left = max(2**20, _MAX_PACKING * packed_bytes)
            for name in sorted(entries, key=_NAMES.index):  # metadata.json first
                limit = min(left, _max_bytes(folder, name))
                with source.open(entries[name]) as packed:
                    left -= _copy(packed, folder / name, limit)
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        RuntimeError,  # encrypted
        NotImplementedError,  # another compression
    ) as error:
        raise ValueError(
            f"{expected} Received: one that cannot be unpacked ({printable(error)})."
        ) from error


def _copy(source, path, limit):
    """Copy to a file and return the number of bytes, as they come, not as promised."""
    size = 0
    with open(path, "wb") as file:
        while content := source.read(2**16):
            size += len(content)
            if size > limit:
                raise ValueError(
                    f"{path.name} in a preset's archive must unpack to {limit:,} bytes "
                    "at most, by metadata.json and by the size of the archive. "
                    "Received: more."
                )
            file.write(content)
    return size


def _fetch_hugging_face(target, repo, revision, folder):
    """Download from a repository of Hugging Face, with its own client if installed.

    The client knows the user's token, for private repositories.
    """
    revision = revision or "main"
    try:
        import huggingface_hub as client
    except ImportError:
        path = f"{repo}/resolve/{urllib.parse.quote(revision, '')}/{folder or ''}"
        return fetch_url(f"https://huggingface.co/{path}", target)
    for name in _NAMES:
        where = {"subfolder": folder, "revision": revision}
        limit = _max_bytes(target, name)
        try:
            address = client.hf_hub_url(repo, name, **where)
            size = client.get_hf_file_metadata(address, timeout=_TIMEOUT).size
            if size is None or size > limit:
                raise ValueError(f"it has {size} bytes, and may have {limit:,}")
            file = client.hf_hub_download(repo, name, **where)
        except Exception as error:  # the client's own kinds
            raise OSError(
                f"{name} of hf://{repo} ({revision}) could not be downloaded: "
                f"{printable(error)}. Nothing of it was kept."
            ) from error
        shutil.copyfile(file, target / name)

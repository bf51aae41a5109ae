"""Where a preset comes from: the package, a folder, an https URL or Hugging Face.

A download goes to a temporary folder of the cache, is hashed there, and is renamed
when it is whole. Only the five files of a preset are ever fetched, under fixed names,
so that nothing can be written anywhere else.
"""

import difflib
import functools
import hashlib
import os
import pathlib
import re
import shutil
import urllib.parse
import warnings
import zipfile
import zlib

import keras

from keras_contrastive.files import replace_folder, temporary_sibling
from keras_contrastive.zoo import registry
from keras_contrastive.zoo.preset_files import FILES, METADATA, check_preset

_NAMES = (METADATA, *FILES)
_MAX_ARCHIVE_BYTES = 2**32  # unpacked: more is a zip bomb or a mistake
_HUGGING_FACE = re.compile(
    r"hf://(?!.*\.\.)(?P<repo>[\w.-]+/[\w.-]+)"
    r"(@(?P<revision>refs/\w+/[\w.-]+|[\w.-]+))?(/(?P<folder>[\w./-]+))?/?"
)


def locate(
    preset: str | os.PathLike,
    cache_dir: str | os.PathLike | None = None,
    sha256: str | None = None,
) -> pathlib.Path:
    """Find a preset, download it if need be, and check every file of it.

    Args:
        preset: As in `kc.from_preset`.
        cache_dir: As in `kc.from_preset`.
        sha256: As in `kc.from_preset`.

    Returns:
        The folder.

    Raises:
        ValueError, OSError: As in `kc.from_preset`.
    """
    text = os.fspath(preset)
    is_path = isinstance(preset, os.PathLike)
    pinned = {} if sha256 is None else {METADATA: sha256}
    if "://" in text and not is_path:
        return cached(text, _fetcher(text), cache_dir, pinned)
    shipped = registry.registered()
    if text in shipped and not is_path:
        if os.path.isdir(text):
            warnings.warn(
                f"{text!r} is a shipped preset, which is taken, and a folder here; "
                f"for the folder write {os.path.join('.', text)!r}.",
                stacklevel=3,
            )
        folder, pinned = registry.PRESETS / text, {**shipped[text], **pinned}
    elif os.path.isdir(text):
        folder = pathlib.Path(text)
    else:
        raise ValueError(_unknown(text, shipped))
    check_preset(folder, pinned)
    return folder


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
        hashes: As in `check_preset`.

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
            check_preset(temporary, hashes)
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
    """What `check_preset` raises, or None."""
    try:
        check_preset(folder, hashes)
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

    Args:
        url: Of the folder or the archive. A query (`?token=...`) is kept.
        folder: Where to write.

    Raises:
        OSError: The download failed.
        ValueError: An archive with anything but the files of a preset.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.path.endswith(".zip"):
        _download(url, folder, "preset.zip")
        unpack(folder / "preset.zip", folder)
        (folder / "preset.zip").unlink()
        return
    for name in _NAMES:
        path = f"{parts.path.rstrip('/')}/{name}"
        _download(parts._replace(path=path).geturl(), folder, name)


def _download(url, folder, name):
    try:
        keras.utils.get_file(name, url, cache_dir=str(folder), cache_subdir="")
    except Exception as error:  # Keras raises bare exceptions
        raise OSError(
            f"{url!r} could not be downloaded: {error}. Nothing of it was kept. Check "
            "the address and the network, then call again."
        ) from error


def unpack(archive: pathlib.Path, folder: pathlib.Path) -> None:
    """Unpack the files of a preset, at the top of a `.zip` or in one folder of it.

    Args:
        archive: The file.
        folder: Where to write.

    Raises:
        ValueError: It is no such archive; it holds anything else, a link or a path
            that leads out of it; it is too large unpacked.
    """
    expected = f"A preset's archive must be a .zip with {', '.join(_NAMES)} alone."
    try:
        with zipfile.ZipFile(archive) as source:
            entries = [x for x in source.infolist() if not x.is_dir()]
            for entry in entries:
                *parents, name = entry.filename.split("/")
                is_link = (entry.external_attr >> 16) & 0o170000 == 0o120000
                leads_out = len(parents) > 1 or parents in ([".."], [""])
                if name not in _NAMES or is_link or leads_out:
                    raise ValueError(f"{expected} Received: {entry.filename!r} in it.")
            names = [x.filename.split("/")[-1] for x in entries]
            size = sum(x.file_size for x in entries)
            if len(set(names)) < len(names) or size > _MAX_ARCHIVE_BYTES:
                raise ValueError(f"{expected} Received: {names} of {size} bytes.")
            for name, entry in zip(names, entries, strict=True):
                with source.open(entry) as packed, open(folder / name, "wb") as file:
                    shutil.copyfileobj(packed, file)
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        RuntimeError,  # encrypted
        NotImplementedError,  # another compression
    ) as error:
        raise ValueError(
            f"{expected} Received: one that cannot be unpacked ({error})."
        ) from error


def _fetch_hugging_face(target, repo, revision, folder):
    """Download from a repository of Hugging Face, with its own client if installed.

    The client knows the user's token, for private repositories.
    """
    revision = revision or "main"
    try:
        from huggingface_hub import hf_hub_download
    except ImportError:
        path = f"{repo}/resolve/{urllib.parse.quote(revision, '')}/{folder or ''}"
        return fetch_url(f"https://huggingface.co/{path}", target)
    for name in _NAMES:
        try:
            file = hf_hub_download(repo, name, subfolder=folder, revision=revision)
        except Exception as error:  # the client's own kinds
            raise OSError(
                f"{name} of hf://{repo} ({revision}) could not be downloaded: {error}. "
                "Nothing of it was kept."
            ) from error
        shutil.copyfile(file, target / name)

"""The image files of a folder, and what it says of the others."""

import collections
import difflib
import os
import warnings

import numpy as np

from keras_contrastive import tiff
from keras_contrastive.data import label_table
from keras_contrastive.data.bad_examples import listed

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", *tiff.EXTENSIONS)

# Images all the same, which a user should hear of; a `.txt` or `Thumbs.db` beside the
# images is none.
_IMAGES_NOT_READ = (
    *(".heic", ".heif", ".avif", ".jxl", ".jp2", ".j2k", ".jfif", ".jpe", ".tga"),
    *(".psd", ".exr", ".hdr", ".pbm", ".pgm", ".ppm", ".pnm", ".svg"),
    *(".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".raf", ".rw2"),
)


def list_images(
    path: str | os.PathLike, labels: bool | str | os.PathLike = True
) -> tuple[list[str], np.ndarray, list[str]]:
    """List image files below a folder, as `views_from_directory` sees them.

    Warns once, naming what looks like an image and is not read.

    Args:
        path: A folder.
        labels: A CSV file with the columns `path`, relative to the folder, and `label`;
            what is not in it is unlabelled. `True`: that of the folder, `labels.csv`,
            or without one its class folders. `False`: none.

    Returns:
        `(files, labels, class_names)`: sorted paths; int64 of shape `(n,)`, the
        index into `class_names` or -1; the names of the classes, sorted: of the
        top-level folders that hold images, or of the CSV file.

    Raises:
        ValueError: If `path` does not exist, is no folder, or holds no images; if the
            CSV file lacks a column, names a file that is not there, or one twice.

    Example:
        >>> files, labels, class_names = kc.data.list_images("photos")
    """
    path = os.fspath(path)
    if not os.path.isdir(path):
        raise ValueError(_no_folder(path))
    if not _is_utf8(path):
        raise ValueError(
            f"`path` must be valid UTF-8. Received: path={os.fsencode(path)!r}. Rename "
            "the folder."
        )
    others: collections.Counter[str] = collections.Counter()
    unread: list[str] = []
    folders, found = _look(path, others, unread)
    found = [(file, None) for file in found]
    for folder in folders:
        name = os.path.basename(folder)
        found += [(file, name) for file in _walk(folder, path, others, unread)]
    if not found:
        raise ValueError(_no_images(path, others, unread))
    _warn(path, others, unread)
    found.sort(key=lambda item: item[0])
    files = [file for file, _ in found]
    own = os.path.join(path, label_table.NAME)
    table = own if labels is True and os.path.isfile(own) else labels
    if not isinstance(table, bool):
        return files, *label_table.labels_of(table, path, files)
    if not labels:
        return files, np.full(len(files), -1, np.int64), []
    class_names = sorted({name for _, name in found if name is not None})
    number = {name: index for index, name in enumerate(class_names)}
    numbers = np.array([number.get(name, -1) for _, name in found], np.int64)
    return files, numbers, class_names


def _walk(folder, top, others, unread):
    """Image files at any depth; every real folder once, so links make no circles."""
    above = os.path.realpath(top)
    waiting, seen, files = [folder], set(), []
    while waiting:
        folder = waiting.pop()
        real = os.path.realpath(folder)
        if real in seen or above == real or above.startswith(os.path.join(real, "")):
            unread.append(f"{folder}: read already by another path; there is a link")
            continue
        seen.add(real)
        folders, found = _look(folder, others, unread)
        waiting += folders
        files += found
    return files


def _look(folder, others, unread):
    """`(folders, images)`: paths in a folder. What cannot be read is noted, not fatal.

    Args:
        folder: Its path.
        others: Counts the extensions of files that are no images.
        unread: Gets a line for each entry that ought to be read and cannot be.
    """
    folders, images = [], []
    try:
        with os.scandir(folder) as entries:
            entries = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:  # no permission, mostly
        unread.append(f"{folder}: {error.strerror}")
        return folders, images
    for entry in entries:
        extension = os.path.splitext(entry.name)[1].lower()
        try:
            if entry.is_dir():
                to = folders
            elif extension in EXTENSIONS and entry.is_file():
                to = images
            elif extension in EXTENSIONS:  # a pipe, a link that leads nowhere
                unread.append(f"{_shown(entry.path)}: not a regular file")
                continue
            else:
                others[extension or "no extension"] += 1
                continue
        except OSError as error:  # a link to itself
            unread.append(f"{_shown(entry.path)}: {error.strerror}")
            continue
        if _is_utf8(entry.name):
            to.append(entry.path)
        else:  # a tensor of strings cannot hold it
            unread.append(f"{_shown(entry.path)}: its name is not UTF-8")
    return folders, images


def _is_utf8(name):
    try:
        name.encode()
    except UnicodeEncodeError:  # Python escapes such bytes by lone surrogates
        return False
    return True


def _shown(path):
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _warn(path, others, unread):
    """Give one warning for what looks like an image and is not read."""
    images = {kind: n for kind, n in others.items() if kind in _IMAGES_NOT_READ}
    parts = []
    if images:
        rest = sum(others.values()) - sum(images.values())
        parts.append(
            f"{sum(images.values())} image(s) are in formats that are not read "
            f"({_counts(images)}), and {rest} other file(s). Convert them to one of "
            f"{', '.join(EXTENSIONS)}."
        )
    if unread:
        parts.append(f"{len(unread)} file(s) or folder(s) are skipped:{listed(unread)}")
    if parts:
        warnings.warn(f"Below '{path}' " + " And ".join(parts), stacklevel=3)


def _counts(kinds):
    most = collections.Counter(kinds).most_common(5)
    return ", ".join(f"{n} x {kind}" for kind, n in most)


def _no_folder(path):
    if os.path.exists(path):
        return (
            f"`path` must be a folder. Received: path='{path}', which is a file. Pass "
            "the folder that holds the images."
        )
    parent, name = os.path.split(os.path.abspath(path))
    names = os.listdir(parent) if os.path.isdir(parent) else []
    near = difflib.get_close_matches(name, names, n=3)
    if near:
        hint = "Did you mean " + " or ".join(
            f"'{os.path.join(parent, other)}'" for other in near
        )
        hint += "?"
    else:
        hint = f"The current folder is '{os.getcwd()}'."
    return f"`path` must be an existing folder. Received: path='{path}'. {hint}"


def _no_images(path, others, unread):
    there = f"it holds other files only: {_counts(others)}" if others else "it is empty"
    skipped = f" Skipped were:{listed(unread)}" if unread else ""
    return (
        f"`path` must hold images ({', '.join(EXTENSIONS)}), at any depth. "
        f"Received: path='{path}'; {there}. Pass the folder that holds the images, or "
        f"convert them to one of these formats.{skipped}"
    )

"""`views_from_directory`: two-view batches from a folder of image files."""

import collections
import difflib
import os
import warnings

import numpy as np
import tensorflow as tf

from keras_contrastive.data.bad_examples import listed
from keras_contrastive.data.decoding import EXTENSIONS, reason
from keras_contrastive.data.examples import views_from_source
from keras_contrastive.data.options import Options
from keras_contrastive.data.source import Source
from keras_contrastive.image_io import decode_image

# Images all the same, which a user should hear of; a `.txt` or `Thumbs.db` beside the
# images is none.
_IMAGES_NOT_READ = (
    *(".tif", ".tiff", ".heic", ".heif", ".avif", ".jxl", ".jp2", ".j2k", ".jfif"),
    *(".jpe", ".tga", ".psd", ".exr", ".hdr", ".pbm", ".pgm", ".ppm", ".pnm", ".svg"),
    *(".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".raf", ".rw2"),
)


def views_from_directory(
    path: str | os.PathLike,
    *,
    augmentation,
    batch_size: int = 256,
    seed: int | None = None,
    shuffle: bool = True,
    drop_remainder: bool = True,
    image_size: int | tuple[int, int] | None = None,
    channels: int = 3,
    cache_encoded: bool = False,
    cache_decoded: bool = False,
    on_error: str = "replace",
    input_context: tf.distribute.InputContext | None = None,
    with_ids: bool = False,
    labels: bool = True,
) -> tf.data.Dataset:
    """Batches of views from JPEG, PNG, BMP, GIF and WebP files below a folder.

    Any nesting. With class folders (`cat/`, `dog/`, ...) the label is the number of
    the top-level folder in sorted order, and images directly in `path` have label
    -1; without folders there are no labels. Names that begin with a dot are skipped.
    Images of other formats, and what cannot be read at all (a pipe, a link to itself, a
    folder without permission, a name that is not UTF-8), are named in one warning.

    Only paths are shuffled. Grayscale, CMYK, palette, 16-bit and transparent images
    become 8-bit images of `channels`; of an animated GIF the first frame is taken;
    animated WebP cannot be read.

    Args:
        path: A folder.
        augmentation: As in `views_from_arrays`.
        batch_size: As in `views_from_arrays`.
        seed: As in `views_from_arrays`.
        shuffle: As in `views_from_arrays`.
        drop_remainder: As in `views_from_arrays`.
        image_size: `None`: crops are taken from every image at its full resolution, as
            in the papers; files may differ in size. A policy whose views all begin
            with `kc.layers.RandomResizedCrop`, as those of `kc.augmentations` do, cuts
            them out while a JPEG is decoded, and its other layers work on whole
            batches; any other augmentation sees every image as a batch of one.
            An integer or `(height, width)`: the largest centred part of that aspect
            ratio is resized first, and the augmentation works on whole batches.
            That is several times faster for small images, but crops then come from
            the smaller picture, and what lies outside the centred part is never seen.
        channels: 3, or 1 for luminance.
        cache_encoded: Whether to keep the bytes of all files in memory. They are
            read once, before the first batch.
        cache_decoded: Whether to keep all decoded images (after `image_size`) in
            memory: `height * width * channels` bytes each.
        on_error: `"replace"`: an unreadable file gives way to the next readable one,
            so the number of steps stays true, and one warning at the end of the epoch
            names it. `"raise"`: it is an error.
        input_context: As in `views_from_arrays`.
        with_ids: As in `views_from_arrays`: the place among the files of
            `list_images`.
        labels: `False`: no labels, whatever the folders are.

    Returns:
        Dataset as in `views_from_arrays`.

    Raises:
        ValueError: if `path` is no folder or has no images below it, and as in
            `views_from_arrays`.

    Example:
        >>> policy = kc.augmentations.simclr(224)
        >>> dataset = kc.data.views_from_directory(
        ...     "photos", augmentation=policy, batch_size=2)
    """
    options = Options(
        augmentation=augmentation,
        batch_size=batch_size,
        seed=seed,
        shuffle=shuffle,
        drop_remainder=drop_remainder,
        image_size=image_size,
        channels=channels,
        cache_encoded=cache_encoded,
        cache_decoded=cache_decoded,
        on_error=on_error,
        input_context=input_context,
        with_ids=with_ids,
    )
    files, file_labels, class_names = list_images(path)
    has_labels = labels and class_names
    source = source_of_files(path, files, file_labels if has_labels else None, channels)
    return views_from_source(source, options)


def source_of_files(path, files, labels, channels) -> Source:
    """Image files below `path`, with their labels unless these are None."""

    def explain(index):
        try:
            image = decode_image(tf.io.read_file(files[index]), channels)
        except (tf.errors.OpError, ValueError) as error:
            return f"{files[index]}: {reason(error)}"
        return f"{files[index]}: the augmentation failed on shape {image.shape}"

    with tf.device("CPU:0"):
        records = (tf.constant(files),)
        if labels is not None:
            records += (tf.constant(labels),)
    return Source(
        name=f"'{os.fspath(path)}'",
        records=tf.data.Dataset.from_tensor_slices(records),
        size=len(files),
        shuffle_buffer=len(files),
        is_path=True,
        explain=explain,
    )


def list_images(path: str | os.PathLike) -> tuple[list[str], np.ndarray, list[str]]:
    """Image files below a folder, as `views_from_directory` sees them.

    Warns once, naming what looks like an image and is not read.

    Args:
        path: A folder.

    Returns:
        `(files, labels, class_names)`: sorted paths; int64 of shape `(n,)`, the
        index into `class_names` or -1; the names of the top-level folders that
        hold images, sorted.

    Raises:
        ValueError: if `path` does not exist, is no folder, or holds no images.

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
    others, unread = collections.Counter(), []
    folders, found = _look(path, others, unread)
    found = [(file, None) for file in found]
    for folder in folders:
        name = os.path.basename(folder)
        found += [(file, name) for file in _walk(folder, path, others, unread)]
    if not found:
        raise ValueError(_no_images(path, others, unread))
    _warn(path, others, unread)
    found.sort(key=lambda item: item[0])
    class_names = sorted({name for _, name in found if name is not None})
    number = {name: index for index, name in enumerate(class_names)}
    labels = np.array([number.get(name, -1) for _, name in found], np.int64)
    return [file for file, _ in found], labels, class_names


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
    """One warning for what looks like an image and is not read."""
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

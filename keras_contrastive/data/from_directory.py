"""`views_from_directory`: two-view batches from a folder of image files."""

import collections
import difflib
import os

import numpy as np
import tensorflow as tf

from keras_contrastive.data.decoding import EXTENSIONS, decode_image, reason
from keras_contrastive.data.examples import views_from_source
from keras_contrastive.data.options import Options
from keras_contrastive.data.source import Source


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
    labels: bool = True,
) -> tf.data.Dataset:
    """Batches of views from JPEG, PNG, BMP, GIF and WebP files below a folder.

    Any nesting. With class folders (`cat/`, `dog/`, ...) the label is the number of
    the top-level folder in sorted order, and images directly in `path` have label
    -1; without folders there are no labels. Names that begin with a dot are skipped.

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
        labels: `False`: no labels, whatever the folders are.

    Returns:
        Dataset as in `views_from_arrays`.

    Raises:
        ValueError: if `path` is no folder or has no images below it, and as in
            `views_from_arrays`.

    Example:
        >>> policy = kc.augmentations.simclr(224)
        >>> dataset = kc.data.views_from_directory("photos", augmentation=policy)
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
    )
    files, file_labels, class_names = list_images(path)

    def explain(index):
        try:
            image = decode_image(tf.io.read_file(files[index]), channels)
        except (tf.errors.OpError, ValueError) as error:
            return f"{files[index]}: {reason(error)}"
        return f"{files[index]}: the augmentation failed on shape {image.shape}"

    with tf.device("CPU:0"):
        records = (tf.constant(files),)
        if labels and class_names:
            records += (tf.constant(file_labels),)
    source = Source(
        name=f"'{os.fspath(path)}'",
        records=tf.data.Dataset.from_tensor_slices(records),
        size=len(files),
        shuffle_buffer=len(files),
        is_path=True,
        explain=explain,
    )
    return views_from_source(source, options)


def list_images(path: str | os.PathLike) -> tuple[list[str], np.ndarray, list[str]]:
    """Image files below a folder, as `views_from_directory` sees them.

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
    others = collections.Counter()
    found = []
    for top in _entries(path):
        if top.is_dir():
            found += [(file, top.name) for file in _walk(top.path, others)]
        elif _is_image(top.name, others):
            found.append((top.path, None))
    if not found:
        raise ValueError(_no_images(path, others))
    found.sort(key=lambda item: item[0])
    class_names = sorted({name for _, name in found if name is not None})
    number = {name: index for index, name in enumerate(class_names)}
    labels = np.array([number.get(name, -1) for _, name in found], np.int64)
    return [file for file, _ in found], labels, class_names


def _entries(folder):
    with os.scandir(folder) as entries:
        return [entry for entry in entries if not entry.name.startswith(".")]


def _walk(folder, others):
    """Image files at any depth; every real folder once, so links make no circles."""
    waiting, seen = [folder], set()
    while waiting:
        folder = waiting.pop()
        real = os.path.realpath(folder)
        if real in seen:
            continue
        seen.add(real)
        for entry in _entries(folder):
            if entry.is_dir():
                waiting.append(entry.path)
            elif _is_image(entry.name, others):
                yield entry.path


def _is_image(name, others):
    extension = os.path.splitext(name)[1].lower()
    if extension in EXTENSIONS:
        return True
    others[extension or "no extension"] += 1
    return False


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


def _no_images(path, others):
    if others:
        kinds = ", ".join(f"{n} x {kind}" for kind, n in others.most_common(5))
        there = f"it holds other files only: {kinds}"
    else:
        there = "it is empty"
    return (
        f"`path` must hold images ({', '.join(EXTENSIONS)}), at any depth. "
        f"Received: path='{path}'; {there}. Pass the folder that holds the images, or "
        "convert them to one of these formats."
    )

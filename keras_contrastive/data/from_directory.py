"""Folders of image files: batches of views to train on, or of images for evaluation."""

import os
import warnings

import numpy as np
import tensorflow as tf

from keras_contrastive.data.bad_examples import listed, reason
from keras_contrastive.data.epochs import PARALLEL
from keras_contrastive.data.examples import (
    check_one_size,
    images_from_source,
    views_from_source,
)
from keras_contrastive.data.file_format import FileFormat, file_format
from keras_contrastive.data.list_images import list_images
from keras_contrastive.data.options import Options, plain, takes_options
from keras_contrastive.data.source import Source


@takes_options
def views_from_directory(
    path: str | os.PathLike,
    *,
    options: Options,
    labels: bool | str | os.PathLike = True,
) -> tf.data.Dataset:
    """Return batches of views from image files below a folder.

    JPEG, PNG, BMP, GIF and WebP, and TIFF with the extra `tiff`.

    Any nesting. With class folders (`cat/`, `dog/`, ...) the label is the number of
    the top-level folder in sorted order, and images directly in `path` have label
    -1; without folders there are no labels. A file `labels.csv` in the folder, with the
    columns `path` and `label`, takes the place of class folders. Names that begin with
    a dot are skipped. Images of other formats, and what cannot be read at all (a pipe,
    a link to itself, a folder without permission, a name that is not UTF-8), are named
    in one warning.

    Only paths are shuffled. Grayscale, CMYK, palette and transparent images become
    images of `channels`; of an animated GIF the first frame is taken; animated WebP
    cannot be read. Of TIFFs all channels are taken, see `kc.tiff.decode_tiff`; they
    must have one number of them.

    Images are uint8, and float32 where a TIFF has more than 8 bits, or a PNG: of large
    folders 8 PNGs are looked at, and if all of them have 8 bits, the others are read
    as such. 16 bits are divided by 257, see `value_range`.

    Args:
        path: A folder.
        options: Keywords of `Options`.
        labels: `False`: no labels, whatever the folders are; or the path of a CSV file
            as above.

    Returns:
        Dataset as in `views_from_arrays`.

    Raises:
        ImportError: If there are TIFFs, and tifffile is not installed.
        ValueError: If `path` is no folder or has no images below it, if TIFFs differ in
            their channels or need a `value_range`, and as in `views_from_arrays`.

    Example:
        >>> policy = kc.augmentations.simclr(224)
        >>> dataset = kc.data.views_from_directory(
        ...     "photos", augmentation=policy, batch_size=2)
    """
    files, file_labels, class_names = list_images(path, labels)
    form = file_format(files, options.channels, options.value_range)
    options.channels = form.channels
    source = source_of_files(path, files, file_labels if class_names else None, form)
    return views_from_source(source, options)


def images_from_directory(
    path: str | os.PathLike,
    *,
    image_size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    batch_size: int = 256,
    labels: bool | str | os.PathLike = True,
    on_error: str = "raise",
    value_range: tuple[float, float] | None = None,
) -> tf.data.Dataset:
    """Return the images below a folder in batches, for evaluation: all, in order.

    The files, labels and class names are those of `list_images`; images are decoded and
    resized as `views_from_directory` and the serving signature `serve_bytes` do it.
    Row `i` of a pass belongs to `file_paths[i]`.

    Args:
        path: A folder.
        image_size: Side, or `(height, width)`, such as the encoder's input: the largest
            centred part of that aspect ratio, resized with antialiasing. It has to be
            given, since files may differ in size.
        channels: 3, or 1 for luminance. `None`: all that TIFFs have, and 3 of others.
        batch_size: Images per batch; the last one may be smaller.
        labels: `False`: no labels, whatever the folders are; or the path of a CSV file
            as in `views_from_directory`.
        on_error: `"raise"`: a file that cannot be read is an error that names it.
            `"skip"`: such files are found at once, by decoding all files one time
            more, left out of images, labels and `file_paths`, and named in a warning.
        value_range: As in `views_from_directory`.

    Returns:
        Finite dataset of `(images, labels)`, or of `images` without class folders:
        uint8 (float32 of more than 8 bits) `(batch, *image_size, channels)` in
        [0, 255], int64 `(batch,)` with -1 for images directly in `path`. Attributes:
        `class_names`, a list, or None without labels, and `file_paths`, a list.

    Raises:
        ImportError: If there are TIFFs, and tifffile is not installed.
        ValueError: If `path` is no folder or has no (readable) images below it, or a
            keyword is impossible; and of TIFFs as in `views_from_directory`.

    Example:
        >>> images = kc.data.images_from_directory("photos", image_size=32)
        >>> encoder = kc.encoders.resnet(depth=10, width=4)
        >>> features, labels = kc.evaluation.extract_features(encoder, images)
        >>> feature_of = dict(zip(images.file_paths, features))
    """
    if on_error not in ("raise", "skip"):
        raise ValueError(
            '`on_error` must be "raise" or "skip" (unreadable files are found first '
            f"and left out). Received: on_error={on_error!r}."
        )
    options = plain(image_size, channels, batch_size)
    files, file_labels, class_names = list_images(path, labels)
    form = file_format(files, channels, value_range)
    options.channels = form.channels
    source = source_of_files(path, files, file_labels, form)
    check_one_size(source, options)
    if on_error == "skip":
        kept = _readable(source, form)
        files, file_labels = [files[i] for i in kept], file_labels[kept]
    known = file_labels if class_names else None
    source = source_of_files(path, files, known, form)
    source.remedy = ', or pass on_error="skip" to leave such files out'
    dataset = images_from_source(source, options)
    dataset.class_names = class_names or None
    dataset.file_paths = files
    return dataset


def source_of_files(path, files, labels, form: FileFormat) -> Source:
    """Return the image files below `path`, with their labels unless these are None."""

    def explain(index):
        try:
            image = form.read(files[index])
        except (tf.errors.OpError, ValueError) as error:
            return f"{files[index]}: {reason(error)}"
        return f"{files[index]}: the augmentation failed on shape {image.shape}"

    with tf.device("CPU:0"):
        records: tuple = (tf.constant(files),)
        if labels is not None:
            records += (tf.constant(labels),)
    return Source(
        name=f"'{os.fspath(path)}'",
        records=tf.data.Dataset.from_tensor_slices(records),
        size=len(files),
        shuffle_buffer=len(files),
        is_path=True,
        decode=None if form.is_plain else form.decode,
        explain=explain,
    )


def _readable(source, form):
    """Return indices of the files that can be decoded; a warning names the others."""

    def size(index, record):
        return index, tf.shape(form.decode(tf.io.read_file(record[0])))

    found = source.records.map(lambda *record: record[:1]).enumerate()
    found = found.map(size, **PARALLEL).ignore_errors()
    kept = np.array([index for index, _ in found.as_numpy_iterator()], np.int64)
    bad = np.setdiff1d(np.arange(source.size), kept)
    if not len(kept):
        raise ValueError(
            f"None of the {source.size} images of {source.name} can be read: "
            f"{source.explain(0)}."
        )
    if len(bad):
        warnings.warn(
            f"{len(bad)} unreadable image(s) of {source.name} are left out:"
            + listed(map(source.explain, bad)),
            stacklevel=3,
        )
    return kept

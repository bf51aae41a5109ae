"""Loaders for evaluation: images as they are, all of them, in order, with labels."""

import os
import warnings

import numpy as np
import tensorflow as tf

from keras_contrastive.data.array_checks import checked_images, checked_labels
from keras_contrastive.data.bad_examples import listed
from keras_contrastive.data.cache import PARALLEL
from keras_contrastive.data.examples import views_from_source
from keras_contrastive.data.from_directory import list_images, source_of_files
from keras_contrastive.data.from_tfds import source_of_tfds
from keras_contrastive.data.options import Options
from keras_contrastive.image_io import decode_image, resize_and_center_crop


def images_from_directory(
    path: str | os.PathLike,
    *,
    image_size: int | tuple[int, int] | None = None,
    channels: int = 3,
    batch_size: int = 256,
    labels: bool = True,
    on_error: str = "raise",
) -> tf.data.Dataset:
    """Batches of the images below a folder, for evaluation: all of them, in order.

    The files, labels and class names are those of `list_images`; images are decoded and
    resized as `views_from_directory` and the serving signature `serve_bytes` do it.
    Row `i` of a pass belongs to `file_paths[i]`.

    Args:
        path: A folder.
        image_size: Side, or `(height, width)`, such as the encoder's input: the largest
            centred part of that aspect ratio, resized with antialiasing. It has to be
            given, since files may differ in size.
        channels: 3, or 1 for luminance.
        batch_size: Images per batch; the last one may be smaller.
        labels: `False`: no labels, whatever the folders are.
        on_error: `"raise"`: a file that cannot be read is an error that names it.
            `"skip"`: such files are found at once, by decoding all files one time
            more, left out of images, labels and `file_paths`, and named in a warning.

    Returns:
        Finite dataset of `(images, labels)`, or of `images` without class folders:
        uint8 `(batch, *image_size, channels)` in [0, 255], int64 `(batch,)` with -1 for
        images directly in `path`. Attributes: `class_names`, a list, or None without
        labels, and `file_paths`, a list.

    Raises:
        ValueError: if `path` is no folder or has no (readable) images below it, or a
            keyword is impossible.

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
    options = _options(image_size, channels, batch_size)
    files, file_labels, class_names = list_images(path)
    source = source_of_files(path, files, file_labels, channels)
    _check_one_size(source, options)
    if on_error == "skip":
        kept = _readable(source, channels)
        files, file_labels = [files[i] for i in kept], file_labels[kept]
    has_labels = labels and bool(class_names)
    source = source_of_files(path, files, file_labels if has_labels else None, channels)
    source.remedy = ', or pass on_error="skip" to leave such files out'
    dataset = _images(source, options)
    dataset.class_names = class_names if has_labels else None
    dataset.file_paths = files
    return dataset


def images_from_tfds(
    name: str,
    split: str,
    *,
    image_size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    batch_size: int = 256,
    image_key: str = "image",
    label_key: str | None = "label",
    data_dir: str | os.PathLike | None = None,
) -> tf.data.Dataset:
    """Batches of the images of a TensorFlow Datasets split, for evaluation, in order.

    Args:
        name: As in `views_from_tfds`.
        split: For example "test", "train[:10%]".
        image_size: As in `images_from_directory`; not needed where all images of the
            data set have one size.
        channels: 1 or 3; by default as the data set says.
        batch_size: Images per batch; the last one may be smaller.
        image_key: As in `views_from_tfds`.
        label_key: As in `views_from_tfds`.
        data_dir: As in `views_from_tfds`.

    Returns:
        Dataset as in `images_from_directory`, without `file_paths`.

    Raises:
        ImportError, ValueError, RuntimeError: as in `views_from_tfds`.

    Example:
        >>> images = kc.data.images_from_tfds("cifar10", "test")
        >>> encoder = kc.encoders.resnet(depth=10, width=4)
        >>> features, labels = kc.evaluation.extract_features(encoder, images)
    """
    options = _options(image_size, channels, batch_size)
    source, options.channels, class_names = source_of_tfds(
        name, split, channels, image_key, label_key, data_dir
    )
    source.remedy = ""
    dataset = _images(source, options)
    dataset.class_names = class_names
    return dataset


def images_from_arrays(
    x,
    y=None,
    *,
    image_size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    batch_size: int = 256,
) -> tf.data.Dataset:
    """Batches of images in memory, for evaluation, in order, made to fit an encoder.

    Args:
        x: Images in [0, 255], as in `views_from_arrays`.
        y: Labels, as in `views_from_arrays`; `None`: no labels.
        image_size: As in `images_from_directory`; `None`: as they are.
        channels: 3 repeats gray images, 1 takes the luminance of colour images;
            `None`: as they are.
        batch_size: Images per batch; the last one may be smaller.

    Returns:
        Finite dataset of `(images, labels)`, or of `images` without `y`: uint8 or
        float32 `(batch, height, width, channels)` in [0, 255], int64 `(batch,)`. Its
        attribute `class_names` is None.

    Raises:
        ValueError: as in `views_from_arrays`; images of other than 1 or 3 channels
            that are to have another number of them.

    Example:
        >>> _, (x, y) = kc.data.load_sample()
        >>> images = kc.data.images_from_arrays(x, y, image_size=32, channels=3)
        >>> next(iter(images))[0].shape
        TensorShape([256, 32, 32, 3])
    """
    options = _options(image_size, channels, batch_size)
    x = checked_images(x)
    if channels not in (None, x.shape[-1]) and x.shape[-1] not in (1, 3):
        raise ValueError(
            "`channels` can be changed from 1 to 3 and back only. Received: "
            f"channels={channels}, x.shape={x.shape}. Choose channels of `x` first, "
            "for example x[..., :3]."
        )
    parts = (x,) if y is None else (x, checked_labels(y, len(x)))

    @tf.autograph.experimental.do_not_convert
    def fit(images, *labels):
        if channels == 3 and images.shape[-1] == 1:
            images = tf.image.grayscale_to_rgb(images)
        elif channels == 1 and images.shape[-1] == 3:
            images = tf.image.rgb_to_grayscale(images)
        if options.image_size is not None:
            images = resize_and_center_crop(images, options.image_size)
        return (images, *labels) if labels else images

    # On the CPU even where a GPU is the default: tf.data reads it from there.
    with tf.device("CPU:0"):
        dataset = tf.data.Dataset.from_tensor_slices(parts)
    dataset = dataset.batch(options.batch_size).map(fit, **PARALLEL)
    dataset = dataset.prefetch(tf.data.AUTOTUNE)
    dataset.class_names = None
    return dataset


def _options(image_size, channels, batch_size):
    return Options(
        augmentation=None,
        batch_size=batch_size,
        seed=0,
        shuffle=False,
        drop_remainder=False,
        image_size=image_size,
        channels=3 if channels is None else channels,
        cache_encoded=False,
        cache_decoded=False,
        on_error="raise",
        input_context=None,
    )


def _check_one_size(source, options):
    if options.image_size is None and None in source.image_shape:
        raise ValueError(
            "`image_size` must be given: a batch holds images of one size, and those "
            f"of {source.name} can differ. Received: image_size=None. Pass the side, "
            "or (height, width), of the encoder's input."
        )


def _images(source, options):
    _check_one_size(source, options)
    dataset = views_from_source(source, options)

    @tf.autograph.experimental.do_not_convert
    def alone(images, *labels):
        return (*images, *labels) if labels else images[0]

    return dataset.map(alone)


def _readable(source, channels):
    """Indices of the files that can be decoded; one warning names the others."""

    def size(index, record):
        return index, tf.shape(decode_image(tf.io.read_file(record[0]), channels))

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

"""Batches of views from any `tf.data.Dataset` of images."""

import numpy as np
import tensorflow as tf

from keras_contrastive.data.array_checks import check_limits
from keras_contrastive.data.bad_examples import tfrecord_files
from keras_contrastive.data.examples import views_from_source
from keras_contrastive.data.file_format import deep_decoder
from keras_contrastive.data.options import Options, takes_options
from keras_contrastive.data.source import Source
from keras_contrastive.pixel_values import check_depth, spread_tensor

_SHUFFLE_BUFFER = 10_000
# Images at the start whose value range is checked, and where they are looked for.
_LOOKED_AT, _START = 8, 256


@takes_options
def views_from_dataset(
    dataset: tf.data.Dataset,
    *,
    options: Options,
    image_key: str = "image",
    label_key: str | None = "label",
    num_examples: int | None = None,
    shuffle_buffer: int | None = None,
) -> tf.data.Dataset:
    """Return batches of views from a dataset of single images.

    Elements are `image`, `(image,)`, `(image, label)` or dictionaries; an image is
    the bytes of an image file (a string) or `(height, width, channels)` in [0, 255],
    with any number of channels; uint16 is divided by 257, see `value_range`. Bytes are
    better: the shuffle buffer then holds bytes, not decoded images. PNGs of 16 bits are
    read as 8 unless a `value_range` is given; a TIFF cannot be read.

    For repeatable views `dataset` must itself give the same examples in the same
    order every time; do not shuffle it. `image_size` is not needed where the shape of
    the images is static.

    Unreadable (`on_error`) are images that cannot be decoded, those of another dtype
    than uint8 with NaN or infinite pixels, or some outside of [0, 255], and elements
    in whose place `dataset` itself raises. What does not come after a damaged record,
    or after a generator has raised, is replaced as well, up to half of all.

    Args:
        dataset: Not batched, not repeated.
        options: Keywords of `Options`.
        image_key: Where the image is, if elements are dictionaries.
        label_key: Where the label is; `None` or an absent "label": no labels.
        num_examples: Number of elements, where `dataset.cardinality()` is unknown;
            a smaller one takes the first ones only.
        shuffle_buffer: How many elements wait in the shuffle buffer; by default up to
            10,000, and all of them with a cache.

    Returns:
        Dataset as in `views_from_arrays`.

    Raises:
        ValueError: If the elements are batched or of another form, if the first ones
            that are not black are in [0, 1] or outside of [0, 255], if the number of
            elements is unknown, infinite or zero, and as in `views_from_arrays`.

    Example:
        >>> files = tf.data.Dataset.list_files("photos/*/*.jpg", shuffle=False)
        >>> policy = kc.augmentations.simclr(224)
        >>> dataset = kc.data.views_from_dataset(
        ...     files.map(tf.io.read_file), augmentation=policy, batch_size=2)
    """
    if not isinstance(dataset, tf.data.Dataset):
        raise ValueError(
            "`dataset` must be a tf.data.Dataset of single images. Received: "
            f"{type(dataset).__name__}. For arrays use views_from_arrays, for a folder "
            "views_from_directory."
        )
    size = _size(dataset, num_examples)
    records = _records(dataset, image_key, label_key).take(size)
    deep = records.element_spec[0].dtype == tf.uint16 and options.value_range is None
    records = _in_255(records, options.value_range)
    # What ends too early is an error like any other.
    records = records.apply(tf.data.experimental.assert_cardinality(size))
    image = records.element_spec[0]
    if image.dtype.is_floating and options.value_range is None:
        _check_first(records, deep)
    shape = (None, None) if image.dtype == tf.string else tuple(image.shape[:2])
    source = Source(
        name="`dataset`",
        records=records,
        size=size,
        shuffle_buffer=shuffle_buffer or min(size, _SHUFFLE_BUFFER),
        image_shape=shape,
        decode=deep_decoder(options.channels, options.value_range),
        explain=_not_in_range if image.dtype.is_floating else None,
        files=lambda: tfrecord_files(dataset),
    )
    return views_from_source(source, options)


def _size(dataset, num_examples):
    cardinality = int(dataset.cardinality())
    if num_examples is not None:
        if num_examples < 1:
            raise ValueError(
                f"`num_examples` must be >= 1. Received: num_examples={num_examples}."
            )
        return num_examples if cardinality < 0 else min(num_examples, cardinality)
    if cardinality == tf.data.INFINITE_CARDINALITY:
        raise ValueError(
            "`dataset` must be finite: a pass over it is one epoch. Remove its "
            "repeat(), or pass num_examples= for the length of an epoch."
        )
    if cardinality == tf.data.UNKNOWN_CARDINALITY:
        raise ValueError(
            "`dataset` does not know how many examples it has, so an epoch would have "
            "no known end. Pass num_examples=, or use "
            "dataset.apply(tf.data.experimental.assert_cardinality(n))."
        )
    if cardinality == 0:
        raise ValueError("`dataset` is empty. Give at least one image.")
    return cardinality


def _records(dataset, image_key, label_key):
    """Return `dataset` as `(image,)` or `(image, label)`, checked."""
    spec = dataset.element_spec
    if isinstance(spec, dict):
        dataset = _from_dictionaries(dataset, image_key, label_key)
    elif not isinstance(spec, tuple):
        dataset = dataset.map(lambda image: (image,))
    spec = dataset.element_spec
    if len(spec) not in (1, 2) or not all(isinstance(s, tf.TensorSpec) for s in spec):
        raise ValueError(
            "The elements of `dataset` must be image, (image,), (image, label) or a "
            f"dictionary. Received: element_spec={spec}. Map it to one of these."
        )
    _check_image(spec[0])
    if len(spec) == 1:
        return dataset
    label = spec[1]
    if not label.dtype.is_integer or tuple(label.shape) not in ((), (1,)):
        raise ValueError(
            "The label of an element of `dataset` must be an integer scalar. "
            f"Received: {label}. Map it to one, with -1 where there is none; if these "
            "are already two views, pass single images instead."
        )
    return dataset.map(
        lambda image, label: (image, tf.cast(tf.reshape(label, ()), tf.int64))
    )


def _in_255(records, value_range):
    """Return the records with images of bytes, uint8 or float32."""
    dtype = records.element_spec[0].dtype
    if dtype in (tf.string, tf.uint8):
        return records
    spread = dtype == tf.uint16 or value_range is not None

    @tf.autograph.experimental.do_not_convert
    def convert(image, *label):
        if spread:
            return spread_tensor(image, value_range), *label
        return tf.cast(image, tf.float32), *label

    return records.map(convert)


def _from_dictionaries(dataset, image_key, label_key):
    keys = list(dataset.element_spec)
    if image_key not in keys:
        raise ValueError(
            f"`image_key` must be one of {keys}. Received: image_key={image_key!r}."
        )
    if label_key in keys:
        return dataset.map(lambda element: (element[image_key], element[label_key]))
    if label_key not in (None, "label"):
        raise ValueError(
            f"`label_key` must be one of {keys}, or None for no labels. "
            f"Received: label_key={label_key!r}."
        )
    return dataset.map(lambda element: (element[image_key],))


def _check_image(image):
    if image.dtype == tf.string and image.shape.rank == 0:
        return
    number = image.dtype.is_integer or image.dtype.is_floating
    if number and image.shape.rank == 3:
        return
    remedy = "Expected (height, width, channels), or a scalar string of encoded bytes."
    if image.shape.rank == 4 or (image.dtype == tf.string and image.shape.rank == 1):
        remedy = "These look like batches: pass dataset.unbatch()."
    elif number and image.shape.rank == 2:
        remedy = "For grayscale map it to image[..., None]."
    raise ValueError(
        "The elements of `dataset` must be single images in [0, 255]. "
        f"Received: {image}. {remedy}"
    )


def _check_first(records, deep):
    """Look at a few images that are not black: a mistaken value range shows there."""
    # Numbered, so that what raises for ever comes to an end.
    first = tf.data.Dataset.zip(tf.data.Dataset.range(_START), records)
    images = first.map(lambda index, record: record[0]).ignore_errors()
    images = images.filter(lambda image: tf.reduce_any(image != 0)).take(_LOOKED_AT)
    images = list(images.as_numpy_iterator())
    finite = [image for image in images if np.isfinite(image).all() and image.size]
    if finite and deep:
        high = max(image.max() for image in finite)
        check_depth("the images of `dataset`", round(float(high) * 257))
    elif finite:
        low = min(image.min() for image in finite)
        high = max(image.max() for image in finite)
        remedy = "map the images to image * 255"
        check_limits("The images of `dataset`", low, high, True, remedy)


def _not_in_range(index):
    return f"example {index}: NaN or infinite pixels, or some outside of [0, 255]"

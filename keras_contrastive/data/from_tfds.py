"""Data sets of TensorFlow Datasets: views to train on, or images for evaluation."""

import contextlib
import difflib
import logging
import os

import tensorflow as tf

from keras_contrastive.data.examples import images_from_source, views_from_source
from keras_contrastive.data.file_format import deep_decoder
from keras_contrastive.data.options import Options, plain, takes_options
from keras_contrastive.data.source import Source
from keras_contrastive.pixel_values import check_value_range

# Encoded examples that wait in the shuffle buffer take at most this much memory.
_SHUFFLE_BYTES = 2**30


@takes_options
def views_from_tfds(
    name: str,
    split: str = "train",
    *,
    options: Options,
    image_key: str = "image",
    label_key: str | None = "label",
    data_dir: str | os.PathLike | None = None,
    shuffle_buffer: int | None = None,
) -> tf.data.Dataset:
    """Return batches of views from a data set of TensorFlow Datasets.

    A data set that lies prepared in `data_dir` is read without a network; any other
    one is downloaded and prepared first. The shuffle buffer holds encoded images.
    `image_size` is not needed where all images of the data set have one size.

    Unreadable (`on_error`) are damaged records, too: TensorFlow reads no further in a
    file, so that what follows them there is lost as well.

    Args:
        name: For example "cifar10", "imagenet_resized/32x32", "cifar10:3.0.2".
        split: For example "train", "train[:10%]", "train+test".
        options: Keywords of `Options`.
        image_key: Name of the feature that is the image.
        label_key: Name of the feature that is the label; `None` or an absent
            "label": no labels.
        data_dir: Where prepared data sets lie; by default the environment variable
            `TFDS_DATA_DIR`, else `~/tensorflow_datasets`.
        shuffle_buffer: How many examples wait in the shuffle buffer; by default as
            many as fit into 1 GiB, which is all of most small data sets.

    Returns:
        Dataset as in `views_from_arrays`.

    Raises:
        ImportError: If tensorflow-datasets is not installed.
        ValueError: If there is no such data set (near matches are named), split or
            feature, and as in `views_from_arrays`.
        RuntimeError: If the data set cannot be downloaded and prepared.

    Example:
        >>> policy = kc.augmentations.simclr(32)
        >>> dataset = kc.data.views_from_tfds(
        ...     "cifar10", "train", augmentation=policy, batch_size=2)
    """
    source, options.channels, _ = source_of_tfds(
        *(name, split, options.channels, image_key, label_key, data_dir),
        value_range=options.value_range,
    )
    source.shuffle_buffer = shuffle_buffer or source.shuffle_buffer
    return views_from_source(source, options)


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
    value_range: tuple[float, float] | None = None,
) -> tf.data.Dataset:
    """Return the images of a TensorFlow Datasets split in batches, for evaluation.

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
        value_range: As in `views_from_tfds`.

    Returns:
        Dataset as in `images_from_directory`, without `file_paths`.

    Raises:
        ImportError, ValueError, RuntimeError: as in `views_from_tfds`.

    Example:
        >>> images = kc.data.images_from_tfds("cifar10", "test")
        >>> encoder = kc.encoders.resnet(depth=10, width=4)
        >>> features, labels = kc.evaluation.extract_features(encoder, images)
    """
    options = plain(image_size, channels, batch_size)
    source, options.channels, class_names = source_of_tfds(
        *(name, split, channels, image_key, label_key, data_dir),
        value_range=check_value_range(value_range),
    )
    source.remedy = ""
    dataset = images_from_source(source, options)
    dataset.class_names = class_names
    return dataset


def source_of_tfds(
    name, split, channels, image_key, label_key, data_dir, value_range=None
):
    """Return source, channels and class names (None without labels) of a split."""
    tfds = _tfds()
    builder = _builder(tfds, name, data_dir)
    split_info = _split(builder, name, split)
    image, label = _features(builder, name, image_key, label_key)
    if channels is None:
        channels = 1 if image.shape[-1] == 1 else 3

    wanted = {image_key: True} | ({} if label is None else {label_key: True})
    with _quiet():
        decoders = tfds.decode.PartialDecoding(
            wanted, decoders={image_key: tfds.decode.SkipDecoding()}
        )
        # Our own shuffle: that of TFDS cannot be made to depend on the epoch.
        examples = builder.as_dataset(
            split=split, decoders=decoders, shuffle_files=False
        )

    def record(example):
        encoded = (example[image_key],)
        if label is None:
            return encoded
        return (*encoded, tf.cast(example[label_key], tf.int64))

    source = Source(
        name=f"'{name}' ({split})",
        records=examples.map(record),
        size=split_info.num_examples,
        shuffle_buffer=_buffer_size(split_info),
        image_shape=tuple(image.shape[:2]),
        decode=deep_decoder(channels, value_range, image.np_dtype),
        files=lambda: _tfrecords(split_info),
    )
    return source, channels, getattr(label, "names", None)


def _tfds():
    try:
        import tensorflow_datasets
    except ImportError as error:
        raise ImportError(
            "views_from_tfds needs TensorFlow Datasets. Install it with "
            "`pip install tensorflow-datasets`, or use views_from_directory."
        ) from error
    return tensorflow_datasets


@contextlib.contextmanager
def _quiet():
    """TFDS says what it looks for and where; an error says it better."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _builder(tfds, name, data_dir):
    data_dir = os.fspath(data_dir) if data_dir is not None else None
    folder = data_dir or str(tfds.core.constants.DATA_DIR)
    try:
        with _quiet():
            builder = tfds.builder(name, data_dir=data_dir)
            prepared = builder.is_prepared()
    except tfds.core.DatasetNotFoundError as error:
        raise ValueError(_not_found(tfds, name, folder)) from error
    except (AssertionError, ValueError, KeyError) as error:  # config or version
        text = str(error).strip() or type(error).__name__
        raise ValueError(
            f"TensorFlow Datasets does not know this form of `name`. Received: "
            f"name={name!r}. {text.splitlines()[0]}"
        ) from error
    if not prepared:
        _prepare(tfds, builder, name, folder)
    return builder


def _not_found(tfds, name, folder):
    known = set(tfds.list_builders()) | set(_prepared_names(folder))
    base = name.split("/")[0].split(":")[0]
    near = difflib.get_close_matches(base, sorted(known), n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
    return (
        "`name` must be a data set of TensorFlow Datasets, or one prepared in "
        f"'{folder}'. Received: name={name!r}. {hint}Set data_dir= or TFDS_DATA_DIR "
        "if it is prepared elsewhere; for your own images use views_from_directory."
    )


def _prepared_names(folder):
    if not os.path.isdir(folder):
        return []
    return [entry.name for entry in os.scandir(folder) if entry.is_dir()]


def _prepare(tfds, builder, name, folder):
    there = ", ".join(sorted(_prepared_names(folder))) or "nothing"
    remedy = (
        f"Prepared in '{folder}' is: {there}. Use one of those names, or point "
        "data_dir= or TFDS_DATA_DIR at a folder where it is prepared, or use "
        "load_sample() or views_from_directory, which need no network."
    )
    # TFDS tries ten times per file, minutes in all, before it admits to no network.
    error = _network_error(builder)
    if error is not None:
        raise RuntimeError(
            f"'{name}' is not prepared here, and its server cannot be reached "
            f"({error}). {remedy}"
        )
    try:
        builder.download_and_prepare()
    except Exception as failure:
        # Anything at all: every data set has its own downloads and formats.
        raise RuntimeError(
            f"'{name}' is not prepared here and could not be downloaded and prepared: "
            f"{type(failure).__name__}: {str(failure).splitlines()[0:1]}. {remedy}"
        ) from failure


def _network_error(builder):
    """Why the first server of a data set is out of reach; `None` if it is not."""
    import requests  # comes with TFDS, which downloads with it

    urls = [url for url in builder.url_infos or {} if url.startswith("http")]
    if not urls:
        return None
    try:
        # No answer is a bad sign; any answer, an error too, means a network.
        requests.head(urls[0], timeout=10)
    except requests.exceptions.RequestException as error:
        return type(error).__name__
    return None


def _split(builder, name, split):
    try:
        return builder.info.splits[split]
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"`split` must be one of {sorted(builder.info.splits)} of '{name}', a part "
            "of one (train[:10%]) or a sum (train+test). "
            f"Received: split={split!r}."
        ) from error


def _tfrecords(split):
    """The TFRecord files of a split, each with its number of records."""
    return {
        part.filename: part.examples_in_shard
        for part in split.file_instructions
        if ".tfrecord" in part.filename
    }


def _features(builder, name, image_key, label_key):
    """The image feature and that of the label, None without one."""
    features = dict(builder.info.features.items())
    names = sorted(features)
    image = features.get(image_key)
    if image is None or len(image.shape) != 3 or type(image).__name__ != "Image":
        images = [n for n in names if type(features[n]).__name__ == "Image"]
        raise ValueError(
            f"`image_key` must name an image feature of '{name}': {images} of {names}. "
            f"Received: image_key={image_key!r}."
        )
    if label_key is None or (label_key == "label" and label_key not in names):
        return image, None
    label = features.get(label_key)
    if (
        label is None
        or tuple(label.shape) != ()
        or not tf.dtypes.as_dtype(label.np_dtype).is_integer
    ):
        raise ValueError(
            f"`label_key` must name an integer feature of '{name}', one of {names}, or "
            f"be None for no labels. Received: label_key={label_key!r}."
        )
    return image, label


def _buffer_size(split):
    size, num_bytes = split.num_examples, max(1, int(split.num_bytes or 1))
    return max(1, min(size, size * _SHUFFLE_BYTES // num_bytes))

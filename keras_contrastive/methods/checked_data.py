"""The data of one `fit` or `evaluate`, checked before a weight moves.

Structure is checked by `data_contract`. Values (NaN, the wrong range, class ids) are
checked by one function: piece by piece on arrays, before training, and in a map that is
appended to a dataset. The map runs on the host, batch by batch, so that XLA cannot drop
it and no batch is consumed to look.
"""

import re

import keras
import tensorflow as tf

from keras_contrastive.methods import data_contract
from keras_contrastive.methods.batch import split_targets

_PIECE = 1024  # images of an array that are looked at together
_OPEN, _CLOSE = "<keras_contrastive>", "</keras_contrastive>"

_NAN = (
    "expected finite images in [0, 255]; received NaN or infinite pixels. Look for a "
    "division by zero in your preprocessing, and drop such images."
)
_RANGE = (
    "expected images in [0, 255]; received a batch of floats whose maximum is <= 1. "
    "Multiply by 255: scaling is a layer inside the encoder."
)
_UNLABELLED = (
    "expected a class id >= 0 for every example; received -1 (unlabelled). Filter "
    "such examples out, or use a method that needs no labels."
)
_CLASSES = (
    "expected class ids below num_classes={}; received a larger one. Build the model "
    "with the number of classes that the labels have."
)
_NEGATIVE_ID = (
    "expected ids from 0 on, one for each example; received a negative one. Number the "
    "examples of the whole data set from 0."
)
_LARGE_ID = (
    "expected ids below num_examples={}; received a larger one. Build the model with "
    "the number of examples of the whole data set."
)
_REPEATED_ID = (
    "expected a batch of different examples; received the same id twice. Batch within "
    "an epoch: `batch(...)` before `repeat()`."
)
_ONE = (
    "a batch of 1 example came from the dataset, and there is nothing to compare it "
    "with. Use batch(size, drop_remainder=True)."
)


def batch_size_of(x, batch_size) -> int | None:
    """Return the global batch size, or None where only the data itself knows it."""
    if isinstance(x, tf.data.Dataset):
        views = keras.utils.unpack_x_y_sample_weight(x.element_spec)[0]
        return tf.nest.flatten(views)[0].shape[0]
    if isinstance(x, (tuple, list)) or hasattr(x, "shape"):
        return batch_size or 32  # Keras's default for arrays
    return None


def checked(model, x, y, batch_size, training: bool):
    """Check what can be seen of `x` and `y`, and return `x` with its host checks.

    Args:
        model: The `ContrastiveModel` that is about to run.
        x: A `tf.data.Dataset`, or arrays or anything else that Keras takes.
        y: Labels beside arrays.
        batch_size: As in `fit`.
        training: Whether a batch of one example is refused.

    Returns:
        A dataset that raises on bad values when they come, or `x`.
    """
    sizes = {batch_size_of(x, batch_size)}
    is_dataset = isinstance(x, tf.data.Dataset)
    if is_dataset:
        views, labels, weights = keras.utils.unpack_x_y_sample_weight(x.element_spec)
        _check_structure(model, views, labels, weights)
    elif isinstance(x, (tuple, list)) and all(hasattr(view, "shape") for view in x):
        _check_structure(model, *_piece(x, y, slice(0, 2)))
        _check_arrays(model, x, y)
        count, size = len(x[0]), min(len(x[0]), *sizes)
        sizes = {size, count % size or size}  # the last batch may be shorter
    if training:
        _check_batch_sizes(model, sizes)
    if not is_dataset:
        return x

    def check(*element):
        views, labels, _ = keras.utils.unpack_x_y_sample_weight(element)
        views = tf.nest.flatten(views)
        required = list(_required(model, views, labels))
        if training:
            required.append((tf.shape(views[0])[0] != 1, _ONE))
        asserted = [
            tf.debugging.Assert(condition, [f"{_OPEN}{sentence}{_CLOSE}"])
            for condition, sentence in required
        ]
        with tf.control_dependencies(asserted):
            return tf.nest.map_structure(tf.identity, element)

    # Keras distributes a dataset by its options; a map keeps them.
    return x.map(check)


def readable(error: tf.errors.OpError) -> Exception:
    """Return a ValueError with our sentence if `error` is one of the host checks."""
    sentence = re.search(f"{_OPEN}(.*?){_CLOSE}", str(error), re.DOTALL)
    return ValueError(sentence.group(1)) if sentence else error


def _check_structure(model, views, targets, weights=None) -> None:
    data_contract.check_no_weights(model, weights)
    if model.augmentation is None:
        data_contract.check_batch(model, views, targets)
    else:  # which makes the views from one tensor of images
        labels, ids = split_targets(targets)
        data_contract.check_labels(model, labels)
        data_contract.check_ids(model, ids)


def _check_batch_sizes(model, sizes) -> None:
    """Refuse a batch of one, and one that the replicas cannot share equally."""
    if 1 in sizes:
        raise ValueError(
            f"{type(model).__name__} compares the examples of a batch. Expected "
            "batches of at least 2 (256 is usual). Received: a batch of 1. Choose a "
            "batch size that leaves no single example over."
        )
    replicas = model.distribute_strategy.num_replicas_in_sync
    uneven = [size for size in sizes if size is None or size % replicas]
    if replicas > 1 and uneven:
        raise ValueError(
            f"Expected a global batch that {replicas} replicas can share equally. "
            f"Received: batch size {uneven[0] or 'unknown'}. Use "
            "batch(size, drop_remainder=True) with a multiple of the replicas."
        )


def _check_arrays(model, views, labels) -> None:
    """Raise a ValueError for bad values in arrays."""
    for start in range(0, len(views[0]), _PIECE):
        piece = _piece(views, labels, slice(start, start + _PIECE))
        for condition, sentence in _required(model, *piece):
            if not condition:
                raise ValueError(sentence)


def _piece(views, labels, rows):
    """Return these rows of arrays as tensors."""
    views = [tf.convert_to_tensor(view[rows]) for view in views]
    return views, tf.nest.map_structure(
        lambda y: None if y is None else tf.convert_to_tensor(y[rows]), labels
    )


def _required(model, views, targets):
    """Yield what must hold for the values of a batch, each with its sentence."""
    labels, ids = split_targets(targets)
    for view in views:
        if view.dtype.is_floating:
            yield tf.math.is_finite(tf.reduce_sum(tf.cast(view, "float32"))), _NAN
            yield tf.reduce_max(view) > 1, _RANGE
    if model.needs.labels:
        yield tf.reduce_all(labels >= 0), _UNLABELLED
    if model.num_classes:
        known = tf.reduce_all(tf.cast(labels, "int64") < model.num_classes)
        yield known, _CLASSES.format(model.num_classes)
    if model.needs.ids:
        yield tf.reduce_all(ids >= 0), _NEGATIVE_ID
        known = tf.reduce_all(tf.cast(ids, "int64") < model.num_examples)
        yield known, _LARGE_ID.format(model.num_examples)
        yield tf.size(tf.unique(ids).y) == tf.size(ids), _REPEATED_ID

"""The data of one `fit` or `evaluate`, checked before a weight moves.

Structure is checked by `data_contract`. Values (NaN, the wrong range, class ids) are
checked by one function: piece by piece on arrays, before training, and in a map that is
appended to a dataset. The map runs on the host, batch by batch, so that XLA cannot drop
it and no batch is consumed to look.
"""

import itertools
import os
import re
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_contrastive.data.array_checks import HIGHEST, LOWEST
from keras_contrastive.data.bad_examples import damaged_files, tfrecord_files
from keras_contrastive.methods import data_contract
from keras_contrastive.methods.batch import split_targets
from keras_contrastive.micro_batches import check_divides

_PIECE = 1024  # images of an array that are looked at together
_PACKAGE = os.path.dirname(os.path.dirname(__file__))
# An error of the data names this op as where it went wrong; one of a step on a GPU may
# name it, too, as "[[IteratorGetNext/_2]]".
_FROM_DATA = re.compile(
    r"(node |\[\[)(MultiDevice)?IteratorGetNext\w*(\}\}|\]\])"
    r"|__wrapped__IteratorGetNext"
)
_INSIDE = re.compile(
    r"Error in user-defined function passed to .*? with iterator: \S+: "
    r"|\{\{.*?\}\} |\(0\) [A-Z_]+: +"
)
_OPEN, _CLOSE = "<keras_contrastive>", "</keras_contrastive>"

_NAN = (
    "expected finite images in [0, 255]; received NaN or infinite pixels. Look for a "
    "division by zero in your preprocessing, and drop such images."
)
_RANGE = (
    "expected images in [0, 255]; received negative pixels or pixels above 255. Undo a "
    "standardisation: scaling is a layer inside the encoder. Clip what resizing "
    "overshoots."
)
_SCALED = (
    "expected images in [0, 255]; received floats whose maximum is <= 1. Multiply by "
    "255: scaling is a layer inside the encoder."
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
    "an epoch: `batch(...)` before `repeat()`. Give every example its own id. Where "
    "fewer images can be read than make a batch, repair them or take a smaller batch."
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
    return batch_size or 32 if is_arrays(x) else None  # Keras's default for arrays


def is_arrays(x) -> bool:
    """Whether `x` is arrays, and no source that yields batches."""
    return isinstance(x, (tuple, list)) or hasattr(x, "shape")


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
    if x is None or isinstance(x, (str, os.PathLike, dict)):
        raise TypeError(
            "Expected a dataset of ((view_1, view_2), label) or a tuple of arrays. "
            f"Received: x={x if x is None else type(x).__name__}. Make two views of "
            "each image, for example with keras_contrastive.data.views_from_directory."
        )
    size = batch_size_of(x, batch_size)
    is_dataset = isinstance(x, tf.data.Dataset)
    sizes = {size}
    if is_dataset and x.cardinality() == 0:
        raise ValueError(
            "Expected at least one batch. Received: an empty dataset. With "
            "`drop_remainder=True` the batch size must not exceed the number of images."
        )
    if is_dataset:
        views, labels, weights = keras.utils.unpack_x_y_sample_weight(x.element_spec)
        _check_structure(model, views, labels, weights)
    elif isinstance(x, (tuple, list)) and all(hasattr(view, "shape") for view in x):
        _check_structure(model, *_piece(x, y, slice(0, 2)))
        _check_arrays(model, x, y)
        count = len(x[0])
        size = min(count, size or count)
        sizes = {size, count % size or size}  # the last batch may be shorter
    if training and (is_dataset or size is not None):
        _check_batch_sizes(model, sizes)
    if not is_dataset:
        return x
    brightness = _Brightness()

    def check(*element):
        views, labels, _ = keras.utils.unpack_x_y_sample_weight(element)
        views = tf.nest.flatten(views)
        required = list(_required(model, views, labels, brightness))
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


def check_first_batch(model, batch) -> int:
    """Check the first batch of a run whose batch size only its data knows.

    Args:
        model: The `ContrastiveModel` that is about to train on it.
        batch: What the iterator of `fit` yields; under `tf.distribute` its parts.

    Returns:
        The global batch size.
    """
    strategy = model.distribute_strategy
    leaves = [  # Keras has an Optional for None in a generator
        itertools.repeat(None)
        if leaf is None or isinstance(leaf, tf.experimental.Optional)
        else strategy.experimental_local_results(leaf)
        for leaf in tf.nest.flatten(batch)
    ]
    counts = []
    for part in zip(*leaves, strict=False):
        part = tf.nest.pack_sequence_as(batch, part)
        views, labels, weights = keras.utils.unpack_x_y_sample_weight(part)
        _check_structure(model, views, labels, weights)
        views = tf.nest.flatten(views)
        counts.append(int(tf.shape(views[0])[0]))
        _raise_first(_required(model, views, labels, _Brightness()))
    replicas = strategy.num_replicas_in_sync
    total = sum(counts) * replicas // len(counts)  # other workers have as many
    _check_batch_sizes(model, {total} if len(set(counts)) == 1 else {sum(counts)})
    return total


def readable(error: tf.errors.OpError, data=(), place="") -> Exception:
    """Return what `error` says about the data, without TensorFlow's stack around it.

    Args:
        error: What ended a `fit` or `evaluate`.
        data: All that it ran on; TFRecord files behind it are searched for damage.
        place: Where it happened, such as " in epoch 2, after step 3".

    Returns:
        A ValueError with our sentence, if it is one of the host checks; a RuntimeError
        that quotes the data's own error; or `error` itself, if it is another one.
    """
    sentence = re.search(f"{_OPEN}(.*?){_CLOSE}", str(error), re.DOTALL)
    if sentence:
        return ValueError(sentence.group(1))
    if not _FROM_DATA.search(str(error)):
        return error
    damaged = []
    if isinstance(error, tf.errors.DataLossError):
        for dataset in data:
            if isinstance(dataset, tf.data.Dataset):
                damaged += damaged_files(tfrecord_files(dataset))
    files = f" Damaged: {'; '.join(damaged[:3])}." if damaged else ""
    return RuntimeError(f"The data ended with an error{place}: {_cause(error)}.{files}")


def _cause(error) -> str:
    """The sentence of an error inside a dataset, and where Python raised it."""
    text = _INSIDE.sub("", re.split(r"\n\t? *\[\[", str(error))[0])
    said, python, trace = text.partition("\nTraceback (most recent call last):\n")
    said = said.strip().splitlines()[-1].strip(" .") if said.strip() else text.strip()
    frames = re.findall(r'File "(.+?)", line (\d+), in (.+)', trace)
    if not frames or frames[-1][0].startswith(_PACKAGE):
        return said
    return "{} ({}, line {}, in {})".format(said, *frames[-1])


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
    limit = model.needs.max_batch
    too_large = [size for size in sizes if limit and size and size > limit]
    if too_large:
        raise ValueError(
            f"{type(model).__name__} looks its batches up among {limit} earlier "
            f"embeddings. Expected batches of at most {limit}. Received: a batch of "
            f"{too_large[0]}. Build the model with a larger `queue_size`, of many "
            "batches, or take smaller batches."
        )
    replicas = model.distribute_strategy.num_replicas_in_sync
    uneven = [size for size in sizes if size is None or size % replicas]
    if replicas > 1 and uneven:
        raise ValueError(
            f"Expected a global batch that {replicas} replicas can share equally. "
            f"Received: batch size {uneven[0] or 'unknown'}. Use "
            "batch(size, drop_remainder=True) with a multiple of the replicas."
        )
    usual = max((size for size in sizes if size), default=None)  # not the last one
    check_divides(model.micro_batch_size, usual, replicas)


def _check_arrays(model, views, labels) -> None:
    """Raise a ValueError for bad values in arrays."""
    brightness = _Brightness()
    for start in range(0, len(views[0]), _PIECE):
        x, y = _piece(views, labels, slice(start, start + _PIECE))
        _raise_first(_required(model, x, y, brightness))
    if model.needs.ids:  # Keras shuffles arrays: any two may meet in a batch
        ids = split_targets(labels)[1]
        _raise_first([(len(np.unique(ids)) == len(ids), _REPEATED_ID)])


def _raise_first(required) -> None:
    for condition, sentence in required:
        if not condition:
            raise ValueError(sentence)


def _piece(views, labels, rows) -> tuple[Any, Any]:
    """Return these rows of arrays as tensors."""
    views = [tf.convert_to_tensor(view[rows]) for view in views]
    return views, tf.nest.map_structure(
        lambda y: None if y is None else tf.convert_to_tensor(y[rows]), labels
    )


class _Brightness:
    """Whether a float above 1 was ever seen: one dark batch then says nothing.

    A Python value, as in `data.epochs`: it has to outlive the iterator of an epoch.
    """

    def __init__(self):
        self.above_one = False

    def __call__(self, maximum):
        """Take note of a batch's maximum; return whether one above 1 was seen."""

        def note(value):
            self.above_one |= bool(value > 1)
            return np.bool_(self.above_one)

        return tf.numpy_function(note, [maximum], tf.bool)


def _required(model, views, targets, brightness):
    """Yield what must hold for the values of a batch, each with its sentence."""
    labels, ids = split_targets(targets)
    for view in views:
        if view.dtype == tf.uint8 or view.dtype == tf.bool:
            continue
        low, high = (
            tf.cast(reduce(view), "float32")
            for reduce in (tf.reduce_min, tf.reduce_max)
        )
        finite = True
        if view.dtype.is_floating:
            finite = tf.math.is_finite(tf.reduce_sum(tf.cast(view, "float32")))
            yield finite, _NAN
            # Whole values, black above all, are dark images and no scaled ones.
            scaled = tf.logical_and(
                tf.logical_not(brightness(high)),
                tf.reduce_any(view != tf.round(view)),
            )
            yield tf.logical_or(low <= LOWEST, tf.logical_not(scaled)), _SCALED
        inside = tf.logical_and(low > LOWEST, high < HIGHEST)
        yield tf.logical_or(tf.logical_not(finite), inside), _RANGE
    if model.needs.labels and not model.needs.unlabelled:
        yield tf.reduce_all(labels >= 0), _UNLABELLED
    if model.known_classes:
        known = tf.reduce_all(tf.cast(labels, "int64") < model.known_classes)
        yield known, _CLASSES.format(model.known_classes)
    if model.needs.ids:
        yield tf.reduce_all(ids >= 0), _NEGATIVE_ID
        known = tf.reduce_all(tf.cast(ids, "int64") < model.num_examples)
        yield known, _LARGE_ID.format(model.num_examples)
        yield tf.size(tf.unique(ids).y) == tf.size(ids), _REPEATED_ID

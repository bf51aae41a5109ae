"""What a method expects of its data, and what is said when it gets something else.

Shapes are checked where Python sees them: on a dataset's element spec before
training, and on the tensors when the step is traced. Values (NaN, the wrong range, a
batch of one) are checked by a map that `fit` appends to the dataset: it runs on the
host, batch by batch, so that XLA cannot drop it and no batch is consumed to look.
"""

import keras
import numpy as np
import tensorflow as tf

_EXPECTED = (
    "Expected a dataset of ((view_1, view_2), label), or ((view_1, view_2),) when "
    "there are no labels"
)
_MARK = "keras_contrastive: "


def check_views(model, views, labels) -> None:
    """Raise a ValueError unless `views` and `labels` are what `model` can train on.

    Args:
        model: A `ContrastiveModel`.
        views: What the dataset yields as `x`: tensors or tensor specs.
        labels: What it yields as `y`, or None.
    """
    name = type(model).__name__
    if not isinstance(views, (tuple, list)):
        if _rank(views) == _rank(labels) == 4:
            raise ValueError(
                f"{_EXPECTED}. Received: a bare pair (view_1, view_2) of shapes "
                f"{tuple(views.shape)} and {tuple(labels.shape)}, which Keras reads "
                "as (x, y). Yield ((view_1, view_2),) instead."
            )
        raise ValueError(
            f"{_EXPECTED}. Received: one tensor {_shapes([views])} instead of a tuple "
            "of views. Make two views of each image, for example with "
            "keras_contrastive.data.views_from_arrays."
        )
    if len(views) < 2:
        raise ValueError(
            f"{_EXPECTED}. Received: {len(views)} view of shape {_shapes(views)}. "
            "Every method here compares at least two views of an image."
        )
    if model.max_views and len(views) > model.max_views:
        raise ValueError(
            f"{name} takes {model.max_views} views of each image. Received: "
            f"{len(views)} views of shapes {_shapes(views)}. Drop the others, or use "
            "SCE, which takes multi-crop."
        )
    for view in views:
        if _rank(view) != 4:
            raise ValueError(
                "Expected views of shape (batch, height, width, channels). "
                f"Received: shapes {_shapes(views)}"
            )
    wanted = model.encoder.input_shape
    for view in views[:2]:
        if not tf.TensorShape(wanted).is_compatible_with(view.shape):
            raise ValueError(
                f"Expected view_1 and view_2 of the encoder's input shape {wanted}. "
                f"Received: shapes {_shapes(views)}. Crop both views to one size, or "
                "build the encoder with that `input_shape`."
            )
    if not views[0].shape.is_compatible_with(views[1].shape):
        raise ValueError(
            f"Expected view_1 and view_2 of one shape. Received: {_shapes(views)}. "
            "Give both views the same crop size."
        )
    _check_labels(model, labels)


def _check_labels(model, labels) -> None:
    if not (model.needs_labels or model.num_classes):
        return
    who = type(model).__name__ + ("" if model.needs_labels else "'s online probe")
    if labels is None:
        raise ValueError(
            f"{who} learns from labels: expected ((view_1, view_2), label). Received: "
            "no labels. SimCLR, BYOL and SCE without `num_classes` need none."
        )
    if _rank(labels) not in (1, None) or not labels.dtype.is_integer:
        raise ValueError(
            f"{who} expected integer class ids of shape (batch,). Received: shape "
            f"{tuple(labels.shape)}, dtype {labels.dtype.name}. Turn one-hot labels "
            "into ids with argmax, and floats into integers."
        )


def batch_size_of(model, x, batch_size) -> int | None:
    """Return the global batch size, or None where only the data itself knows it."""
    if isinstance(x, tf.data.Dataset):
        views = keras.utils.unpack_x_y_sample_weight(x.element_spec)[0]
        return tf.nest.flatten(views)[0].shape[0]
    return batch_size or 32  # Keras's default for arrays


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
    size = batch_size_of(model, x, batch_size)
    if isinstance(x, tf.data.Dataset):
        views, labels, _ = keras.utils.unpack_x_y_sample_weight(x.element_spec)
        if model.augmentation is None:
            check_views(model, views, labels)
    elif isinstance(x, (tuple, list)) and all(hasattr(v, "shape") for v in x):
        views = [tf.convert_to_tensor(view[:2]) for view in x]
        check_views(model, views, None if y is None else tf.convert_to_tensor(y[:2]))
        _check_arrays(model, x, y)
        size = min(size, len(x[0]))
    if training and size == 1:
        raise ValueError(
            f"{type(model).__name__} compares the examples of a batch. Expected a "
            "batch of at least 2 (256 is usual). Received: a batch of 1."
        )
    replicas = model.distribute_strategy.num_replicas_in_sync
    if training and replicas > 1 and (size is None or size % replicas):
        raise ValueError(
            f"Expected a global batch that {replicas} replicas can share equally. "
            f"Received: batch size {size or 'unknown'}. Use "
            "batch(size, drop_remainder=True) with a multiple of the replicas."
        )
    if not isinstance(x, tf.data.Dataset):
        return x

    def check(*element):
        with tf.control_dependencies(_host_checks(model, element, training)):
            return tf.nest.map_structure(tf.identity, element)

    # Keras distributes a dataset by its options; a map keeps them.
    return x.map(check)


def _host_checks(model, element, training):
    """Return assertions on one batch, to run in tf.data."""
    views, labels, _ = keras.utils.unpack_x_y_sample_weight(element)
    checks = []

    def require(condition, message):
        checks.append(tf.debugging.Assert(condition, [_MARK + message]))

    views = tf.nest.flatten(views)
    if training and views[0].shape[0] is None:
        require(
            tf.shape(views[0])[0] != 1,
            "a batch of 1 example came from the dataset, and there is nothing to "
            "compare it with. Use batch(size, drop_remainder=True).",
        )
    for view in views:
        if view.dtype.is_floating:
            require(tf.math.is_finite(tf.reduce_sum(tf.cast(view, "float32"))), _NAN)
            require(tf.reduce_max(view) > 1, _RANGE)
    if model.needs_labels:
        require(tf.reduce_all(labels >= 0), _UNLABELLED)
    return checks


def _check_arrays(model, views, y) -> None:
    """Raise a ValueError for the same values in arrays."""
    for view in views:
        if len(view) == 0:
            raise ValueError("Expected images. Received: an empty array.")
        if np.issubdtype(np.asarray(view).dtype, np.floating):
            if not np.isfinite(np.sum(view, dtype="float64")):
                raise ValueError(_NAN)
            if np.max(view) <= 1:
                raise ValueError(_RANGE)
    if model.needs_labels and np.min(y) < 0:
        raise ValueError(_UNLABELLED)


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


def readable(error: tf.errors.OpError) -> Exception:
    """Return a ValueError with our sentence if `error` is one of the host checks."""
    if _MARK not in str(error):
        return error
    sentence = str(error).split(_MARK, 1)[1]
    for known in (_NAN, _RANGE, _UNLABELLED):
        if sentence.startswith(known):
            sentence = known
    return ValueError(sentence.split("\n")[0].strip("' ]"))


def _rank(tensor):
    return None if tensor is None else tensor.shape.rank


def _shapes(tensors) -> str:
    return ", ".join(str(tuple(t.shape)) for t in tensors)

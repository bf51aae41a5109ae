"""What a method expects of its data, and what is said when it gets something else.

Structure, shapes and dtypes, where Python sees them: on a dataset's element spec before
training, and on the tensors when the step is traced.
"""

import keras
import tensorflow as tf
from keras import ops

from keras_contrastive import distribute, layers
from keras_contrastive.encoder_checks import taken_shape
from keras_contrastive.methods.batch import Batch, split_targets

_EXPECTED = (
    "Expected a dataset of ((view_1, view_2), label), or ((view_1, view_2),) when "
    "there are no labels"
)


def unpack(model, data, step) -> Batch:
    """Return what a dataset yields as a checked `Batch`, with the model's own views.

    Args:
        model: A compiled `ContrastiveModel`.
        data: One element of a dataset.
        step: The optimizer's iterations, a tensor; -1 if nothing is trained.
    """
    data = tf.nest.map_structure(  # arrays reach an eager `train_on_batch` as they are
        lambda x: None if x is None else ops.convert_to_tensor(x), data
    )
    views, targets, weights = keras.utils.unpack_x_y_sample_weight(data)
    check_no_weights(model, weights)
    if model.augmentation is not None:
        images = views[0] if isinstance(views, (tuple, list)) else views
        if isinstance(model.augmentation, layers.Views):
            # Other views in every step and on every replica, the same in every run.
            seed = ops.cast(ops.stack([step, distribute.replica_id()]), "int32")
            views = model.augmentation(images, seed=seed)
        else:
            views = model.augmentation(images)
    check_batch(model, views, targets)
    updates = model.optimizer.iterations if isinstance(step, int) else step
    epoch = model.clock.epoch(updates)
    return Batch(tuple(views), *split_targets(targets), step, epoch)


def check_batch(model, views, targets) -> None:
    """Raise a ValueError unless a batch is what `model` says that it needs.

    Args:
        model: A `ContrastiveModel`.
        views: What the dataset yields as `x`: tensors or tensor specs.
        targets: What it yields as `y`: labels, None, or a dict of labels and ids.
    """
    labels, ids = split_targets(targets)
    _check_views(model, views, labels)
    check_labels(model, labels)
    check_ids(model, ids)


def _check_views(model, views, labels) -> None:
    name, needs = type(model).__name__, model.needs
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
    if len(views) < needs.min_views:
        raise ValueError(
            f"{_EXPECTED}. Received: {_count(views)} of shape {_shapes(views)}. "
            f"{name} needs at least {needs.min_views} views of each image."
        )
    if needs.max_views and len(views) > needs.max_views:
        raise ValueError(
            f"{name} takes {_count(range(needs.max_views))} of each image. Received: "
            f"{_count(views)} of shapes {_shapes(views)}. Drop the others, or take "
            "a method of multi-crop."
        )
    for view in views:
        if _rank(view) != 4:
            raise ValueError(
                "Expected views of shape (batch, height, width, channels). "
                f"Received: shapes {_shapes(views)}"
            )
        if 0 in view.shape:
            raise ValueError(f"Expected images. Received: an empty array {view.shape}.")
    wanted = model.encoder.input_shape
    for view in views[:2] if needs.fitting_views else ():
        if not tf.TensorShape(wanted).is_compatible_with(view.shape):
            raise ValueError(
                f"Expected view_1 and view_2 of the encoder's input shape {wanted}. "
                f"Received: shapes {_shapes(views)}. Crop both views to one size, or "
                "build the encoder with that `input_shape`."
            )
    same = all(view.shape.is_compatible_with(views[0].shape) for view in views[1:2])
    if needs.fitting_views and not same:
        raise ValueError(
            f"Expected view_1 and view_2 of one shape. Received: {_shapes(views)}. "
            "Give both views the same crop size."
        )
    taken = taken_shape(model.encoder)
    for view in views[2:]:
        if not taken.is_compatible_with(view.shape):
            raise ValueError(
                f"{name}'s encoder takes images of shape {tuple(taken)} alone. "
                f"Received: views of shapes {_shapes(views)}. Build it for any size, "
                "with height and width None in `input_shape`, or take a vision "
                "transformer of keras_contrastive.encoders.vit."
            )


def check_labels(model, labels) -> None:
    """Raise a ValueError unless `labels` are class ids, where `model` needs them."""
    if not (model.needs.labels or model.num_classes):
        return
    who, remedy = type(model).__name__, "take a method that needs none"
    if model.needs.unlabelled:
        remedy = "build it with weight=1.0, which needs none"
    if not model.needs.labels:
        who, remedy = f"{who}'s online probe", "leave `num_classes` out"
    if labels is None:
        raise ValueError(
            f"{who} learns from labels: expected ((view_1, view_2), label). Received: "
            f"no labels. Yield them, or {remedy}."
        )
    if _rank(labels) not in (1, None) or not labels.dtype.is_integer:
        raise ValueError(
            f"{who} expected integer class ids of shape (batch,). Received: shape "
            f"{tuple(labels.shape)}, dtype {labels.dtype.name}. Turn one-hot labels "
            "into ids with argmax, and floats into integers."
        )


def check_ids(model, ids) -> None:
    """Raise a ValueError unless `ids` number the examples, where `model` needs them."""
    if not model.needs.ids:
        return
    name = type(model).__name__
    if ids is None:
        raise ValueError(
            f"{name} remembers every example: expected the views with "
            '{"id": numbers of the examples}. Received: no ids. Pass with_ids=True to '
            "the loaders of keras_contrastive.data, or number the examples of the "
            "whole data set from 0 on, before it is shuffled."
        )
    if _rank(ids) not in (1, None) or not ids.dtype.is_integer:
        raise ValueError(
            f"{name} expected integer ids of shape (batch,). Received: shape "
            f"{tuple(ids.shape)}, dtype {ids.dtype.name}."
        )


def check_no_weights(model, sample_weight) -> None:
    """Raise a ValueError if there are weights per example: no paper defines them."""
    if sample_weight is not None:
        raise ValueError(
            f"{type(model).__name__} compares the examples of a batch with each other "
            "and has no weights for single ones. Received: `sample_weight` (the third "
            "element of a dataset) or `class_weight`. Leave it out; to weight images, "
            "let the dataset yield them more or less often."
        )


def _rank(tensor):
    return None if tensor is None else tensor.shape.rank


def _count(views) -> str:
    return "1 view" if len(views) == 1 else f"{len(views)} views"


def _shapes(tensors) -> str:
    return ", ".join(str(tuple(t.shape)) for t in tensors)

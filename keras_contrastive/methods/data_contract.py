"""What a method expects of its data, and what is said when it gets something else.

Structure, shapes and dtypes, where Python sees them: on a dataset's element spec before
training, and on the tensors when the step is traced.
"""

import tensorflow as tf

_EXPECTED = (
    "Expected a dataset of ((view_1, view_2), label), or ((view_1, view_2),) when "
    "there are no labels"
)


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
            f"{len(views)} views of shapes {_shapes(views)}. Drop the others, or take "
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
    if model.concatenate_views and any(
        not view.shape.is_compatible_with(views[0].shape) for view in views[2:]
    ):
        raise ValueError(
            "`concatenate_views=True` runs all views as one batch. Expected views of "
            f"one shape. Received: {_shapes(views)}. Crop all views to one size, or "
            f"build {name} with `concatenate_views=False`."
        )
    check_labels(model, labels)


def check_labels(model, labels) -> None:
    """Raise a ValueError unless `labels` are class ids, where `model` needs them."""
    if not (model.needs_labels or model.num_classes):
        return
    who, remedy = type(model).__name__, "take a method that needs none"
    if not model.needs_labels:
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


def _shapes(tensors) -> str:
    return ", ".join(str(tuple(t.shape)) for t in tensors)

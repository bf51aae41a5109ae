"""The base of all losses, and the checks they share."""

import math
from numbers import Real

import keras
from keras import ops

from keras_contrastive import distribute
from keras_contrastive.unit_vectors import l2_normalize

# Stands for minus infinity in a masked logit: exp() of it is exactly 0, and unlike
# a true infinity it makes no NaN when it is multiplied by 0. All logits are float32.
MASKED = -1e30

LOWEST_TEMPERATURE = 1e-6


class ContrastiveLoss(keras.losses.Loss):
    """Base class of the losses: float32, one value per example, targets untouched.

    Keras's own `Loss.__call__` casts the targets to the loss's dtype. Here targets
    are tuples, `None`, or integer labels that float32 would round from 2**24 on, so
    they reach `call` as they came. Weighting, reduction and the division by the
    number of replicas under `tf.distribute` remain Keras's.

    The mean over the batch is a mean per replica, divided by the number of replicas:
    as everywhere in Keras, it is the global mean if all replicas hold equally many
    examples.

    To write a new loss, implement `call(targets, predictions)` and return a float32
    tensor of shape `(batch,)`; gather what is compared with
    `keras_contrastive.distribute.all_gather`. A loss that has a value for the whole
    global batch only, such as one of a covariance, returns that scalar, the same on
    all replicas.

    Args:
        reduction: `"sum_over_batch_size"` (default: the mean), `"sum"` or `"none"`,
            as in `keras.losses.Loss`.
        name: Name of the loss, optional.

    Example:
        >>> import numpy as np
        >>> from keras import ops
        >>> from keras_contrastive.losses import ContrastiveLoss
        >>> class Distance(ContrastiveLoss):
        ...     def call(self, targets, predictions):
        ...         return ops.sum(ops.square(targets - predictions), axis=-1)
        >>> float(Distance()(np.zeros((2, 3)), np.ones((2, 3))))
        3.0
    """

    def __init__(self, reduction="sum_over_batch_size", name=None):
        super().__init__(name=name, reduction=reduction, dtype="float32")
        self._reduce = _PerExampleValues("reduce", reduction, dtype="float32")

    def __call__(self, targets, predictions, sample_weight=None):
        """Return the loss, reduced and divided by the number of replicas.

        Args:
            targets: What the subclass documents: a tensor, a tuple of tensors, `None`.
            predictions: Tensor whose first axis is the batch.
            sample_weight: Optional weights of shape `(batch,)`, or a scalar.

        Returns:
            A float32 scalar, or `(batch,)` values with `reduction="none"`.

        Raises:
            ValueError: If there are weights, but no value per example.
        """
        with keras.name_scope(self.name):
            values = self.call(targets, predictions)
        if len(values.shape) == 0:
            if sample_weight is not None:
                raise ValueError(
                    f"{type(self).__name__} is a loss of the whole batch and has no "
                    "value per example to weight. Received: `sample_weight`. Leave it "
                    "out."
                )
            if self.reduction != "none":
                values = values[None]  # Keras divides no scalar by the replicas
        return self._reduce(values, values, sample_weight)


class _PerExampleValues(keras.losses.Loss):
    """Lets Keras weight and reduce values that are already computed."""

    def call(self, y_true, y_pred):
        return y_pred


def unit_vectors(x):
    """L2-normalise embeddings in float32, with a gradient that float16 can hold.

    The gradient of `x / |x|` is of order `1 / |x|`: for a float16 embedding of norm
    1e-6 that is beyond float16's range.
    """
    return l2_normalize(to_float32(x))


def to_float32(x):
    """Cast embeddings to float32, with a gradient that float16 can hold.

    Cast back to float16, a gradient beyond its range would be infinity: it saturates at
    the largest float16 number instead.
    """
    x = ops.convert_to_tensor(x)
    if keras.backend.standardize_dtype(x.dtype) == "float16":
        return _float16_to_float32(x)
    return ops.cast(x, "float32")


@ops.custom_gradient
def _float16_to_float32(x):
    def grad(*args, upstream=None):
        gradient = args[0] if upstream is None else upstream
        return ops.cast(ops.clip(gradient, -65504.0, 65504.0), "float16")

    return ops.cast(x, "float32"), grad


def check_temperature(name: str, value) -> float:
    """Return `value` as a float if float32 can divide cosines by it; raise otherwise.

    A cosine is rounded to 1e-7. Divided by less than 1e-6 this rounding alone decides
    the softmax; divided by 1e-38 it overflows.
    """
    if (
        not isinstance(value, Real)
        or not math.isfinite(value)
        or value < LOWEST_TEMPERATURE
    ):
        raise ValueError(
            f"`{name}` must be a finite number >= {LOWEST_TEMPERATURE}, for example "
            f"0.1. Received: {name}={value!r}"
        )
    return float(value)


def check_block_size(block_size) -> int | None:
    """Return `block_size` if it is None or an integer >= 0; raise ValueError if not."""
    whole = isinstance(block_size, int) and not isinstance(block_size, bool)
    if block_size is not None and not (whole and block_size >= 0):
        raise ValueError(
            "`block_size` must be None (chosen by the size of the batch), 0 (all at "
            f"once) or a number of embeddings. Received: block_size={block_size!r}"
        )
    return block_size


def check_shape(name: str, x, axes: tuple[str, ...], remedy: str):
    """Return `x` as a tensor if it has one dimension per name in `axes`."""
    x = ops.convert_to_tensor(x)
    if len(x.shape) != len(axes):
        raise ValueError(
            f"`{name}` must have shape ({', '.join(axes)}). "
            f"Received: {name}.shape={tuple(x.shape)}. {remedy}"
        )
    return x


def check_equal(what: str, remedy: str, **shapes):
    """Raise if the shapes, given by the names of their tensors, differ statically."""
    (first, shape_1), (second, shape_2) = shapes.items()
    different = (
        i != j for i, j in zip(shape_1, shape_2, strict=True) if None not in (i, j)
    )
    if any(different):
        raise ValueError(
            f"`{first}` and `{second}` must have the same {what}. Received: "
            f"{tuple(shape_1)} and {tuple(shape_2)}. {remedy}"
        )


def check_two_views(targets, predictions, names=("z_1", "z_2"), least: int = 1):
    """Return both views' embeddings as tensors, if they are matrices of one shape.

    Args:
        targets: Embeddings of the first view, `(batch, dim)`.
        predictions: Embeddings of the second view, `(batch, dim)`.
        names: What the two are called in errors.
        least: Smallest batch. A smaller one is refused if it is known to be all.
    """
    remedy = "Pass the projector's output for each of the two views."
    views = [
        check_shape(name, z, ("batch", "dim"), remedy)
        for name, z in zip(names, (targets, predictions), strict=True)
    ]
    shapes = {name: z.shape for name, z in zip(names, views, strict=True)}
    check_equal("shape", remedy, **shapes)
    check_batch(names[0], views[0], least)
    return views


def check_batch(name: str, x, least: int):
    """Raise if the batch of `x` is smaller, and known to be the whole one."""
    batch = x.shape[0]
    if batch is not None and batch < least and distribute.num_replicas() == 1:
        raise ValueError(
            f"The images of a batch are compared, so it must have at least {least}. "
            f"Received: {name}.shape={tuple(x.shape)}. Choose a larger batch, and "
            "drop_remainder=True for the last one."
        )


def check_keys_and_queue(targets, queries):
    """Return keys, queue (or None) and queries as tensors of shapes that fit."""
    if not isinstance(targets, tuple | list) or len(targets) != 2:
        raise ValueError(
            "The first argument must be the tuple (keys, queue). Received: "
            f"{type(targets).__name__}. Pass (keys, None) to compare with batch keys."
        )
    remedy = "Pass the projector's outputs, and stored keys as rows."
    keys = check_shape("keys", targets[0], ("batch", "dim"), remedy)
    queries = check_shape("queries", queries, ("batch", "dim"), remedy)
    check_equal("shape", remedy, keys=keys.shape, queries=queries.shape)
    queue = targets[1]
    if queue is not None:
        queue = check_shape("queue", queue, ("size", "dim"), remedy)
        check_equal("width", remedy, queue=queue.shape[1:], queries=queries.shape[1:])
    return keys, queue, queries

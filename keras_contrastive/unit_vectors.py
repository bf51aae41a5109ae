"""Vectors of length 1, for losses, layers and metrics."""

import keras
from keras import ops


def l2_normalize(x, axis: int = -1):
    """Return `x / max(|x|, 1e-12)` in float32, whatever the dtype of `x`.

    Keras floors the norm at 1e-7 and overflows in float16 from norm 256 on. This
    one casts first, so that norms from 1e-8 to 1e4 come out as 1, a zero vector
    stays zero, and value and gradient are finite everywhere.

    Args:
        x: Float tensor of any shape.
        axis: The axis whose vectors get unit length.

    Returns:
        Float32 tensor of the shape of `x`.
    """
    x = ops.cast(x, "float32")
    squared_norm = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return x * ops.rsqrt(ops.maximum(squared_norm, 1e-24))


def random_unit_vectors(seed: int | None = None):
    """Return an initializer of `(rows, dim)`: rows of length 1, in all directions."""
    normal = keras.initializers.RandomNormal(stddev=1.0, seed=seed)
    return lambda shape, dtype: l2_normalize(normal(shape, dtype))

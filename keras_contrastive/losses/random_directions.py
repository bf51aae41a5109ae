"""Directions on which a loss looks at embeddings, one dimension at a time."""

import tensorflow as tf
from keras import ops

from keras_contrastive import distribute
from keras_contrastive.checks import check_count
from keras_contrastive.losses.contrastive_loss import (
    check_equal,
    check_shape,
    to_float32,
)
from keras_contrastive.unit_vectors import l2_normalize

_REMEDY = (
    "Stack the projector's outputs along axis 1, global views first, and give "
    "directions as unit columns, or None."
)


def random_directions(dim: int, num_slices: int, seed=None):
    """Return directions, the same on all replicas.

    Args:
        dim: Size of the embedding.
        num_slices: Number of directions.
        seed: Integer scalar that decides them, such as the step; None draws anew in
            each call.

    Returns:
        Float32 `(dim, num_slices)`, columns of length 1, uniform on the sphere.
    """
    if seed is None:
        seed = distribute.shared_seed()
    else:
        seed = tf.stack([tf.cast(seed, tf.int32), 0])
    return l2_normalize(tf.random.stateless_normal((dim, num_slices), seed), axis=0)


def directions_and_views(directions, z, num_slices: int, num_global: int):
    """Return directions, drawn where there are none, and embeddings, of fitting shapes.

    Raises:
        ValueError: If the shapes do not fit, or there are fewer views than
            `num_global`.
    """
    z = check_shape("z", to_float32(z), ("batch", "views", "dim"), _REMEDY)
    _, views, dim = z.shape
    if None in (views, dim) or views < num_global:
        raise ValueError(
            f"`z` must hold at least num_global={num_global} views, and their number "
            f"and size must be known. Received: z.shape={tuple(z.shape)}. Give more "
            "views, or a smaller `num_global`."
        )
    if directions is None:
        return random_directions(dim, num_slices), z
    directions = to_float32(directions)
    directions = check_shape("directions", directions, ("dim", "slices"), _REMEDY)
    check_equal("width", _REMEDY, directions=directions.shape[:1], z=z.shape[2:])
    return directions, z


def projected(z, directions):
    """Return `(batch, views, slices)`, each embedding along each direction.

    One product of two matrices, whose inner size is known: what TensorFlow makes of an
    einsum depends on the sizes that it knows.
    """
    _, views, dim = z.shape
    slices = ops.shape(directions)[1]
    x = ops.matmul(ops.reshape(z, (-1, dim)), ops.reshape(directions, (dim, -1)))
    return ops.reshape(x, (-1, views, slices))


def check_sliced(weight, num_slices, num_global):
    """Return the arguments that both losses have, checked."""
    if not 0 <= weight <= 1:
        raise ValueError(f"`weight` must be in [0, 1]. Received: weight={weight!r}")
    return (
        float(weight),
        check_count("num_slices", num_slices),
        check_count("num_global", num_global),
    )

"""What losses share that look at embeddings along random directions."""

import tensorflow as tf
from keras import ops

from keras_contrastive import distribute
from keras_contrastive.checks import check_count, check_share
from keras_contrastive.losses.contrastive_loss import (
    ContrastiveLoss,
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


def invariance(z, num_global):
    """Return the mean squared distance of all views to the mean of the global ones."""
    center = ops.mean(z[:, :num_global], axis=1, keepdims=True)
    total = ops.sum(ops.mean(ops.square(z - center), axis=(1, 2)))
    batch = ops.cast(ops.shape(z)[0], "float32")
    total, batch = ops.unstack(distribute.all_reduce_sum(ops.stack([total, batch])))
    return total / batch


class SlicedLoss(ContrastiveLoss):
    """Views agree, and a regulariser looks at them along random directions.

        l = (1 - weight) invariance(z) + weight * regularizer(directions, z)

    A subclass has `regularizer`, a scalar of the global batch.
    """

    def __init__(self, weight, num_slices, num_global, **kwargs):
        super().__init__(**kwargs)
        self.weight = check_share("weight", weight)
        self.num_slices = check_count("num_slices", num_slices)
        self.num_global = check_count("num_global", num_global)

    def call(self, targets, predictions):
        """Return the loss of the global batch, a scalar."""
        directions, z = directions_and_views(
            targets, predictions, self.num_slices, self.num_global
        )
        agreement = invariance(z, self.num_global)
        regularizer = self.regularizer(directions, z)
        return (1 - self.weight) * agreement + self.weight * regularizer

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "weight": self.weight,
            "num_slices": self.num_slices,
            "num_global": self.num_global,
        }

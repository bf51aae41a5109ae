"""A queue of past keys."""

import keras
import tensorflow as tf
from keras import ops

from keras_contrastive import distribute
from keras_contrastive.checks import check_count
from keras_contrastive.layers.state_weight import state_weight
from keras_contrastive.unit_vectors import l2_normalize, random_unit_vectors


@keras.saving.register_keras_serializable(package="keras_contrastive")
class FeatureQueue(keras.layers.Layer):
    """First in, first out memory of unit vectors, as SCE and MoCo keep it.

    A ring buffer: new keys overwrite the oldest ones. It starts with random unit
    vectors. Compute the loss with `queue.value` first, then `enqueue` the keys.

    Any batch size goes with any queue size, also a short last batch; of a batch longer
    than the queue the last keys remain. Under `tf.distribute` the keys of all replicas
    are enqueued in the order of the replicas, and every replica sees the same queue.
    The queue and its position are weights, always float32 and int32, so they are saved
    and restored with the model that holds the layer, and no optimizer touches them.

    Args:
        size: Number of keys, a positive integer. SCE: 4,096 for small images, 65,536
            for ImageNet.
        dim: Width of a key, a positive integer.
        seed: Seed of the initial vectors, an integer. Defaults to `None`: random,
            reproducible with `keras.utils.set_random_seed`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Raises:
        ValueError: If `size` or `dim` is not a positive integer, or if the keys are
            not of shape `(batch, dim)`.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.layers import FeatureQueue
        >>> queue = FeatureQueue(size=4, dim=2, seed=0)
        >>> queue.enqueue(np.array([[3.0, 0.0], [0.0, 5.0]]))
        >>> queue.value[:2].numpy()
        array([[1., 0.],
               [0., 1.]], dtype=float32)

    Reference:
        [Momentum Contrast](https://arxiv.org/abs/1911.05722) (He et al., 2020),
        section 3.2, "Dictionary as a queue".
    """

    def __init__(self, size, dim, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.size = check_count("size", size)
        self.dim = check_count("dim", dim)
        self.seed = seed
        shape = (self.size, self.dim)
        self._keys = state_weight(self, "keys", shape, random_unit_vectors(seed))
        self._position = state_weight(self, "position", dtype="int32")
        self.built = True

    @property
    def value(self):
        """The keys, a float32 tensor `(size, dim)` that later writes do not change."""
        return tf.convert_to_tensor(self._keys.value)

    def enqueue(self, keys, applied=True):
        """Overwrite the oldest keys.

        Args:
            keys: Float tensor `(batch, dim)`, of any length: the keys are L2-normalised
                here, in float32. On every replica its own part of the batch.
            applied: Boolean or boolean tensor; False leaves the queue as it is, as a
                step has to that float16 loss scaling skips.
        """
        keys = ops.convert_to_tensor(keys)
        if len(keys.shape) != 2 or keys.shape[1] not in (None, self.dim):
            raise ValueError(
                f"`keys` must have shape (batch, {self.dim}), as wide as the queue. "
                f"Received: keys.shape={tuple(keys.shape)}. Create the queue with the "
                "width of the projector's output: FeatureQueue(size, dim)."
            )
        keys = distribute.all_gather(ops.stop_gradient(l2_normalize(keys)))
        batch = ops.shape(keys)[0]
        first = ops.maximum(batch - self.size, 0)  # keys before it would be overwritten
        position = tf.convert_to_tensor(self._position.value)
        rows = (position + ops.arange(first, batch, dtype="int32")) % self.size
        keys = keys[first:]
        if applied is not True:  # no cond: replicas cannot write in a branch
            keys = tf.where(applied, keys, tf.gather(self._keys.value, rows))
            batch = tf.where(applied, batch, 0)
        # Writes in place, which `keras.ops` cannot: a queue of 65,536 x 256 would be
        # copied at every step, and sent to every replica.
        self._keys.value.scatter_update(tf.IndexedSlices(keys, rows))
        self._position.assign((position + batch) % self.size)

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "size": self.size,
            "dim": self.dim,
            "seed": self.seed,
        }

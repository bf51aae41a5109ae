"""One remembered vector for each example of the data set."""

import keras
import tensorflow as tf
from keras import ops

from keras_contrastive import distribute
from keras_contrastive.checks import check_count
from keras_contrastive.layers.state_weight import state_weight
from keras_contrastive.unit_vectors import l2_normalize, random_unit_vectors


@keras.saving.register_keras_serializable(package="keras_contrastive")
class MemoryBank(keras.layers.Layer):
    """Unit vectors by the number of their example: a memory of the whole data set.

    After a step the rows of the batch move towards its new features (m: momentum):

        bank[id] <- n( m * bank[id] + (1 - m) * n(feature) ),    n(x) = x / |x|

    Compute the loss with `rows` first, then `update`. The bank starts with random unit
    vectors. Under `tf.distribute` the features of all replicas are written, and every
    replica sees the same bank. It is a weight, always float32, so it is saved and
    restored with the model that holds the layer, and no optimizer touches it.

    Args:
        num_examples: Number of rows, a positive integer: the size of the data set.
        dim: Width of a row, a positive integer.
        momentum: m, in [0, 1): how much of the old row stays. 0.5 in the papers' code.
        seed: Seed of the initial vectors, an integer. Defaults to `None`: random,
            reproducible with `keras.utils.set_random_seed`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Raises:
        ValueError: If an argument is out of its range, or features are not of shape
            `(batch, dim)`.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.layers import MemoryBank
        >>> bank = MemoryBank(num_examples=5, dim=2, momentum=0.0, seed=0)
        >>> bank.update(np.array([4, 1]), np.array([[3.0, 0.0], [0.0, 5.0]]))
        >>> bank.rows(np.array([1, 4])).numpy()
        array([[0., 1.],
               [1., 0.]], dtype=float32)

    Reference:
        [Unsupervised Feature Learning via Non-Parametric Instance Discrimination](
        https://arxiv.org/abs/1805.01978) (Wu et al., 2018), section 3.1;
        https://github.com/HobbitLong/CMC for the moving average.
    """

    def __init__(self, num_examples, dim, momentum=0.5, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.num_examples = check_count("num_examples", num_examples)
        self.dim = check_count("dim", dim)
        if not 0 <= momentum < 1:
            raise ValueError(
                "`momentum` is the share of the old row and must be in [0, 1). "
                f"Received: momentum={momentum!r}"
            )
        self.momentum = float(momentum)
        self.seed = seed
        shape = (self.num_examples, self.dim)
        self._rows = state_weight(self, "rows", shape, random_unit_vectors(seed))
        self._refused = None
        self.built = True

    @property
    def value(self):
        """All rows, a float32 tensor `(num_examples, dim)`."""
        return tf.convert_to_tensor(self._rows.value)

    def rows(self, ids):
        """Return the rows of these examples, without a gradient.

        Args:
            ids: Integer tensor of any shape, in [0, num_examples).

        Returns:
            Float32 tensor of shape `(*ids.shape, dim)`.
        """
        return tf.gather(self._rows.value, tf.convert_to_tensor(ids))

    def entries(self, ids, count, seed):
        """Return each of `ids`, and `count` examples drawn uniformly from all.

        Args:
            ids: Integer tensor `(batch,)`. On every replica its own part of the batch.
            count: Number of draws for each.
            seed: Integer scalar: the same seed, the same draws, on any number of
                replicas.

        Returns:
            Integer tensor `(batch, 1 + count)`, of the dtype of `ids`: the own number,
            then the draws, among which it may be again.
        """
        drawn = distribute.uniform_rows(
            ops.shape(ids)[0],
            (count,),
            seed=(0, seed),
            maxval=self.num_examples,
            dtype=ids.dtype,
        )
        return ops.concatenate([ids[:, None], drawn], axis=1)

    def similarities(self, embeddings, entries):
        """Return cosines of embeddings and entries, with a gradient to the former.

        Args:
            embeddings: Float tensor `(batch, dim)`, of any length.
            entries: Integer tensor `(batch, count)`, in [0, num_examples).

        Returns:
            Float32 tensor `(batch, count)`.
        """
        v = l2_normalize(embeddings)
        return ops.einsum("nkd,nd->nk", self.rows(entries), v)

    def update(self, ids, features, applied=True):
        """Move the rows of a batch towards its features.

        Args:
            ids: Integer tensor `(batch,)`, in [0, num_examples), no number twice. On
                every replica its own part of the batch.
            features: Float tensor `(batch, dim)`, of any length: L2-normalised here,
                in float32.
            applied: Boolean or boolean tensor; False leaves the bank as it is, as a
                step has to that float16 loss scaling skips.
        """
        features = ops.convert_to_tensor(features)
        if len(features.shape) != 2 or features.shape[1] not in (None, self.dim):
            raise ValueError(
                f"`features` must have shape (batch, {self.dim}), as wide as the bank. "
                f"Received: features.shape={tuple(features.shape)}. Create the bank "
                "with the width of the projector's output."
            )
        features = distribute.all_gather(ops.stop_gradient(l2_normalize(features)))
        ids = distribute.all_gather(ops.convert_to_tensor(ids))
        old = self.rows(ids)
        new = l2_normalize(self.momentum * old + (1 - self.momentum) * features)
        if applied is not True:  # no cond: replicas cannot write in a branch
            new = tf.where(applied, new, old)
        # Writes in place, which `keras.ops` cannot: a bank of 1.3 million rows would
        # be copied at every step, and sent to every replica.
        self._rows.value.scatter_update(tf.IndexedSlices(new, ids))

    def load_own_variables(self, store):
        """Take the rows of a file; raise a ValueError if they are another bank's."""
        shapes = [tuple(store[key].shape) for key in store.keys()]
        if shapes:
            self._refused = shapes[0] if shapes[0] != self._rows.shape else None
        # Keras comes twice, the second time with nothing, and shows the last error.
        if self._refused:
            raise ValueError(
                f"The memory bank of the file has the shape {self._refused}, a row for "
                f"each example. Received: num_examples={self.num_examples} and "
                f"embeddings of size {self.dim}. Build the model as it was saved."
            )
        super().load_own_variables(store)

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "num_examples": self.num_examples,
            "dim": self.dim,
            "momentum": self.momentum,
            "seed": self.seed,
        }

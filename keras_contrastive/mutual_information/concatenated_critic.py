"""A critic that sees both sides of each pair at once."""

import keras
from keras import ops

from keras_contrastive.mutual_information.pairs import (
    check_hidden_units,
    check_vectors,
    dense_layers,
    kernel_initializer,
)


@keras.saving.register_keras_serializable(package="keras_contrastive")
class ConcatenatedCritic(keras.layers.Layer):
    """Scores by a network of both vectors: `f(x, y) = net([x, y])`.

    It can express more than a product of two embeddings, and costs a pass through the
    network for each of the N x N pairs; memory is that of N x N hidden vectors. Only
    the first layer is computed for each example, since it is a sum of two parts.

    Args:
        hidden_units: Width of the hidden layers (ReLU): an integer, or a tuple with
            one for each, at least one.
        seed: Seed of the weights, an integer. Defaults to `None`: random, reproducible
            with `keras.utils.set_random_seed`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        pair: Tuple of `x`, floats `(batch, dim_x)`, and `y`, `(batch, dim_y)`.

    Returns:
        Scores `(batch, batch)`: row i, column j has `f(x_j, y_i)`.

    Raises:
        ValueError: Sizes that are not positive integers, no hidden layer, or `x` and
            `y` that are not a tuple of two matrices.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.mutual_information import ConcatenatedCritic
        >>> ConcatenatedCritic(64)((np.ones((8, 20)), np.ones((8, 5)))).shape
        TensorShape([8, 8])

    Reference:
        [On Variational Bounds of Mutual Information](
        https://arxiv.org/abs/1905.06922) (Poole et al., 2019), section 3.
    """

    def __init__(self, hidden_units=(256, 256), seed=None, **kwargs):
        super().__init__(**kwargs)
        self.hidden_units = check_hidden_units(hidden_units)
        if not self.hidden_units:
            raise ValueError(
                "`hidden_units` needs one hidden layer: without, x and y do not meet. "
                f"Received: hidden_units={hidden_units!r}"
            )
        self.seed = seed
        rest = self.hidden_units[1:]
        self.rest = dense_layers(1, rest, seed, 1, dtype=self.dtype_policy)

    def build(self, input_shape):
        """Create the weights: the first layer's are those of [x, y]."""
        self.dim_x, dim_y = check_vectors(input_shape)
        units = self.hidden_units[0]
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.dim_x + dim_y, units),
            initializer=kernel_initializer(self.seed, 0),
        )
        self.bias = self.add_weight(name="bias", shape=(units,), initializer="zeros")
        self.rest.build((None, None, units))

    def call(self, pair):
        """Return the scores of all pairs, `(batch, batch)`."""
        x, y = pair
        of_x = ops.matmul(x, self.kernel[: self.dim_x]) + self.bias
        of_y = ops.matmul(y, self.kernel[self.dim_x :])
        hidden = ops.relu(of_x[None, :, :] + of_y[:, None, :])  # (batch, batch, units)
        return ops.squeeze(self.rest(hidden), axis=-1)

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "hidden_units": self.hidden_units,
            "seed": self.seed,
        }

"""A critic that compares two embeddings, each of one side."""

import keras
from keras import ops

from keras_contrastive.checks import check_count
from keras_contrastive.mutual_information.pairs import (
    check_hidden_units,
    check_vectors,
    dense_layers,
)


@keras.saving.register_keras_serializable(package="keras_contrastive")
class SeparableCritic(keras.layers.Layer):
    """Scores are products of embeddings: `f(x, y) = g(x) . h(y)`.

    Two networks, each of N examples, give the scores of all N x N pairs: the cheap
    critic, and the form of every contrastive method with a projector.

    Args:
        dim: Size of both embeddings.
        hidden_units: Width of the hidden layers (ReLU) of both networks: an integer,
            or a tuple with one for each; `()` for linear ones.
        seed: Seed of the weights, an integer. Defaults to `None`: random, reproducible
            with `keras.utils.set_random_seed`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        pair: Tuple of `x`, floats `(batch, dim_x)`, and `y`, `(batch, dim_y)`.

    Returns:
        Scores `(batch, batch)`: row i, column j has `f(x_j, y_i)`.

    Raises:
        ValueError: A size that is not a positive integer, or `x` and `y` that are not
            a tuple of two matrices.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.mutual_information import SeparableCritic
        >>> SeparableCritic()((np.ones((8, 20)), np.ones((8, 5)))).shape
        TensorShape([8, 8])

    Reference:
        [On Variational Bounds of Mutual Information](
        https://arxiv.org/abs/1905.06922) (Poole et al., 2019), section 3.
    """

    def __init__(self, dim=32, hidden_units=(256, 256), seed=None, **kwargs):
        super().__init__(**kwargs)
        self.dim = check_count("dim", dim)
        self.hidden_units = check_hidden_units(hidden_units)
        self.seed = seed
        sizes, dtype = (self.dim, self.hidden_units), self.dtype_policy
        second = len(self.hidden_units) + 1
        self.of_x = dense_layers(*sizes, seed, 0, dtype=dtype)
        self.of_y = dense_layers(*sizes, seed, second, dtype=dtype)

    def build(self, input_shape):
        """Create the weights of both networks."""
        dim_x, dim_y = check_vectors(input_shape)
        self.of_x.build((None, dim_x))
        self.of_y.build((None, dim_y))

    def call(self, pair):
        """Return the scores of all pairs, `(batch, batch)`."""
        x, y = pair
        return ops.matmul(self.of_y(y), ops.transpose(self.of_x(x)))

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "dim": self.dim,
            "hidden_units": self.hidden_units,
            "seed": self.seed,
        }

"""A critic of one matrix."""

import keras
from keras import ops

from keras_contrastive.mutual_information.pairs import check_vectors, kernel_initializer


@keras.saving.register_keras_serializable(package="keras_contrastive")
class BilinearCritic(keras.layers.Layer):
    """Scores by one matrix: `f(x, y) = y^T W x`, as in CPC.

    The critic for features that encoders have made comparable, with few weights.

    Args:
        seed: Seed of the matrix, an integer. Defaults to `None`: random, reproducible
            with `keras.utils.set_random_seed`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        pair: Tuple of `x`, floats `(batch, dim_x)`, and `y`, `(batch, dim_y)`.

    Returns:
        Scores `(batch, batch)`: row i, column j has `f(x_j, y_i)`.

    Raises:
        ValueError: `x` and `y` are not a tuple of two matrices.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.mutual_information import BilinearCritic
        >>> BilinearCritic()((np.ones((8, 20)), np.ones((8, 5)))).shape
        TensorShape([8, 8])

    Reference:
        [Representation Learning with Contrastive Predictive Coding](
        https://arxiv.org/abs/1807.03748) (van den Oord et al., 2018), equation 3.
    """

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed

    def build(self, input_shape):
        """Create the matrix."""
        dim_x, dim_y = check_vectors(input_shape)
        initializer = kernel_initializer(self.seed, 0)
        self.kernel = self.add_weight(
            name="kernel", shape=(dim_y, dim_x), initializer=initializer
        )

    def call(self, pair):
        """Return the scores of all pairs, `(batch, batch)`."""
        x, y = pair
        return ops.matmul(ops.matmul(y, self.kernel), ops.transpose(x))

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "seed": self.seed}

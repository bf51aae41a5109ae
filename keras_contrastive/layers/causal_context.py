"""Context networks: what stands above on a grid of patches, and nothing below."""

import keras
from keras import ops

from keras_contrastive.checks import check_count


@keras.saving.register_keras_serializable(package="keras_contrastive")
class CausalConvolutions(keras.layers.Layer):
    """The context of each place on a grid: its row and the rows above, by convolutions.

    `depth` residual blocks, then ReLU. Each block adds to its input x, of D channels,

        1x1(D) relu( 2x1 down( 1x3( relu( 1x1(x) ))))

    where `1x3` looks to the left and right, and `2x1 down` at its own row and at the
    one above it (zeros above the first): row r of the result depends on rows <= r
    alone. A block reaches one row up and one column to each side.

    Args:
        units: Channels within the blocks, a positive integer; the paper's 256.
        depth: Number of blocks, a positive integer; the paper's 5.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        grid: Features of patches, `(batch, rows, columns, D)`.

    Returns:
        Contexts `(batch, rows, columns, D)` in the layer's compute dtype.

    Raises:
        ValueError: If `units` or `depth` is not a positive integer.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.layers import CausalConvolutions
        >>> context = CausalConvolutions(units=8, depth=2)
        >>> context(np.ones((4, 7, 7, 16), "float32")).shape
        TensorShape([4, 7, 7, 16])

    Reference:
        [Data-Efficient Image Recognition with Contrastive Predictive Coding](
        https://arxiv.org/abs/1905.09272) (Henaff et al., 2019), appendix.
    """

    def __init__(self, units: int = 256, depth: int = 5, **kwargs):
        super().__init__(**kwargs)
        self.units = check_count("units", units)
        self.depth = check_count("depth", depth)
        self._convolutions: list[keras.layers.Layer] = []  # four of each block

    def build(self, input_shape):
        """Create the weights of all blocks."""
        batch, rows, columns, channels = input_shape
        within = (batch, rows, columns, self.units)
        padded = (batch, rows and rows + 1, columns, self.units)
        parts = (  # kernel, filters, padding, input
            ((1, 1), self.units, "same", input_shape),
            ((1, 3), self.units, "same", within),
            ((2, 1), self.units, "valid", padded),
            ((1, 1), channels, "same", within),
        )
        for block in range(1, self.depth + 1):
            for index, (kernel, filters, padding, shape) in enumerate(parts, start=1):
                convolution = keras.layers.Conv2D(
                    filters,
                    kernel,
                    padding=padding,
                    dtype=self.dtype_policy,
                    name=f"block{block}_conv{index}",
                )
                convolution.build(shape)
                self._convolutions.append(convolution)
        self.built = True

    def call(self, grid):
        """Map features to contexts, both `(batch, rows, columns, D)`."""
        x = grid
        parts = iter(self._convolutions)
        for inwards, sideways, down, outwards in zip(*[parts] * 4, strict=True):
            c = sideways(ops.relu(inwards(x)))
            c = down(ops.pad(c, ((0, 0), (1, 0), (0, 0), (0, 0))))
            x = x + outwards(ops.relu(c))
        return ops.relu(x)

    def compute_output_shape(self, input_shape):
        """Return the shape of the grid."""
        return tuple(input_shape)

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "units": self.units, "depth": self.depth}


@keras.saving.register_keras_serializable(package="keras_contrastive")
class ColumnGRU(keras.layers.Layer):
    """The context of each place on a grid: its column down to it, read by one GRU.

        c_rw = GRU(x_rw, c_(r-1)w),    c_0w = GRU(x_0w, 0)

    Columns do not know of each other, and row r depends on rows <= r alone.

    Args:
        units: Channels of the contexts, a positive integer.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        grid: Features of patches, `(batch, rows, columns, D)`, of known rows and
            columns.

    Returns:
        Contexts `(batch, rows, columns, units)` in the layer's compute dtype.

    Raises:
        ValueError: If `units` is not a positive integer.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.layers import ColumnGRU
        >>> ColumnGRU(8)(np.ones((4, 7, 7, 16), "float32")).shape
        TensorShape([4, 7, 7, 8])

    Reference:
        [Representation Learning with Contrastive Predictive Coding](
        https://arxiv.org/abs/1807.03748) (van den Oord et al., 2018), section 2.2,
        which names GRUs as one autoregressive model of several.
    """

    def __init__(self, units: int, **kwargs):
        super().__init__(**kwargs)
        self.units = check_count("units", units)
        self.gru = keras.layers.GRU(
            self.units, return_sequences=True, dtype=self.dtype_policy, name="gru"
        )

    def build(self, input_shape):
        """Create the weights of the GRU."""
        _, rows, _, channels = input_shape
        self.gru.build((None, rows, channels))
        self.built = True

    def call(self, grid):
        """Map features to contexts `(batch, rows, columns, units)`."""
        _, rows, columns, channels = grid.shape
        x = ops.transpose(grid, (0, 2, 1, 3))  # columns are sequences
        x = self.gru(ops.reshape(x, (-1, rows, channels)))
        x = ops.reshape(x, (-1, columns, rows, self.units))
        return ops.transpose(x, (0, 2, 1, 3))

    def compute_output_shape(self, input_shape):
        """Return `(batch, rows, columns, units)`."""
        return (*input_shape[:-1], self.units)

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "units": self.units}

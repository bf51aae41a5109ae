"""Images as grids of overlapping patches, and back to grids of features."""

import keras
import numpy as np
from keras import ops

from keras_contrastive.checks import check_count


@keras.saving.register_keras_serializable(package="keras_contrastive")
class Patches(keras.layers.Layer):
    """Cut each image into overlapping patches of one size, row by row.

    Patch `(r, c)` of the grid begins `r * stride` pixels from the top and `c * stride`
    from the left; a grid has `(height - patch height) // stride + 1` rows, and as many
    columns for the width. The pixels are copied by one lookup at constant places, which
    every export knows.

    Args:
        size: Side of the patches in pixels, or `(height, width)`.
        stride: Pixels between neighbouring patches, a positive integer.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        images: `(batch, height, width, channels)`, of known height and width.

    Returns:
        Patches `(batch * rows * columns, patch height, patch width, channels)`: all of
        the first image, row by row, then those of the second.

    Raises:
        ValueError: A size or stride that is not positive, or images of unknown size or
            smaller than a patch.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.layers import Patches
        >>> patches = Patches(4, stride=2)
        >>> patches(np.zeros((5, 8, 8, 3))).shape, patches.grid((8, 8, 3))
        (TensorShape([45, 4, 4, 3]), (3, 3))

    Reference:
        [Representation Learning with Contrastive Predictive Coding](
        https://arxiv.org/abs/1807.03748) (van den Oord et al., 2018), section 3.2.
    """

    def __init__(self, size, stride: int, **kwargs):
        super().__init__(**kwargs)
        sides = (size, size) if isinstance(size, int) else tuple(size)
        if len(sides) != 2 or min(sides) < 1:
            raise ValueError(
                "`size` must be a positive integer or (height, width). "
                f"Received: size={size!r}"
            )
        self.size = sides
        self.stride = check_count("stride", stride)

    def grid(self, shape) -> tuple[int, int]:
        """Return rows and columns of the patches of images of that shape.

        Args:
            shape: `(..., height, width, channels)`.
        """
        sides = list(zip(tuple(shape)[-3:-1], self.size, strict=True))
        if any(side is None or side < patch for side, patch in sides):
            raise ValueError(
                f"Images must hold a patch of {self.size[0]} x {self.size[1]} pixels, "
                f"and be of known size. Received: images of shape {tuple(shape)}. Take "
                "larger images or smaller patches."
            )
        return tuple((side - patch) // self.stride + 1 for side, patch in sides)

    def call(self, images):
        """Return the patches of all images, those of one after those of the other."""
        _, height, width, channels = images.shape
        tops, lefts = (self.stride * np.arange(n) for n in self.grid(images.shape))
        y, x = (np.arange(n) for n in self.size)
        rows = tops[:, None, None, None] + y[:, None]
        places = rows * width + lefts[:, None, None] + x
        pixels = ops.reshape(images, (-1, height * width, channels))
        pixels = ops.take(pixels, places.reshape(-1).astype("int32"), axis=1)
        return ops.reshape(pixels, (-1, *self.size, channels))

    def compute_output_shape(self, input_shape):
        """Return the shape of the patches."""
        rows, columns = self.grid(input_shape)
        batch = input_shape[0] and input_shape[0] * rows * columns
        return (batch, *self.size, input_shape[-1])

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "size": list(self.size),
            "stride": self.stride,
        }


@keras.saving.register_keras_serializable(package="keras_contrastive")
class PatchGrid(keras.layers.Layer):
    """Put the features of patches, in the order of `Patches`, back on their grids.

    Args:
        rows: Rows of a grid.
        columns: Columns of a grid.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        features: `(batch * rows * columns, dim)`.

    Returns:
        The same numbers as `(batch, rows, columns, dim)`.

    Raises:
        ValueError: If `rows` or `columns` is not a positive integer.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.layers import PatchGrid
        >>> PatchGrid(3, 3)(np.zeros((45, 16))).shape
        TensorShape([5, 3, 3, 16])
    """

    def __init__(self, rows: int, columns: int, **kwargs):
        super().__init__(**kwargs)
        self.rows = check_count("rows", rows)
        self.columns = check_count("columns", columns)

    def call(self, features):
        """Return the grids."""
        return ops.reshape(features, (-1, self.rows, self.columns, features.shape[-1]))

    def compute_output_shape(self, input_shape):
        """Return the shape of the grids."""
        batch = input_shape[0] and input_shape[0] // (self.rows * self.columns)
        return (batch, self.rows, self.columns, input_shape[-1])

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "rows": self.rows, "columns": self.columns}

"""A jigsaw puzzle of each image: patches of a grid, in an order of chance."""

import keras
import tensorflow as tf
from keras import ops

from keras_contrastive import distribute
from keras_contrastive.checks import check_count
from keras_contrastive.encoder_checks import check_any_size
from keras_contrastive.layers.built import built


@keras.saving.register_keras_serializable(package="keras_contrastive")
class Jigsaw(keras.layers.Layer):
    """Cuts images into the cells of a grid, takes a patch of each, and shuffles them.

    Cells are as large as fit; what is left over at the borders is dropped. The patch
    lies anywhere in its cell, so that no line goes on from one patch to the next. Every
    image has an order of its own. What is drawn depends on the seed and on the place in
    the global batch alone.

    Args:
        grid: Cells in each direction, a positive integer. PIRL's 3.
        share: Side of a patch as a share of its cell's, in (0, 1]. PIRL's 64 / 85.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        images: `(batch, height, width, channels)`, of known size, not smaller than the
            grid.
        seed: Integer scalar: the same seed, the same patches.

    Returns:
        `(batch, grid * grid, patch height, patch width, channels)`.

    Raises:
        ValueError: If an argument is out of its range, or the images are too small.

    Example:
        >>> images = np.zeros((2, 30, 30, 3), "float32")
        >>> kc.layers.Jigsaw()(images, seed=0).shape
        TensorShape([2, 9, 8, 8, 3])

    Reference:
        [Self-Supervised Learning of Pretext-Invariant Representations](
        https://arxiv.org/abs/1912.01991) (Misra and van der Maaten, 2020), section 3.2.
    """

    def __init__(self, grid=3, share=64 / 85, **kwargs):
        super().__init__(**kwargs)
        self.grid = check_count("grid", grid)
        if not 0 < share <= 1:
            raise ValueError(f"`share` must be in (0, 1]. Received: share={share}")
        self.share = float(share)
        self.built = True

    @property
    def num_patches(self) -> int:
        """Number of patches of an image."""
        return self.grid**2

    def call(self, images, seed):
        """Return the patches."""
        images = ops.convert_to_tensor(images)
        cell, patch = self._sides(images.shape)
        batch, count = ops.shape(images)[0], self.num_patches
        cells = self._cells(images, cell)
        order = distribute.uniform_rows(batch, (count,), seed=(3, seed))
        order = ops.argsort(order, axis=1)
        cells = tf.gather(cells, order, batch_dims=1)
        free = [side - part + 1.0 for side, part in zip(cell, patch, strict=True)]
        starts = distribute.uniform_rows(batch, (count, 2), seed=(4, seed))
        starts = tf.cast(starts * free, "int32")
        rows = starts[..., 0, None] + tf.range(patch[0])
        columns = starts[..., 1, None] + tf.range(patch[1])
        patches = tf.gather(cells, rows, axis=2, batch_dims=2)
        patches = tf.gather(ops.swapaxes(patches, 2, 3), columns, axis=2, batch_dims=2)
        return ops.swapaxes(patches, 2, 3)

    def features(self, encoder, patches, training):
        """Return the encoder's features of patches, `[(batch, patches, dim)]`."""
        features = encoder(
            ops.reshape(patches, (-1, *patches.shape[2:])), training=training
        )
        return [ops.reshape(features, (-1, self.num_patches, features.shape[-1]))]

    def projector(self, encoder, units, given=None) -> keras.layers.Layer:
        """Return a head of the features of an image's patches, built.

        Args:
            encoder: Functional `keras.Model` of images of any size to features.
            units: Size of the embeddings.
            given: The head to build; None for PIRL's: each patch's features are
                projected, and then all of an image in a row.

        Raises:
            ValueError: If the encoder takes images of one size alone.
        """
        check_any_size(encoder)
        layers = keras.layers
        head = given or keras.Sequential(
            [layers.Dense(units), layers.Flatten(), layers.Dense(units)],
            name="patch_projector",
        )
        return built(head, (None, self.num_patches, encoder.output_shape[-1]))

    def _sides(self, shape):
        """Height and width of a cell, and of a patch."""
        if len(shape) != 4 or None in shape[1:] or min(shape[1:3]) < self.grid:
            raise ValueError(
                "A jigsaw takes images (batch, height, width, channels) of known size, "
                f"at least {self.grid} pixels high and wide. Received: images of shape "
                f"{tuple(shape)}"
            )
        cell = [side // self.grid for side in shape[1:3]]
        return cell, [max(1, round(side * self.share)) for side in cell]

    def _cells(self, images, cell):
        """Cut the middle of the images: `(batch, cells, height, width, channels)`."""
        (height, width), (_, rows, columns, channels) = cell, images.shape
        top, left = (rows - self.grid * height) // 2, (columns - self.grid * width) // 2
        middle = images[
            :, top : top + self.grid * height, left : left + self.grid * width
        ]
        x = ops.reshape(middle, (-1, self.grid, height, self.grid, width, channels))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        return ops.reshape(x, (-1, self.num_patches, height, width, channels))

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "grid": self.grid, "share": self.share}

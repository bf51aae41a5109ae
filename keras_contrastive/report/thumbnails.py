"""Small pictures, all in one JPEG: a header for each of 2,000 would weigh more."""

import base64
import dataclasses

import numpy as np
import tensorflow as tf

from keras_contrastive.pictures import picture_channels

COLUMNS = 32  # pictures beside each other on a sheet


@dataclasses.dataclass(frozen=True)
class Picture:
    """A place on a sheet, and what is said about it.

    Args:
        x: Its column.
        y: Its row.
        label: Text for who cannot see it.
    """

    x: int
    y: int
    label: str


class Sheet:
    """Collects pictures of one size, and gives the JPEG that holds them all.

    Args:
        size: Height and width of each in pixels, a multiple of 16, so that JPEG's
            blocks do not reach into the next picture.

    Example:
    >>> sheet = Sheet(32)
    >>> sheet.add(np.zeros((2, 28, 28, 1), "uint8"), ["a", "b"])[1]
    Picture(x=1, y=0, label='b')
    >>> sheet.data_uri()[:23]
    'data:image/jpeg;base64,'
    """

    def __init__(self, size: int):
        self.size = size
        self._tiles: list[np.ndarray] = []
        self._count = 0

    def add(self, images, labels) -> list[Picture]:
        """Add images.

        Args:
            images: `(n, height, width, channels)` in [0, 255]; of many channels the
                first three are shown.
            labels: `n` texts.

        Returns:
            One `Picture` each.
        """
        first, self._count = self._count, self._count + len(images)
        self._tiles.append(_tiles(images, self.size))
        return [
            Picture(number % COLUMNS, number // COLUMNS, label)
            for number, label in enumerate(labels, start=first)
        ]

    @property
    def rows(self) -> int:
        """Rows of pictures, at least one."""
        return max(1, -(-self._count // COLUMNS))

    def data_uri(self) -> str:
        """Return all pictures as one `data:` address."""
        tiles = np.zeros((self.rows * COLUMNS, self.size, self.size, 3), "uint8")
        if self._tiles:
            tiles[: self._count] = np.concatenate(self._tiles)
        grid = tiles.reshape(self.rows, COLUMNS, self.size, self.size, 3)
        grid = grid.transpose(0, 2, 1, 3, 4)
        sheet = grid.reshape(self.rows * self.size, COLUMNS * self.size, 3)
        jpeg = tf.io.encode_jpeg(sheet, quality=80).numpy()
        return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def _tiles(images, size):
    """Whole images as uint8 `(n, size, size, 3)`, black where they are not square."""
    images = tf.cast(picture_channels(images), "float32")
    tiles = tf.image.resize_with_pad(images, size, size, antialias=True)
    tiles = np.clip(np.rint(tiles), 0, 255).astype("uint8")
    return np.broadcast_to(tiles, (*tiles.shape[:-1], 3))

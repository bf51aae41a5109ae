"""Features for TensorBoard's projector."""

import pathlib

import keras
import numpy as np
import tensorflow as tf

from keras_contrastive.checks import check_count
from keras_contrastive.evaluation.features import extract_features
from keras_contrastive.files import write_bytes
from keras_contrastive.pictures import picture_channels
from keras_contrastive.pixel_values import to_255

_LARGEST = 8192  # pixels of a sprite's side that TensorBoard takes


class EmbeddingProjector(keras.callbacks.Callback):
    """Writes the features of some images, with thumbnails, for TensorBoard's projector.

    `tensorboard --logdir=LOG_DIR` then shows them in three dimensions, by PCA, t-SNE or
    UMAP, each as its image, coloured by its label. They are written at the end of every
    `every`-th epoch and of the last one, over those before.

    Args:
        log_dir: Folder of TensorBoard's logs.
        images: Array `(n, height, width, channels)` in [0, 255], some hundred to some
            thousand. Of many channels thumbnails show the first three, of two the
            first.
        labels: Names or numbers `(n,)`, or None.
        every: Epochs between two writings.
        thumbnail: Longest side of a thumbnail in pixels.

    Raises:
        ValueError: Images of another shape, labels of another number, more images than
            a sprite holds.

    Example:
        projector = kc.callbacks.EmbeddingProjector("logs", x_test[:500], y_test[:500])
        model.fit(views, epochs=20, callbacks=[projector])
    """

    def __init__(self, log_dir, images, labels=None, every: int = 1, thumbnail=32):
        super().__init__()
        self.log_dir = pathlib.Path(log_dir)
        self.images: np.ndarray = np.asarray(images)
        self.labels = None if labels is None else np.asarray(labels)
        self.every = check_count("every", every)
        self.thumbnail = check_count("thumbnail", thumbnail)
        shape = self.images.shape
        if len(shape) != 4 or not shape[0]:
            raise ValueError(
                "`images` must be (n, height, width, channels). "
                f"Received: images of shape {shape}"
            )
        if self.images.dtype == np.uint16:
            self.images = to_255(self.images)
        if self.labels is not None and self.labels.shape != shape[:1]:
            raise ValueError(
                f"`labels` must have one entry for each of {shape[0]} images. "
                f"Received: labels of shape {self.labels.shape}"
            )
        self._side = int(np.ceil(np.sqrt(shape[0])))
        if self._side * self.thumbnail > _LARGEST:
            raise ValueError(
                f"A sprite has at most {_LARGEST} pixels a side. Received: {shape[0]} "
                f"images and thumbnail={thumbnail}. Give fewer, or smaller ones."
            )

    def on_train_begin(self, logs=None):
        """Write what does not change: thumbnails, labels and the configuration."""
        self.log_dir.mkdir(parents=True, exist_ok=True)
        sprite, size = self._sprite()
        write_bytes(self.log_dir / "sprite.png", sprite)
        lines = ['embeddings {\n  tensor_path: "features.tsv"']
        if self.labels is not None:
            text = "\n".join(_cell(label) for label in self.labels)
            write_bytes(self.log_dir / "labels.tsv", f"{text}\n".encode())
            lines.append('  metadata_path: "labels.tsv"')
        lines.append('  sprite {\n    image_path: "sprite.png"')
        lines += [f"    single_image_dim: {side}" for side in size] + ["  }\n}\n"]
        write_bytes(self.log_dir / "projector_config.pbtxt", "\n".join(lines).encode())

    def on_epoch_end(self, epoch, logs=None):
        """Write the features, if it is this epoch's turn."""
        last = epoch + 1 == self.params.get("epochs") or self.model.stop_training
        if (epoch + 1) % self.every and not last:
            return
        features = extract_features(self.model, self.images)
        rows = ("\t".join(f"{x:.6g}" for x in row) for row in features)
        write_bytes(self.log_dir / "features.tsv", ("\n".join(rows) + "\n").encode())

    def _sprite(self):
        """All thumbnails in one PNG, row by row; and width and height of each."""
        height, width = self.images.shape[1:3]
        scale = self.thumbnail / max(height, width)
        size = max(1, round(height * scale)), max(1, round(width * scale))
        images = picture_channels(self.images)
        small = tf.image.resize(images, size, antialias=True).numpy()
        places = self._side**2
        grid = np.full((places, *small.shape[1:]), 255.0)
        grid[: len(small)] = small
        rows = grid.reshape(self._side, self._side, *size, -1).swapaxes(1, 2)
        pixels = rows.reshape(self._side * size[0], self._side * size[1], -1)
        png = tf.io.encode_png(tf.cast(tf.round(pixels), "uint8"))
        return png.numpy(), size[::-1]


def _cell(label):
    """A label as one cell of a table."""
    return " ".join(str(label).split()) or "-"

"""A picture of the views before training begins."""

import pathlib

import keras

from keras_contrastive.gallery import gallery


class AugmentationPreview(keras.callbacks.Callback):
    """Writes a PNG of some images and their views when training begins.

    What the network sees is the first thing to look at when it does not learn.

    Args:
        images: Images `(n, height, width, channels)` in [0, 255]; or None, and `policy`
            is a dataset of views, whose views are drawn as they are.
        policy: A layer of `kc.augmentations`, or a dataset of
            `((view_1, view_2, ...), label)`.
        path: File to write.
        rows: Number of images.

    Raises:
        ImportError: matplotlib is missing.
        ValueError: There are no images, or no policy.

    Example:
        policy = kc.augmentations.simclr(32)
        preview = kc.callbacks.AugmentationPreview(x_train, policy, "logs/views.png")
        model.fit(views, epochs=20, callbacks=[preview])
    """

    def __init__(self, images, policy, path="views.png", rows: int = 8):
        super().__init__()
        self.source = (policy, None) if images is None else (images, policy)
        self.path, self.rows = pathlib.Path(path), rows

    def on_train_begin(self, logs=None):
        """Draw."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        gallery(*self.source, self.path, self.rows)

"""What the export scripts share: which encoder, and images to compare it on."""

import pathlib

import keras
import numpy as np
from absl import app, flags

import keras_contrastive.layers  # noqa: F401  (registers layers for load_model)
from keras_contrastive.data import load_sample
from keras_contrastive.image_io import resize_and_center_crop

flags.DEFINE_string(
    "encoder", None, "An encoder.keras file, or a run folder that has one."
)
flags.DEFINE_string(
    "images",
    "sample",
    "What to compare on: `sample` (the bundled Fashion-MNIST), or an .npz file with "
    "`images` in [0, 255] and, if there are any, `labels`.",
)
flags.DEFINE_integer("num_images", 1000, "How many of them, at most.", lower_bound=1)
flags.mark_flag_as_required("encoder")


def load_encoder(path) -> keras.Model:
    """Load `encoder.keras` from its own path or from a run or version folder."""
    path = pathlib.Path(path)
    path = path / "encoder.keras" if path.is_dir() else path
    if not path.is_file():
        raise app.UsageError(
            "--encoder must be an encoder.keras file or a folder that has one. "
            f"Received: {str(path)!r}, which does not exist."
        )
    return keras.models.load_model(path, compile=False)


def load_images(encoder, split="test"):
    """Return `(images, labels or None)` of the encoder's shape, uint8.

    The sample is resized and repeated over the channels to fit any encoder. For one
    that was not trained on such images pass your own by `--images`.
    """
    height, width, channels = encoder.inputs[0].shape[1:]
    count = flags.FLAGS.num_images
    if flags.FLAGS.images == "sample":
        train, test = load_sample()
        images, labels = (x[:count] for x in (train if split == "train" else test))
    else:
        with np.load(flags.FLAGS.images) as file:
            images = file["images"][:count]
            labels = file["labels"][:count] if "labels" in file else None
    if images.shape[-1] == 1 and channels == 3:
        images = np.repeat(images, 3, axis=-1)
    if None not in (height, width) and images.shape[1:3] != (height, width):
        images = resize_and_center_crop(images, (height, width))
    return np.clip(np.round(images), 0, 255).astype("uint8"), labels

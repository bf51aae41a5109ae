"""The images of a command: the sample, a folder of files or of arrays, or TFDS."""

import dataclasses
import pathlib

import numpy as np

from keras_contrastive import data
from keras_contrastive.data.file_format import file_format
from keras_contrastive.zoo.measure import (
    arrays_of_folder,
    folder_parts,
    images_of_folder,
    prepared_splits,
)


def open_source(name: str, split: str = "train", value_range=None):
    """Return the images that a name stands for.

    Args:
        name: `"sample"`; a folder of image files; one with `images.npy`, uint8, uint16
            or float `(n, height, width, channels)`, and, if there are labels,
            `labels.npy`, `(n,)`; or a name of TensorFlow Datasets. Of a folder that
            holds `train` and `test`, the first is meant.
        split: Of TensorFlow Datasets.
        value_range: Of a folder's images of more than 8 bits, as in `kc.data.to_255`.
    """
    path = pathlib.Path(name)
    if name == "sample":
        return Arrays(*data.load_sample()[0])
    if not path.is_dir():
        return Prepared(name, split)
    path = folder_parts(path)[0]
    arrays = arrays_of_folder(path)
    if arrays is not None:
        images, labels = arrays
        return Arrays(images, labels, value_range)
    return Folder(path, value_range)


class Arrays:
    """Arrays in memory, or mapped into it."""

    def __init__(self, images, labels=None, value_range=None):
        self.arrays = images, labels
        self.shape = images.shape[1:]
        self.value_range = None if images.dtype == np.uint8 else value_range

    def __len__(self):
        return len(self.arrays[0])

    def views(self, policy, cache, **options):
        """Return the dataset to train on."""
        options = {"augmentation": policy, "value_range": self.value_range, **options}
        return data.views_from_arrays(*self.arrays, **options)

    def in_order(self, size, channels=None):
        """Return all images once, in order."""
        return data.images_from_arrays(
            *(self.arrays[0],),
            image_size=size,
            channels=channels or self.shape[-1],
            value_range=self.value_range,
        )


class Folder:
    """Files of images of any size."""

    def __init__(self, path, value_range=None):
        self.path, self.value_range = path, value_range
        files = data.list_images(path)[0]
        self.length = len(files)
        self.shape = None, None, file_format(files, None, value_range).channels

    def __len__(self):
        return self.length

    def views(self, policy, cache, **options):
        """Return the dataset to train on."""
        options = {"augmentation": policy, "cache_decoded": cache, **options}
        options["value_range"] = self.value_range
        return data.views_from_directory(self.path, **options)

    def in_order(self, size, channels=None):
        """Return all images once, in order."""
        return data.images_from_directory(
            *(self.path,),
            labels=False,
            image_size=size,
            channels=channels,
            value_range=self.value_range,
        )


class Prepared:
    """A data set of TensorFlow Datasets; one that does not exist is refused here."""

    def __init__(self, name, split):
        self.name, self.split = name, split
        raw = data.views_from_tfds(name, split, augmentation=None, batch_size=1)
        self.shape = tuple(raw.element_spec[0][0].shape[1:])
        self.length = len(raw)

    def __len__(self):
        return self.length

    def views(self, policy, cache, **options):
        """Return the dataset to train on."""
        options = {"augmentation": policy, "cache_decoded": cache, **options}
        return data.views_from_tfds(self.name, self.split, **options)

    def in_order(self, size, channels=None):
        """Return all images once, in order."""
        channels = channels or self.shape[-1]
        return data.images_from_tfds(
            self.name, self.split, image_size=size, channels=channels
        )


@dataclasses.dataclass(frozen=True)
class Part:
    """Images as arrays, with what is known of them."""

    images: np.ndarray
    labels: np.ndarray | None = None
    class_names: list[str] | None = None
    file_paths: list[str] | None = None


def labelled_arrays(name, shape, limit, value_range=None) -> tuple[Part, Part | None]:
    """Return images as an encoder takes them, and test images where there are some.

    Args:
        name: As in `open_source`.
        shape: `(height, width, channels)` of the encoder's input.
        limit: Number of images of each part, at most: every n-th.
        value_range: As in `open_source`.
    """
    *size, channels = shape
    fit = {"image_size": None if None in size else tuple(size), "channels": channels}
    path = pathlib.Path(name)
    if name == "sample":
        parts = [data.images_from_arrays(*pair, **fit) for pair in data.load_sample()]
    elif path.is_dir():
        fit["value_range"] = value_range
        parts = [images_of_folder(folder, **fit) for folder in folder_parts(path)]
    else:
        splits = prepared_splits(name, None)
        parts = [data.images_from_tfds(name, split, **fit) for split in splits]
    train, *test = (_part(part, limit) for part in parts)
    return train, test[0] if test else None


def _part(batches, limit) -> Part:
    """Every n-th image of a dataset in order."""
    rows = [batch if isinstance(batch, tuple) else (batch,) for batch in batches]
    total = sum(len(images) for images, *_ in rows)
    step = -(-total // limit)
    arrays = [np.concatenate(column)[::step] for column in zip(*rows, strict=True)]
    paths = getattr(batches, "file_paths", None)
    return Part(
        arrays[0],
        arrays[1] if len(arrays) == 2 else None,
        getattr(batches, "class_names", None),
        paths and paths[::step],
    )

"""Loaders of two-view batches and of images in order, and the embedded sample."""

from keras_contrastive.data.dataset_cache import DatasetCache
from keras_contrastive.data.epochs import set_epoch
from keras_contrastive.data.from_arrays import images_from_arrays, views_from_arrays
from keras_contrastive.data.from_dataset import views_from_dataset
from keras_contrastive.data.from_directory import (
    images_from_directory,
    list_images,
    views_from_directory,
)
from keras_contrastive.data.from_tfds import images_from_tfds, views_from_tfds
from keras_contrastive.data.sample import load_sample, sample_class_names
from keras_contrastive.pixel_values import to_255

__all__ = [
    "DatasetCache",
    "images_from_arrays",
    "images_from_directory",
    "images_from_tfds",
    "list_images",
    "load_sample",
    "sample_class_names",
    "set_epoch",
    "to_255",
    "views_from_arrays",
    "views_from_dataset",
    "views_from_directory",
    "views_from_tfds",
]

"""What a report is about: images with their features, checked once."""

import dataclasses
import functools

import keras
import numpy as np

from keras_contrastive.data.array_checks import checked_images, checked_labels
from keras_contrastive.evaluation.features import extract_features
from keras_contrastive.unit_vectors import l2_normalize

UNKNOWN = -1  # the label of an image without one


@dataclasses.dataclass(frozen=True, eq=False)
class ImageSet:
    """Images, their features, and what is known about them.

    Args:
        features: Float32 `(n, dim)`, finite.
        images: `(n, height, width, channels)` in [0, 255].
        labels: Int64 `(n,)`; -1 where there is none.
        numbers: Int64 `(n,)`: where the images stood in the user's arrays.
        class_names: Class `i` is `class_names[i]`; None: its number.
        file_paths: One for each of the user's images, or None.
        kind: What one of them is called, `"image"` or `"test image"`.
    """

    features: np.ndarray
    images: np.ndarray
    labels: np.ndarray
    numbers: np.ndarray
    class_names: list[str] | None = None
    file_paths: list[str] | None = None
    kind: str = "image"

    def __len__(self):
        return len(self.features)

    @functools.cached_property
    def unit(self) -> np.ndarray:
        """The features at length 1, float32 `(n, dim)`."""
        return np.asarray(l2_normalize(self.features))

    @functools.cached_property
    def labelled(self) -> np.ndarray:
        """The rows that have a label."""
        return np.flatnonzero(self.labels != UNKNOWN)

    def take(self, rows) -> "ImageSet":
        """Return some of the rows."""
        parts = ("features", "images", "labels", "numbers")
        return dataclasses.replace(
            self, **{name: getattr(self, name)[rows] for name in parts}
        )

    def draw(self, count: int, seed: int) -> "ImageSet":
        """Return at most `count` rows, drawn at random, in their order."""
        if len(self) <= count:
            return self
        chosen = np.random.default_rng(seed).choice(len(self), count, replace=False)
        return self.take(np.sort(chosen))

    def name(self, row: int) -> str:
        """Return what a user calls this image: its file, or its number."""
        number = self.numbers[row]
        if self.file_paths is None:
            return f"{self.kind} {number}"
        return self.file_paths[number]

    def class_name(self, label: int) -> str:
        """Return the name of a class."""
        if label == UNKNOWN:
            return "unlabelled"
        if self.class_names is None:
            return f"class {label}"
        return self.class_names[label]

    def caption(self, row: int) -> str:
        """Return the name of an image and, if it has one, of its class."""
        label = self.labels[row]
        known = label != UNKNOWN
        return self.name(row) + (f", {self.class_name(label)}" if known else "")


def check_images(features, images, labels, class_names, file_paths) -> ImageSet:
    """Return the images of a report, or say what is wrong with them.

    Args:
        features: `(n, dim)`, or the encoder that gives them.
        images: `(n, height, width, channels)` in [0, 255].
        labels: Integers `(n,)`, -1 where there is none; or None.
        class_names: Names, or None.
        file_paths: `n` paths, or None.

    Raises:
        ValueError: Lengths that differ, features that are not finite, a label without
            a name.
    """
    return _check(features, images, labels, class_names, file_paths, "image")


def check_test(test, of: ImageSet, encoder) -> ImageSet | None:
    """Return the test images `(features, images, labels)`, checked as the others.

    Raises:
        ValueError: As `check_images`; another number of features; not three parts.
    """
    if test is None:
        return None
    if not isinstance(test, tuple | list) or len(test) != 3:
        raise ValueError(
            "`test` must be (features, images, labels). Received: "
            f"{type(test).__name__} of {len(test) if hasattr(test, '__len__') else 1}"
        )
    features, images, labels = test
    features = encoder if features is None and encoder is not None else features
    test = _check(features, images, labels, of.class_names, None, "test image")
    if test.features.shape[1] != of.features.shape[1]:
        raise ValueError(
            "The test images must have features of the same encoder. Received: "
            f"{test.features.shape[1]} features, and {of.features.shape[1]} of the "
            "others."
        )
    return test


def _check(features, images, labels, class_names, file_paths, kind):
    try:
        images = checked_images(images)
        count = len(images)
        if labels is None:
            labels = np.full(count, UNKNOWN)
        labels = checked_labels(labels, count)
    except ValueError as error:
        raise ValueError(f"Of the {kind}s, {error}") from None
    if isinstance(features, keras.Model):
        features = extract_features(features, images)
    features = _check_features(features, count, kind)
    names = None if class_names is None else [str(name) for name in class_names]
    _check_names(labels, names, kind)
    if file_paths is not None:
        file_paths = [str(path) for path in file_paths]
        _check_length("file_paths", len(file_paths), count, kind)
    numbers = np.arange(count)
    return ImageSet(features, images, labels, numbers, names, file_paths, kind)


def _check_features(features, count, kind):
    features = np.asarray(features, "float32")
    if features.ndim != 2:
        raise ValueError(
            f"The features of the {kind}s must have shape (n, dim). Received: shape "
            f"{features.shape}. Use kc.evaluation.extract_features(encoder, images), "
            "or pass the encoder."
        )
    _check_length("features", len(features), count, kind)
    bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if len(bad):
        raise ValueError(
            f"The features of the {kind}s must be finite. Received: NaN or infinity in "
            f"{len(bad)} of {count} rows, first in row {bad[0]}. Was the encoder "
            "trained to the end, and are its images in [0, 255]?"
        )
    return features


def _check_length(name, received, expected, kind):
    if received != expected:
        raise ValueError(
            f"`{name}` must have one row for each {kind}. Received: {received} "
            f"for {expected} {kind}s. Pass all of them in the same order."
        )


def _check_names(labels, class_names, kind):
    if labels.min() < UNKNOWN:
        raise ValueError(
            f"The labels of the {kind}s must be classes from 0 on, or -1 where there "
            f"is none. Received: {labels.min()}"
        )
    if class_names is not None and labels.max() >= len(class_names):
        raise ValueError(
            "`class_names` must name every class; class i is class_names[i]. Received: "
            f"{len(class_names)} names, and {kind}s of class {labels.max()}"
        )

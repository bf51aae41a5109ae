"""The two numbers of an encoder, by one protocol for the zoo and for its checks."""

import os
import pathlib

import numpy as np

from keras_contrastive.data import (
    images_from_arrays,
    images_from_directory,
    images_from_tfds,
)
from keras_contrastive.data.sample import load_sample
from keras_contrastive.evaluation import (
    extract_features,
    knn_accuracy,
    linear_probe,
    split_by_class,
)

SAMPLE = "sample"
_K, _TEMPERATURE = 20, 0.1
# Half of linear_probe's default: 60,000 x 128 features take under a minute on 2 cores.
_CANDIDATES = (1e-3, 1e-2, 1e-1, 1.0)
# Enough to tell encoders apart, and small enough to be tested for every preset.
_SAMPLE_TRAIN = 2000
# One there: it converges, so that rounding moves the result by 0.2 points at most.
_SAMPLE_CANDIDATES = (3e-2,)


def measure(encoder, dataset=SAMPLE, data_dir=None, value_range=None) -> dict:
    """Measure kNN and linear accuracy of an encoder's features.

    These are the numbers in a preset's `metrics.json`, and `kc.zoo.verify` calls the
    same function. `"sample"` needs nothing but the package: the first 2,000 training
    and all 2,000 test images of `kc.data.load_sample()`. Any other data set is read
    through TensorFlow Datasets, whole, if it is prepared; nothing is downloaded, and
    the linear classifier's regularisation is chosen on held-out training images.

    Images of your own are a folder with one folder for each class: a fifth of each
    class is held out to test on (`split_by_class`), unless the folder holds `train` and
    `test`. What cannot be read is left out with a warning, and so is what is in no
    class folder. Or they are arrays, also as `images.npy` and `labels.npy` in a folder.

    Images are resized to the encoder's input, gray is repeated as colour and colour
    becomes luminance where the encoder needs it.

    Args:
        encoder: A functional `keras.Model` from images in [0, 255] to `(batch, dim)`,
            or a `ContrastiveModel`.
        dataset: `"sample"`; a name such as `"fashion_mnist"`, with the splits train
            and test (or validation); a folder, as a `pathlib.Path`; or
            `((train_x, train_y), (test_x, test_y))`.
        data_dir: Where prepared data sets lie; by default the environment variable
            `TFDS_DATA_DIR`, else `~/tensorflow_datasets`.
        value_range: Of your own images of more than 8 bits, as in `kc.data.to_255`.

    Returns:
        `{"knn": fraction, "linear": fraction, "protocol": {...}}`: accuracies in
        [0, 1] on the test images, and how they were made, in words.

    Raises:
        LookupError: The data set is not prepared where it was looked for, or the
            folder has no class folders.
        ValueError: The data set has no images, labels or test split.
        ImportError: scikit-learn is missing.

    Example:
    >>> kc.zoo.measure(kc.encoders.resnet(depth=10, width=4))["protocol"]["knn"]
    'cosine, k=20, temperature=0.1'
    """
    parts = labelled_features(encoder, dataset, data_dir, value_range)
    (x, y), (test_x, test_y) = parts
    candidates = _SAMPLE_CANDIDATES if dataset == SAMPLE else _CANDIDATES
    return {
        "knn": knn_accuracy(x, y, test_x, test_y, _K, _TEMPERATURE),
        "linear": linear_probe(x, y, test_x, test_y, candidates=candidates),
        "protocol": {
            "features": "encoder output, inference mode, float32; images resized "
            "(bilinear, antialiased) and gray or colour as the encoder's input",
            "knn": f"cosine, k={_K}, temperature={_TEMPERATURE}",
            "linear": f"kc.evaluation.linear_probe, candidates={candidates}",
            "train_images": len(y),
            "test_images": len(test_y),
        },
    }


def labelled_features(encoder, dataset, data_dir=None, value_range=None):
    """Return features and classes of the images to train and to test on.

    Args:
        encoder: As in `measure`.
        dataset: As in `measure`.
        data_dir: As in `measure`.
        value_range: As in `measure`.

    Returns:
        `((train_x, train_y), (test_x, test_y))`, of a folder with the names of the
        classes, else with their numbers.
    """
    encoder = getattr(encoder, "encoder", encoder)
    *size, channels = encoder.inputs[0].shape[1:]
    fit = {"image_size": None if None in size else tuple(size), "channels": channels}
    if isinstance(dataset, os.PathLike):
        fit["value_range"] = value_range
        return _features_of_folder(encoder, pathlib.Path(dataset), fit)
    parts = _parts(dataset, data_dir, fit, value_range)
    return [extract_features(encoder, part) for part in parts]


def _parts(dataset, data_dir, fit, value_range):
    """Labelled images to train and to test, made to fit the encoder."""
    if not isinstance(dataset, str):
        fit["value_range"] = value_range
        return [images_from_arrays(*pair, **fit) for pair in dataset]
    if dataset == SAMPLE:
        (x, y), test = load_sample()
        train = x[:_SAMPLE_TRAIN], y[:_SAMPLE_TRAIN]
        return [images_from_arrays(*pair, **fit) for pair in (train, test)]
    return [
        images_from_tfds(dataset, split, data_dir=data_dir, **fit)
        for split in prepared_splits(dataset, data_dir)
    ]


def prepared_splits(name, data_dir):
    """Names of the train and test split of a data set of TFDS on this machine."""
    import tensorflow_datasets as tfds

    folder = data_dir or tfds.core.constants.DATA_DIR
    try:
        builder = tfds.builder(name, data_dir=data_dir)
        found = builder.is_prepared()
    except (tfds.core.DatasetNotFoundError, AssertionError, ValueError) as error:
        found, reason = False, str(error).split("\n")[0]
    else:
        reason = "nothing is downloaded here"
    if not found:
        raise LookupError(
            f"The data set {name!r} is not prepared in '{folder}' ({reason}). Prepare "
            "it with TensorFlow Datasets, or say where it is with data_dir= or "
            "TFDS_DATA_DIR."
            + f" For the folder pass pathlib.Path({name!r})."
            * os.path.isdir(name)
        )
    splits = builder.info.splits
    test = "test" if "test" in splits else "validation"
    if not {"train", test} <= {*splits} or not {"image", "label"} <= {
        *builder.info.features
    }:
        raise ValueError(
            "`dataset` must have the splits train and test (or validation), and the "
            f"features image and label. Received: {name!r} with {sorted(splits)} and "
            f"{sorted(builder.info.features)}"
        )
    return "train", test


def folder_parts(path) -> list[pathlib.Path]:
    """Return `train` and `test` of a folder that holds both, or the folder alone."""
    parts = [path / "train", path / "test"]
    return parts if all(part.is_dir() for part in parts) else [path]


def arrays_of_folder(path):
    """Return `images.npy` and `labels.npy` (or None) of a folder, or None."""
    if not (path / "images.npy").exists():
        return None
    labels = path / "labels.npy"
    return (
        np.load(path / "images.npy", mmap_mode="r"),
        np.load(labels) if labels.exists() else None,
    )


def images_of_folder(path, value_range=None, labels=True, **fit):
    """Return the images of a folder in order: files, or those of `images.npy`.

    Args:
        path: The folder.
        value_range: Of more than 8 bits, as in `kc.data.to_255`.
        labels: Whether to return them.
        **fit: `image_size` and `channels`.

    Returns:
        As `images_from_directory`, of which broken files are left out.
    """
    arrays = arrays_of_folder(path)
    if arrays is None:
        fit.update(value_range=value_range, labels=labels)
        return images_from_directory(path, on_error="skip", **fit)
    x, y = arrays
    fit["value_range"] = None if x.dtype == np.uint8 else value_range
    images = images_from_arrays(x, y if labels else None, **fit)
    images.file_paths = [f"{path / 'images.npy'}[{i}]" for i in range(len(x))]
    return images


def _features_of_folder(encoder, path, fit):
    """Features and class names of a folder's two parts, to train and to test."""
    folders = folder_parts(path)
    if len(folders) > 1:
        return [_labelled_features(encoder, folder, fit) for folder in folders]
    features, names = _labelled_features(encoder, path, fit)
    return [(features[part], names[part]) for part in split_by_class(names)]


def _labelled_features(encoder, path, fit):
    images, names = images_of_folder(path, **fit), None
    if isinstance(images.element_spec, tuple):  # with labels
        features, labels = extract_features(encoder, images)
        known = labels != -1
        features, labels = features[known], labels[known]
        names = images.class_names or [
            str(i) for i in range(max(labels, default=0) + 1)
        ]
    if len(names or ()) < 2:
        raise LookupError(
            "A folder to measure on must have one folder of images for each class, two "
            "at least, or images.npy and labels.npy. Received: "
            f"'{path}' with the classes {names}"
        )
    return features, np.array(names)[labels]

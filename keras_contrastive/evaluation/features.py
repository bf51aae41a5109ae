"""Images to features, in inference mode."""

import os
import weakref

import keras
import numpy as np
import tensorflow as tf

from keras_contrastive.data import images_from_directory
from keras_contrastive.encoder_checks import check_encoder
from keras_contrastive.pixel_values import spread_tensor, to_255

_EXPECTED = (
    "expected images (batch, height, width, channels): an array, a tf.data.Dataset "
    "that yields `images` or `(images, labels)`, or the path of a folder"
)

# The compiled forward pass of each encoder, so that calling again costs no tracing.
# Not `encoder.predict`: without compile() it uses XLA, which is slower on CPUs.
_compiled: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def extract_features(encoder, dataset_or_images, batch_size: int = 256):
    """Compute the features of images, without augmentation and in inference mode.

    Features are what the encoder gives, before any projection head: that is what
    transfers (Chen et al., 2020, section 4.2), so that is what evaluation looks at.

    Args:
        encoder: A functional `keras.Model` from images to features `(batch, dim)`, or
            a `ContrastiveModel`, whose `encoder` is used.
        dataset_or_images: Images in [0, 255], of any dtype, or uint16, which is divided
            by 257 (see `kc.data.to_255`): an array or tensor of shape `(n, height,
            width, channels)`, or a finite `tf.data.Dataset` of `images`, `(images,)`,
            `(images, labels)` or `((images,), labels)`, batched or not. Or the path of
            a folder, read by `kc.data.images_from_directory` at the size and the
            channels of the encoder; call that yourself for the files' names, to skip
            broken ones, or with a `value_range`.
        batch_size: Images per step for arrays, folders and datasets that are not
            batched.

    Returns:
        Float32 array `features` of shape `(n, dim)`; for a dataset with labels, or a
        folder of class folders, the pair `(features, labels)`, both NumPy arrays.

    Raises:
        TypeError: Neither images, a dataset nor a path, or an encoder that is not a
            model.
        ValueError: Views instead of images, images of a wrong shape, no images, a
            dataset without end, or a folder for an encoder that takes any size.

    Example:
    >>> encoder = keras_contrastive.encoders.resnet(depth=10, width=16)
    >>> images = np.random.randint(0, 256, (8, 32, 32, 3), "uint8")
    >>> keras_contrastive.evaluation.extract_features(encoder, images).shape
    (8, 128)
    """
    encoder = getattr(encoder, "encoder", encoder)
    check_encoder(encoder)
    forward = _compiled_forward(encoder)
    if isinstance(dataset_or_images, str | os.PathLike):
        dataset_or_images = _folder(encoder, dataset_or_images, batch_size)
    if isinstance(dataset_or_images, tf.data.Dataset):
        return _features_of_dataset(encoder, forward, dataset_or_images, batch_size)

    images = dataset_or_images
    if isinstance(images, tuple | list | dict) or not hasattr(images, "shape"):
        raise TypeError(
            f"extract_features {_EXPECTED}. Received: {type(images).__name__}. Pass "
            "the images alone; their labels are not needed."
        )
    _check_images(encoder, images.shape)
    if images.shape[0] == 0:
        raise ValueError(f"extract_features {_EXPECTED}. Received: no images.")
    if tf.as_dtype(images.dtype) == tf.uint16:
        images = to_255(images)
    batches = (
        images[start : start + batch_size]
        for start in range(0, images.shape[0], batch_size)
    )
    return np.concatenate([_run(forward, batch) for batch in batches])


def _folder(encoder, path, batch_size):
    *size, channels = encoder.inputs[0].shape[1:]
    if None in (*size, channels):
        raise ValueError(
            "To read a folder extract_features needs an encoder of one image size. "
            f"Received: images of shape {(*size, channels)}. Pass "
            "kc.data.images_from_directory(path, image_size=..., channels=...), or a "
            "dataset of your own."
        )
    return images_from_directory(
        path, image_size=tuple(size), channels=channels, batch_size=batch_size
    )


def _compiled_forward(encoder):
    if encoder not in _compiled:
        reference = weakref.ref(encoder)  # or the entry would keep its own key alive
        spec = tf.TensorSpec(encoder.inputs[0].shape, encoder.inputs[0].dtype)
        function = tf.function(lambda images: reference()(images, training=False))
        # Traced here: TensorFlow takes calls with one encoder after the other, whose
        # lambda is at the same line, for retracing of one function, and warns.
        _compiled[encoder] = function.get_concrete_function(spec)
    return _compiled[encoder]


def _run(forward, images):
    if tf.as_dtype(images.dtype) == tf.uint16:  # of a dataset
        images = spread_tensor(images)
    images = tf.cast(images, forward.inputs[0].dtype)
    return forward(images).numpy().astype("float32")


def _features_of_dataset(encoder, forward, dataset, batch_size):
    images_spec, labels_spec = images_and_labels(dataset.element_spec)
    _check_end(dataset, "extract_features")
    if images_spec.shape.rank == 3:
        dataset = dataset.batch(batch_size)
        images_spec = tf.TensorSpec((None, *images_spec.shape), images_spec.dtype)
    _check_images(encoder, images_spec.shape)

    features, labels = [], []
    for element in dataset.prefetch(tf.data.AUTOTUNE):
        images, batch_labels = images_and_labels(element)
        features.append(_run(forward, images))
        labels.append(None if labels_spec is None else batch_labels.numpy())
    if not features:
        raise ValueError(f"extract_features {_EXPECTED}. Received: an empty dataset.")
    features = np.concatenate(features)
    return features if labels_spec is None else (features, np.concatenate(labels))


def features_of_views(encoder, dataset):
    """Compute the features of both views of each image, in one pass.

    Args:
        encoder: As in `extract_features`.
        dataset: A finite, batched `tf.data.Dataset` of `((view_1, view_2),)` or
            `((view_1, view_2), label)`, images in [0, 255].

    Returns:
        Two float32 arrays `(n, dim)`, whose rows belong together.

    Raises:
        TypeError: No dataset, or an encoder that is not a model.
        ValueError: A dataset of anything else, without end, or without an element.
    """
    encoder = getattr(encoder, "encoder", encoder)
    check_encoder(encoder)
    expected = "expected a batched dataset of ((view_1, view_2), label)"
    if not isinstance(dataset, tf.data.Dataset):
        raise TypeError(
            f"`views_dataset` {expected}. Received: {type(dataset).__name__}. "
            "keras_contrastive.data.views_from_arrays makes one."
        )
    element = dataset.element_spec
    views = element[0] if isinstance(element, tuple) else element
    if not isinstance(views, tuple) or len(views) != 2:
        raise ValueError(
            f"`views_dataset` {expected}. Received: {_describe(element)}. Yield two "
            "views as one tuple, `((view_1, view_2),)` without labels."
        )
    _check_end(dataset, "views_dataset")
    for view in views:
        _check_images(encoder, view.shape)
    forward = _compiled_forward(encoder)
    features = [
        [_run(forward, view) for view in views]
        for views, *_ in dataset.prefetch(tf.data.AUTOTUNE)
    ]
    if not features:
        raise ValueError(f"`views_dataset` {expected}. Received: an empty dataset.")
    return [np.concatenate(part) for part in zip(*features, strict=True)]


def images_and_labels(element):
    """Split what a dataset yields (or its `element_spec`) into images and labels.

    Args:
        element: `images`, `(images,)`, `(images, labels)` or `((images,), labels)`.

    Returns:
        `(images, labels)`; labels are None where there are none.

    Raises:
        ValueError: Anything else; two views of the images in particular.
    """
    images, labels = element, None
    if isinstance(images, tuple) and len(images) == 2:
        images, labels = images
    if isinstance(images, tuple) and len(images) == 1:
        images = images[0]
    # A bare pair of views looks like (images, labels) with labels of an image's rank.
    rank = tf.TensorShape(getattr(labels, "shape", ())).rank
    pair_of_views = rank is not None and rank >= 3
    if isinstance(images, tuple) or pair_of_views:
        raise ValueError(
            f"extract_features {_EXPECTED}. Received: a dataset of several views, "
            f"{_describe(element)}. Features are taken of the images themselves: pass "
            "the dataset before its augmentation."
        )
    if keras.tree.is_nested(images) or keras.tree.is_nested(labels):
        raise ValueError(
            f"extract_features {_EXPECTED}. Received: {_describe(element)}. Map it "
            'first, for example `ds.map(lambda x: (x["image"], x["label"]))`.'
        )
    return images, labels


def _check_end(dataset, who):
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError(
            f"{who} expected a dataset with an end. Received: one that repeats for "
            "ever. Leave out `.repeat()`, or add `.take(number_of_batches)`"
        )


def _describe(element):
    return keras.tree.map_structure(lambda x: tuple(x.shape), element)


def _check_images(encoder, shape):
    expected = encoder.inputs[0].shape
    if not tf.TensorShape(expected).is_compatible_with(shape):
        raise ValueError(
            f"Encoder {encoder.name!r} expects images of shape {tuple(expected)}. "
            f"Received: images of shape {tuple(shape)}. Resize them, add the channel "
            "axis, or build the encoder with this `input_shape`."
        )

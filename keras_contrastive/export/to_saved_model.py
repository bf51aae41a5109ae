"""Encoder to SavedModel: a version folder that is checked before it appears."""

import pathlib

import keras
import numpy as np
import tensorflow as tf

from keras_contrastive.distribute import outside_strategy
from keras_contrastive.export import clean_process, reference, version_folder
from keras_contrastive.export.description import write_description
from keras_contrastive.export.output import kind, output_name
from keras_contrastive.export.parity import saved_model_failures
from keras_contrastive.export.rebuild import float32_encoder
from keras_contrastive.export.serving_signatures import write_saved_model
from keras_contrastive.export.warm_up import write_warm_up
from keras_contrastive.files import (
    MemoryFile,
    full_disk,
    temporary_sibling,
    write_bytes,
    write_model,
)


def to_saved_model(
    encoder: keras.Model,
    path,
    version: int | None = None,
    image_size: tuple[int, int] | None = None,
    images=None,
    metadata: dict | None = None,
) -> pathlib.Path:
    """Export an encoder as a SavedModel that needs no Python of this package.

    The folder `path/<version>` appears at once, complete and checked: the model is
    written to a hidden sibling, run by TensorFlow alone in a new process, compared
    with `encoder(images)` through every signature, and then renamed.

    It holds the SavedModel (signatures `serving_default`, `uint8`, `normalized` and
    `serve_bytes`, described in `manifest.json`; `serve_bytes` takes image files, turns
    them upright as EXIF says, and marks in its output `ok` those that can be read, so
    that no file fails another), the same
    encoder for fine-tuning (`encoder.keras`, `encoder.weights.h5`), `manifest.json`,
    `model_card.md`, `golden.npz` (images and their features) and, with
    `tensorflow-serving-api`, warm-up requests in `assets.extra`.

    A classifier is exported as well: a model whose last layer is named `logits` or
    `probabilities`, as `kc.evaluation` builds them, or has a softmax. Its output has
    that name, `class_names` beside it are the most probable classes where the model
    knows their names, and its files are `classifier.keras` and
    `classifier.weights.h5`.

    Args:
        encoder: A `keras.Model` from images `(batch, height, width, channels)` in
            [0, 255] to features `(batch, dim)`, or a `ContrastiveModel`, whose
            encoder is taken. Mixed precision becomes float32.
        path: The base folder, new or with versions in it.
        version: Number of the version; by default the next free one.
        image_size: `(height, width)` for `serve_bytes`; needed only for an encoder
            whose input leaves them open.
        images: Images to check with, `(n, height, width, channels)` in [0, 255]; by
            default synthetic ones. 32 to 256 real images are better.
        metadata: What the model card and the manifest say about the model; the keys
            `method`, `data`, `metrics` (a dict) and `licence` have places of their
            own. JSON values.

    Returns:
        `path/<version>`. `tf.saved_model.load` of it works anywhere.

    Raises:
        TypeError: `encoder` is not a model.
        ValueError: It is not an encoder; `path` is a file, a version folder or holds
            other things; `version` is taken; `images` do not fit.
        OSError: The folder cannot be written, or the disk is full.
        RuntimeError: The SavedModel differs from the encoder; nothing is left behind.

    Example:
    >>> encoder = kc.encoders.resnet(depth=10, width=4)
    >>> kc.export.to_saved_model(encoder, "models/birds")
    PosixPath('models/birds/1')
    >>> model = tf.saved_model.load("models/birds/1")
    >>> images = tf.zeros((2, 32, 32, 3))
    >>> model.signatures["serving_default"](images=images)["features"].shape
    TensorShape([2, 32])
    """
    base = version_folder.check_base(path)
    version_folder.check_version(base, version)
    metadata = dict(metadata or {})
    if isinstance(getattr(encoder, "encoder", None), keras.Model):
        metadata.setdefault("method", type(encoder).__name__)
    encoder = float32_encoder(encoder)
    size = _size(encoder, image_size)
    if images is None:
        images = reference.synthetic_images((*size, encoder.inputs[0].shape[-1]))
    images = reference.check_images(encoder, images)

    num_bytes = 3 * 4 * encoder.count_params()  # float32, in three files
    with full_disk(base, num_bytes), temporary_sibling(base) as folder:
        outside_strategy(lambda: _write(encoder, folder, base, size, images, metadata))
        return version_folder.publish(folder, base, version)


def _write(encoder, folder, base, size, images, metadata):
    signatures = write_saved_model(encoder, folder, size)
    if "serve_bytes" not in signatures:
        print(
            "export: no signature serve_bytes. Image files that TensorFlow decodes "
            f"have 1 or 3 channels, and the encoder {encoder.inputs[0].shape[-1]}; "
            "it cannot decode TIFF. Send pixels in [0, 255] to serving_default."
        )
    write_model(folder / f"{kind(encoder)}.keras", encoder)
    weights = MemoryFile(".weights.h5")
    encoder.save_weights(weights)
    write_bytes(folder / f"{kind(encoder)}.weights.h5", weights.getvalue())

    expected = reference.reference_features(encoder, images)
    encoded, expected_of_encoded = [], None
    if "serve_bytes" in signatures:
        encoded = reference.encoded_examples(images)
        expected_of_encoded = reference.reference_of_encoded(encoder, encoded, size)
    output = output_name(encoder)
    outputs, facts = clean_process.run(
        "saved_model", folder, images, encoded, output=output
    )
    failures, differences = saved_model_failures(
        outputs, facts, expected, expected_of_encoded
    )
    if failures:
        raise RuntimeError(
            f"The SavedModel does not give the {kind(encoder)}'s {output} in a process "
            f"of its own, and is not kept: {'; '.join(failures)}."
        )

    golden = slice(0, 4)
    np.savez(
        folder / "golden.npz", **{"images": images[golden], output: expected[golden]}
    )
    warmed_up = write_warm_up(folder, base.name, signatures, images[:1], encoded[:1])
    write_description(
        folder,
        encoder,
        name=base.name,
        size=size,
        signatures=signatures,
        differences=differences,
        warmed_up=warmed_up,
        metadata=metadata,
    )


def _size(encoder, image_size):
    """`(height, width)` of the images that `serve_bytes` makes."""
    size = tuple(encoder.inputs[0].shape[1:3])
    if image_size is None and None not in size:
        return size
    image_size = (image_size,) * 2 if isinstance(image_size, int) else image_size
    given = tf.TensorShape(image_size if image_size is not None else (None, None))
    if not given.is_fully_defined() or not given.is_compatible_with(size):
        raise ValueError(
            "`image_size` must be (height, width) as the encoder takes them: "
            f"{size}, where None is free. Received: image_size={image_size!r}"
        )
    return tuple(image_size)

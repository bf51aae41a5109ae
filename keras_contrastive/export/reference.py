"""Images to check an artefact with, and the features it must give for them."""

import numpy as np
import tensorflow as tf

from keras_contrastive.image_io import decode_image, resize_and_center_crop
from keras_contrastive.pixel_values import to_255


def synthetic_images(shape, count: int = 32, seed: int = 0):
    """Make images with structure at every scale, for checks without real images.

    Sums of noise at several resolutions, each image stretched to [0, 255]: unlike
    white noise they drive an encoder about as photographs do.

    Args:
        shape: `(height, width, channels)`.
        count: How many.
        seed: The same seed gives the same images.

    Returns:
        uint8 array `(count, height, width, channels)`.
    """
    height, width, channels = shape
    rng = np.random.default_rng(seed)
    images = np.zeros((count, height, width, channels), "float32")
    side = 2
    while side <= 2 * max(height, width):
        noise = rng.normal(size=(count, side, side, channels)).astype("float32")
        images += tf.image.resize(noise, (height, width)).numpy() / side**0.5
        side *= 2
    low = images.min(axis=(1, 2, 3), keepdims=True)
    high = images.max(axis=(1, 2, 3), keepdims=True)
    return np.round(255 * (images - low) / np.maximum(high - low, 1e-6)).astype("uint8")


def check_images(encoder, images):
    """Check images that an artefact is to be compared on.

    Args:
        encoder: The encoder, for the shape it expects.
        images: What a user passed.

    Returns:
        The images as a uint8 array, `(n, height, width, channels)`, rounded if need
        be: the artefacts that take uint8 must get the same ones.

    Raises:
        ValueError: A wrong shape, none at all, NaN, or not in [0, 255].
    """
    images = np.asarray(images)
    images = to_255(images) if images.dtype == np.uint16 else images
    expected = encoder.inputs[0].shape
    if images.ndim != 4 or not tf.TensorShape(expected).is_compatible_with(
        images.shape
    ):
        raise ValueError(
            f"`images` must have the shape {tuple(expected)}. Received: images of "
            f"shape {images.shape}. Resize them, or add the channel axis."
        )
    if not len(images):
        raise ValueError("`images` must hold at least one image. Received: none.")
    low, high = float(images.min()), float(images.max())
    if not 0 <= low <= high <= 255:
        raise ValueError(
            "`images` must be in [0, 255]; scaling is a part of the encoder. "
            f"Received: values from {low:.4g} to {high:.4g}."
        )
    return np.round(images).astype("uint8")


def reference_features(encoder, images, batch_size: int = 64):
    """Features by the encoder itself, eagerly, in inference mode and on the CPU.

    A GPU would round differently (TF32) from the CPU that runs the artefact.

    Args:
        encoder: A float32 encoder.
        images: Array `(n, height, width, channels)`.
        batch_size: Images per call.

    Returns:
        float32 array `(n, dim)`.
    """
    dtype = encoder.inputs[0].dtype
    with tf.device("CPU:0"):
        parts = [
            encoder(tf.cast(images[start : start + batch_size], dtype), training=False)
            for start in range(0, len(images), batch_size)
        ]
        return np.concatenate([np.asarray(part, "float32") for part in parts])


def encoded_examples(images, count: int = 8):
    """JPEG and PNG files of several sizes and aspect ratios, made of images.

    Args:
        images: uint8 array `(n, height, width, channels)` with 1 or 3 channels.
        count: How many files.

    Returns:
        List of bytes.
    """
    files = []
    for index, image in enumerate(np.clip(images[:count], 0, 255)):
        height, width = image.shape[0] + 7 * index, image.shape[1] + 11 * (index % 3)
        resized = tf.cast(tf.image.resize(image, (height, width)), tf.uint8)
        encode = tf.io.encode_png if index % 2 else tf.io.encode_jpeg
        files.append(encode(resized).numpy())
    return files


def reference_of_encoded(encoder, files, size):
    """Features of encoded files: decode, resize, encoder."""
    channels = encoder.inputs[0].shape[-1]
    with tf.device("CPU:0"):
        images = [
            resize_and_center_crop(decode_image(x, channels), size) for x in files
        ]
    return reference_features(encoder, tf.stack(images).numpy())

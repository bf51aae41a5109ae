"""From encoded bytes to the image an encoder sees, in TensorFlow ops alone.

The serving signature `serve_bytes` decodes as `keras_contrastive.data` decodes folders
and resizes as `augmentations.evaluation` does, so that training and serving agree.

EXIF orientation is *not* applied: TensorFlow's decoders ignore it, in folders and in
serving alike. A photograph is read as its pixels are stored; where that matters, turn
it upright first (for example with `PIL.ImageOps.exif_transpose`).
"""

import tensorflow as tf

from keras_contrastive.data import decoding

MAX_PIXELS = 25_000_000


def decode_image(data, channels: int = 3, max_pixels: int = MAX_PIXELS):
    """Decode one JPEG or PNG, refusing by its header what would fill the memory.

    Width times height is read from the header before anything is decoded. The rest
    is the decoder of folders: alpha is dropped, CMYK becomes RGB, 16 bits become 8,
    EXIF orientation is ignored. GIF, BMP and WebP are refused although a folder may
    hold them: their headers do not bound what their frames take.

    Args:
        data: Scalar string tensor, the bytes of the file.
        channels: 3 for RGB, 1 for grayscale.
        max_pixels: Images with more pixels than this are refused.

    Returns:
        uint8 tensor `(height, width, channels)` in [0, 255].

    Raises:
        ValueError: `channels` is neither 1 nor 3.
        tf.errors.InvalidArgumentError: Neither JPEG nor PNG, a damaged file, or too
            many pixels. In a graph it comes when the graph runs.

    Example:
    >>> png = tf.io.encode_png(tf.zeros((4, 5, 3), "uint8"))
    >>> decode_image(png).shape
    TensorShape([4, 5, 3])
    """
    if channels not in (1, 3):
        raise ValueError(f"`channels` must be 1 or 3. Received: channels={channels!r}")
    data = tf.convert_to_tensor(data, tf.string)
    is_jpeg = tf.strings.substr(data, 0, 3) == b"\xff\xd8\xff"
    is_png = tf.strings.substr(data, 0, 8) == b"\x89PNG\r\n\x1a\n"
    known = tf.debugging.Assert(
        is_jpeg | is_png,
        [
            "Expected the bytes of a JPEG or PNG image. Received bytes that are "
            "neither; their number:",
            tf.strings.length(data),
        ],
    )
    with tf.control_dependencies([known]):
        height, width = tf.cond(
            is_jpeg, lambda: _jpeg_size(data), lambda: _png_size(data)
        )
    small_enough = tf.debugging.Assert(
        height * width <= max_pixels,
        [
            f"Expected an image of at most {max_pixels} pixels. Received one of this "
            "height and width by its header:",
            height,
            width,
            "Make it smaller first.",
        ],
    )
    with tf.control_dependencies([small_enough]):
        data = tf.identity(data)
    return decoding.decode_image(data, channels)


def _jpeg_size(data):
    shape = tf.cast(tf.io.extract_jpeg_shape(data), tf.float64)
    return shape[0], shape[1]


def _png_size(data):
    """Height and width from IHDR, the first chunk of every PNG: bytes 16 to 23."""
    padded = tf.strings.join([data, b"\x00" * 24])  # a shorter file cannot raise here
    header = tf.io.decode_raw(tf.strings.substr(padded, 16, 8), tf.uint8)
    digits = tf.reshape(tf.cast(header, tf.float64), (2, 4))  # big-endian
    places = tf.constant([2**24, 2**16, 2**8, 1], tf.float64)
    size = tf.reduce_sum(digits * places, axis=1)
    return size[1], size[0]


def evaluation_transform(image, size, crop_fraction: float = 0.875):
    """Do what `augmentations.evaluation` does, computing only the pixels that stay.

    The image is resized (bilinear with antialias) until `size` is `crop_fraction` of
    it, and its centre is taken; one that has `size` passes unchanged. Resize and crop
    are one operation here, so that an image of 20,000 x 1 pixels, whose resized form
    would be 20 million pixels, costs nothing.

    Args:
        image: `(height, width, channels)`, uint8 or float, in [0, 255].
        size: `(height, width)` in pixels.
        crop_fraction: Share of the resized shorter side that is kept, in (0, 1].

    Returns:
        float32 tensor `(*size, channels)` in [0, 255].

    Example:
    >>> evaluation_transform(tf.zeros((48, 64, 3)), (32, 32)).shape
    TensorShape([32, 32, 3])
    """
    shape, target = tf.shape(image)[:2], tf.constant(tuple(size))
    scale = tf.reduce_max(target / shape) / crop_fraction  # float64
    resized = tf.cast(tf.round(scale * tf.cast(shape, tf.float64)), tf.int32)
    resized = tf.where(
        tf.reduce_all(shape == target), target, tf.maximum(resized, target)
    )
    # What `tf.image.resize(..., antialias=True)` calls, with the crop as translation.
    image = tf.raw_ops.ScaleAndTranslate(
        images=image[None],
        size=target,
        scale=tf.cast(resized, tf.float32) / tf.cast(shape, tf.float32),
        translation=-tf.cast((resized - target) // 2, tf.float32),
        kernel_type="triangle",
        antialias=True,
    )[0]
    return tf.ensure_shape(image, (*size, image.shape[-1]))

"""From encoded bytes to the image an encoder sees, in TensorFlow ops alone.

Loaders, evaluation and the serving signature `serve_bytes` decode and resize by the
same functions, so that all of them give an encoder the same image.

EXIF orientation is *not* applied: TensorFlow's decoders ignore it, in folders and in
serving alike. A photograph is read as its pixels are stored; where that matters, turn
it upright first (for example with `PIL.ImageOps.exif_transpose`).
"""

import tensorflow as tf

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
    # Not above: loaders import this module.
    from keras_contrastive.data import decoding

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


def resize_and_center_crop(images, size, crop_fraction: float = 1.0):
    """Bring images to one size: the only geometry of loaders, evaluation and serving.

    The largest centred part with the aspect ratio of `size` (or `crop_fraction` of its
    sides) is cut out and resized, bilinearly and filtered against aliasing. Images that
    have `size` pass unchanged. What is cut away costs nothing.

    Args:
        images: `(height, width, channels)`, or a batch of one size,
            `(batch, height, width, channels)`. Any real dtype.
        size: Target `(height, width)` in pixels.
        crop_fraction: Share of the sides of the largest centred part that is kept, in
            (0, 1].

    Returns:
        Tensor `(*size, channels)` or `(batch, *size, channels)` of the same dtype;
        integers are rounded.

    Example:
    >>> resize_and_center_crop(tf.zeros((48, 64, 3), "uint8"), (32, 32)).shape
    TensorShape([32, 32, 3])
    """
    images, size = tf.convert_to_tensor(images), tuple(size)
    if images.shape[-3:-1] == size:
        return images
    shape = tf.shape(images)[-3:-1]
    images = tf.cond(
        tf.reduce_all(shape == size),
        lambda: images,
        lambda: _resize_and_center_crop(images, shape, size, crop_fraction),
    )
    return tf.ensure_shape(images, (*images.shape[:-3], *size, images.shape[-1]))


def _resize_and_center_crop(images, shape, size, crop_fraction):
    scale = tf.reduce_min(shape / size) * crop_fraction  # float64
    part = tf.cast(tf.round(scale * tf.constant(size, tf.float64)), tf.int32)
    height, width = tf.unstack(tf.maximum(part, 1))
    top, left = (shape[0] - height) // 2, (shape[1] - width) // 2
    part = images[..., top : top + height, left : left + width, :]
    resized = tf.image.resize(part, size, antialias=True)  # float32
    if images.dtype.is_integer:
        resized = tf.round(resized)
    return tf.cast(resized, images.dtype)

"""Encoded image files to uint8 tensors.

EXIF orientation is *not* applied, in folders as in serving (`image_io`): TensorFlow's
decoders ignore it. A photograph is read as its pixels are stored; where that matters,
turn it upright first (for example with `PIL.ImageOps.exif_transpose`).
"""

import re

import tensorflow as tf

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp")


def decode_image(contents, channels: int = 3):
    """Decodes JPEG, PNG, BMP, GIF (its first frame) or WebP (not animated).

    Grayscale images get three equal channels, alpha is dropped, CMYK becomes RGB,
    16 bits become 8; with `channels=1` colours become luminance. EXIF orientation is
    ignored. Palette BMP files
    with another palette than gray are read as gray: TensorFlow ignores the palette.

    Args:
        contents: Scalar string tensor.
        channels: 1 or 3.

    Returns:
        uint8 tensor of shape `(height, width, channels)`, in [0, 255].

    Raises:
        tf.errors.InvalidArgumentError: if the bytes are no complete image.
    """
    # TensorFlow 2.21 writes outside its buffer on animated WebP (the process dies
    # with "free(): corrupted unsorted chunks"), so such a file must not reach it.
    safe = tf.debugging.Assert(
        tf.logical_not(_is_animated_webp(contents)), ["animated WebP is not supported"]
    )
    with tf.control_dependencies([safe] if safe is not None else []):
        contents = tf.identity(contents)
    # All channels that there are: BMP, GIF and WebP refuse any other number.
    image = tf.io.decode_image(contents, channels=0, expand_animations=False)
    return _with_channels(image, channels)


def decode_jpeg_part(contents, window, channels: int = 3):
    """Decodes a window of a JPEG: the pixels that `decode_image` gives there.

    They are the same, but for those at edges of the window that are no edges of the
    image, where halved colour channels are interpolated without what lies outside.

    Args:
        contents: Scalar string tensor, a JPEG. Damage behind the window goes unseen.
        window: int32 tensor, `(top, left, height, width)`, within the image.
        channels: 1 or 3.

    Returns:
        uint8 tensor of shape `(height, width, channels)`, in [0, 255].

    Raises:
        tf.errors.InvalidArgumentError: if the window cannot be decoded.
    """
    return _with_channels(tf.io.decode_and_crop_jpeg(contents, window), channels)


def _with_channels(image, channels):
    image.set_shape((None, None, None))
    is_gray = tf.shape(image)[-1] < 3  # gray, or gray and alpha
    if channels == 1:
        image = tf.cond(
            is_gray,
            lambda: image[..., :1],
            lambda: tf.image.rgb_to_grayscale(
                tf.ensure_shape(image[..., :3], (None, None, 3))
            ),
        )
    else:
        image = tf.cond(
            is_gray,
            lambda: tf.repeat(image[..., :1], 3, axis=-1),
            lambda: image[..., :3],
        )
    return tf.ensure_shape(image, (None, None, channels))


def _is_animated_webp(contents):
    # RIFF <size> WEBP VP8X <size> <flags>: bit 1 of the flags says animation.
    header = tf.strings.join([tf.strings.substr(contents, 0, 21), b"\0" * 21])
    extended = tf.logical_and(
        tf.equal(tf.strings.substr(header, 8, 4), b"WEBP"),
        tf.equal(tf.strings.substr(header, 12, 4), b"VP8X"),
    )
    flags = tf.io.decode_raw(tf.strings.substr(header, 20, 1), tf.uint8)[0]
    return tf.logical_and(extended, tf.bitwise.bitwise_and(flags, 2) > 0)


def reason(error: Exception) -> str:
    """The sentence in a TensorFlow error, without node names."""
    text = getattr(error, "message", None) or str(error)
    text = re.sub(
        r"Error in user-defined function passed to .*?: (Iterator\S*: )?", "", text
    )
    text = re.sub(r"\{\{.*?\}\}|\[Op:.*?\]( name:)?", "", text).strip()
    return text.splitlines()[0].strip(" .") if text else type(error).__name__

"""From encoded bytes to the image an encoder sees, in TensorFlow ops alone.

Loaders, evaluation and the serving signature `serve_bytes` decode and resize by the
same functions, so that all of them give an encoder the same image.
"""

import tensorflow as tf

from keras_contrastive.image_headers import MAX_PIXELS, Header, apart, read_header
from keras_contrastive.pixel_values import spread_tensor


def decode_image(data, channels: int = 3, max_pixels: int = MAX_PIXELS):
    """Decode a JPEG, PNG, GIF (its first frame), BMP or WebP (not animated), upright.

    EXIF orientation is applied, in JPEG, PNG and WebP, as `PIL.ImageOps.exif_transpose`
    does. Grayscale images get three equal channels, alpha is dropped, CMYK becomes RGB,
    16 bits become 8; with `channels=1` colours become luminance. Palette BMP files with
    another palette than gray are read as gray: TensorFlow ignores the palette. TIFF is
    not read: TensorFlow has no decoder for it.

    A file that asks for too much is refused before it is decoded, see `read_header`. A
    photograph of 250 million pixels takes 0.75 GB, and some 2.5 GB while it is decoded
    from a progressive JPEG.

    Args:
        data: Scalar string tensor, the bytes of the file.
        channels: 3 for RGB, 1 for grayscale.
        max_pixels: Images with more pixels than this are refused.

    Returns:
        uint8 tensor `(height, width, channels)` in [0, 255].

    Raises:
        ValueError: `channels` is neither 1 nor 3.
        tf.errors.InvalidArgumentError: None of these formats, a damaged file, or one
            that is refused. In a graph it comes when the graph runs.

    Example:
    >>> png = tf.io.encode_png(tf.zeros((4, 5, 3), "uint8"))
    >>> decode_image(png).shape
    TensorShape([4, 5, 3])
    """
    if channels not in (1, 3):
        raise ValueError(f"`channels` must be 1 or 3. Received: channels={channels!r}")
    data = tf.convert_to_tensor(data, tf.string)
    return decode(read_header(data, max_pixels), channels)


def decode(header: Header, channels: int = 3):
    """Decode what `read_header` has let pass, as `decode_image` does."""
    # All channels that there are: BMP, GIF and WebP refuse any other number.
    image = tf.io.decode_image(header.contents, channels=0, expand_animations=False)
    return _upright(_with_channels(image, channels), header.orientation)


def decode_deep_image(data, channels: int = 3, value_range=None):
    """Decode what `decode_image` does, but a PNG of 16 bits without losing any.

    Args:
        data: Scalar string tensor, the bytes of the file.
        channels: 3 for RGB, 1 for grayscale.
        value_range: As in `to_255`, of 16 bits; other files have 8.

    Returns:
        float32 tensor `(height, width, channels)` in [0, 255].
    """
    header = read_header(data)

    def deep():
        image = tf.io.decode_png(header.contents, dtype=tf.uint16)
        image = spread_tensor(image, value_range)
        return _upright(_with_channels(image, channels), header.orientation)

    return tf.cond(
        is_deep_png(header.contents),
        deep,
        lambda: tf.cast(decode(header, channels), tf.float32),
    )


def is_deep_png(data):
    """Whether the bytes of a file are those of a PNG of 16 bits; scalar bool."""
    start = tf.strings.join([tf.strings.substr(data, 0, 25), b"\0" * 25])
    return (tf.strings.substr(start, 0, 8) == b"\x89PNG\r\n\x1a\n") & (
        tf.strings.substr(start, 24, 1) == b"\x10"
    )


def upright_size(header: Header):
    """Return height and width of the decoded image, int32 `(2,)`."""
    size = tf.stack([header.height, header.width])
    return tf.where(header.orientation > 4, size[::-1], size)


def decode_jpeg_part(header: Header, window, channels: int = 3):
    """Decode a window of a JPEG: the pixels that `decode` gives there.

    They are the same, but for those at edges of the window that are no edges of the
    image, where halved colour channels are interpolated without what lies outside.

    Args:
        header: What `read_header` found. Damage behind the window goes unseen.
        window: int32 tensor, `(top, left, height, width)`, within the upright image.
        channels: 1 or 3.

    Returns:
        uint8 tensor of shape `(height, width, channels)`, in [0, 255].

    Raises:
        tf.errors.InvalidArgumentError: if the window cannot be decoded.
    """
    window = tf.convert_to_tensor(window, tf.int32)
    stored = tf.cond(
        header.orientation == 1, lambda: window, lambda: _as_stored(header, window)
    )
    image = tf.io.decode_and_crop_jpeg(header.contents, stored)
    return _upright(_with_channels(image, channels), header.orientation)


# An orientation above 4 exchanges rows and columns first. Then all of them mirror:
# 1 and 5 nothing, 2 and 6 left and right, 4 and 8 top and bottom, 3 and 7 both.


def _upright(image, orientation):
    upright = tf.cond(
        orientation == 1, lambda: image, lambda: apart(_turned, image, orientation)
    )
    return tf.ensure_shape(upright, (None, None, image.shape[-1]))


def _turned(image, orientation):
    image = tf.cond(
        orientation > 4, lambda: tf.transpose(image, (1, 0, 2)), lambda: image
    )
    rows = tf.where(_mirrors_rows(orientation), -1, 1)
    columns = tf.where(_mirrors_columns(orientation), -1, 1)
    return image[::rows, ::columns]


def _as_stored(header, window):
    """The window of the stored pixels that becomes `window` of the upright image."""
    corner, size = window[:2], window[2:]
    mirrored = tf.stack(
        [_mirrors_rows(header.orientation), _mirrors_columns(header.orientation)]
    )
    corner = tf.where(mirrored, upright_size(header) - corner - size, corner)
    swap = header.orientation > 4
    corner = tf.where(swap, corner[::-1], corner)
    return tf.concat([corner, tf.where(swap, size[::-1], size)], 0)


def _mirrors_rows(orientation):
    return (orientation - 1) % 4 >= 2


def _mirrors_columns(orientation):
    return (orientation % 4 == 2) | (orientation % 4 == 3)


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

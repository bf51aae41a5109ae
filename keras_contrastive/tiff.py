"""TIFF files: images of any depth and number of channels, read by tifffile, an extra.

TensorFlow has no decoder for them, so they are decoded in Python: in loaders, but not
in a SavedModel.
"""

import contextlib
import io
import logging
import re
import threading
from typing import NamedTuple

import numpy as np

from keras_contrastive.image_headers import FREE_PIXELS, MAX_PIXELS, PIXELS_PER_BYTE
from keras_contrastive.pixel_values import spread_array

EXTENSIONS = (".tif", ".tiff")
# As files begin: little and big endian, TIFF and BigTIFF.
MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_WHITE_IS_0, _BLACK_IS_0, _RGB, _YCBCR = 0, 1, 2, 6
_NO_IMAGE = 5  # a smaller copy (1), or a mask (4)
_JPEG = (6, 7)  # compressions whose YCbCr is decoded to RGB


class TiffHeader(NamedTuple):
    """What a TIFF says of its image.

    Args:
        size: Height and width as stored.
        channels: Their number.
        dtype: Of the pixels.
        bits: Of each number; a sensor of 12 bits may have said so.
        is_rgb: Whether the first channels are red, green and blue.
        orientation: 1 to 8, as in EXIF.
        inverted: Whether 0 is white.
    """

    size: tuple[int, int]
    channels: int
    dtype: np.dtype
    bits: int
    is_rgb: bool
    orientation: int
    inverted: bool

    @property
    def is_8_bit(self) -> bool:
        """Whether uint8 holds the image."""
        return self.dtype.kind in "bu" and self.bits <= 8

    def gives(self, channels: int) -> bool:
        """Whether an image of so many channels can be made of it."""
        is_color = self.is_rgb and self.channels in (3, 4)  # 4 with alpha
        of_gray, of_color = (1, 3), (1, 3, self.channels)
        made = of_color if is_color else of_gray if self.channels == 1 else ()
        return channels in (self.channels, *made)

    @property
    def has_range(self) -> bool:
        """Whether the number of bits says which values are black and white."""
        return self.dtype.kind in "bu" and self.bits <= 16


def read_header(path) -> TiffHeader:
    """Return what a file says of its image, without decoding it.

    Raises:
        ImportError: tifffile is missing.
        ValueError: It is damaged, or no single image.
        OSError: It cannot be opened.
    """
    with open(path, "rb") as file, _opened(file) as (_, header):
        return header


def decode_tiff(
    data: bytes,
    channels: int | None = None,
    value_range: tuple[float, float] | None = None,
    max_pixels: int = MAX_PIXELS,
) -> np.ndarray:
    """Decode a TIFF, upright, channels last, in [0, 255].

    Which axis holds the channels is what the file says: samples of a pixel, planes, or
    the axis C of OME, ImageJ and tifffile. White and black are as in other files where
    0 is white, and the orientation tag is applied.

    Args:
        data: The bytes of the file.
        channels: Wanted number: 3 of gray, 1 (luminance) of RGB, 3 of RGB with alpha;
            otherwise those of the file. `None`: those of the file.
        value_range: As in `to_255`; `None`: all values of the bits that the file says
            its numbers have, 0 to 4095 of 12 bits. 8 bits are always taken so.
        max_pixels: Images with more pixels than this are refused.

    Returns:
        uint8 `(height, width, channels)` of up to 8 bits, otherwise float32.

    Raises:
        ImportError: tifffile is missing.
        ValueError: A damaged file; several images; palettes, CMYK and other colours;
            a compression that imagecodecs is missing for; other channels than wanted;
            NaN; numbers that need a `value_range`.

    Example:
    >>> import io, tifffile
    >>> file = io.BytesIO()
    >>> tifffile.imwrite(file, np.full((4, 6), 4095, "uint16"))
    >>> image = decode_tiff(file.getvalue(), value_range=(0, 4095))
    >>> image.shape, image.max()
    ((4, 6, 1), np.float32(255.0))
    """
    with _opened(io.BytesIO(data)) as (series, header):
        _check_size(header, len(data), max_pixels)
        if not header.has_range and value_range is None:
            raise ValueError(no_range(header))
        pixels = series.asarray(squeeze=False)
        image = _channels_last(pixels, series.get_axes(squeeze=False))
    image = _upright(_in_255(image, header, value_range), header.orientation)
    return np.ascontiguousarray(_with_channels(image, header, channels))


def no_range(header: TiffHeader) -> str:
    """Return the sentence for numbers that do not say what is white."""
    return (
        f"its pixels are {header.dtype}, and which values are black and white is not "
        "in the file. Pass value_range=(lowest, highest)"
    )


@contextlib.contextmanager
def _opened(file):
    """The one image of a file, and its header; all errors are ValueErrors."""
    tifffile = import_tifffile()
    _here.reads = True
    try:
        with tifffile.TiffFile(file) as tiff:
            series = _one_image(tiff)
            yield series, _header(series)
    except Exception as error:  # of a damaged file anything may come
        raise ValueError(_reason(error)) from error
    finally:
        _here.reads = False


# tifffile logs each broken tag of a file, in every epoch; our error says enough.
_here = threading.local()
logging.getLogger("tifffile").addFilter(lambda _: not getattr(_here, "reads", False))


def import_tifffile():
    """Return tifffile.

    Raises:
        ImportError: It is missing.
    """
    try:
        import tifffile
    except ImportError as error:
        raise ImportError(
            "TIFF files are read with tifffile, which is not installed. "
            'Run: pip install "keras-contrastive[tiff]"'
        ) from error
    return tifffile


def _reason(error):
    text = str(error.args[0]) if error.args else ""
    compression = re.search(r"COMPRESSION\.(\w+).*'imagecodecs'", text)
    if compression:
        return (
            f"its compression {compression[1]} is read with imagecodecs, which is not "
            "installed. Run: pip install imagecodecs, or save it with deflate (zlib) "
            "or without compression"
        )
    if isinstance(error, ValueError) and text.startswith(("its ", "it ")):
        return text
    return f"it is no TIFF, or damaged ({type(error).__name__}: {text or 'no more'})"


def _one_image(tiff):
    # Smaller copies of an image are levels of its series, or series of their own.
    series = [s for s in tiff.series if not int(s.keyframe.subfiletype) & _NO_IMAGE]
    if not series:
        raise EOFError("no image in it")
    if len(series) > 1:
        raise ValueError(
            f"it holds {len(series)} images of different kinds. Save each as a file"
        )
    return series[0]


def _header(series):
    page, shape = series.keyframe, series.get_shape(squeeze=False)
    axes = dict(zip(_letters(series), shape, strict=True))
    long = {axis: n for axis, n in axes.items() if n > 1 and axis[0] not in "YX"}
    if (
        not {"Y", "X"} <= {*axes}
        or len(long) > 1
        or any(a[0] not in "CS" for a in long)
    ):
        raise ValueError(
            f"its axes are {series.axes} of shape {series.shape}, and expected are Y, "
            "X and one of channels, C or S. Save volumes, films and pages as one file "
            "for each image; if these are channels, say so in the file, as "
            "tifffile.imwrite(..., metadata={'axes': 'CYX'}) or 'YXC' does"
        )
    photometric = -1 if page.photometric is None else int(page.photometric)
    from_jpeg = photometric == _YCBCR and int(page.compression) in _JPEG
    if photometric not in (_WHITE_IS_0, _BLACK_IS_0, _RGB) and not from_jpeg:
        kind = getattr(page.photometric, "name", photometric)
        raise ValueError(f"its colours are {kind}. Save it as gray, RGB or channels")
    if series.dtype.kind not in "buif":
        raise ValueError(f"its pixels are {series.dtype}. Save it as real numbers")
    orientation = page.tags.valueof(274, default=1)
    return TiffHeader(
        size=(axes["Y"], axes["X"]),
        channels=next(iter(long.values()), 1),
        dtype=series.dtype,
        bits=int(page.bitspersample),
        is_rgb=(photometric == _RGB or from_jpeg) and axes.get("S", 1) >= 3,
        orientation=int(orientation) if 1 <= int(orientation) <= 8 else 1,
        inverted=photometric == _WHITE_IS_0,
    )


def _letters(series):
    """The axes, with a number where one comes twice."""
    letters = series.get_axes(squeeze=False)
    return [a + str(i) * (letters.index(a) < i) for i, a in enumerate(letters)]


def _check_size(header, length, max_pixels):
    pixels = header.size[0] * header.size[1]
    numbers = pixels * max(1, header.channels // 3)
    allowed = FREE_PIXELS + PIXELS_PER_BYTE * length
    if not 0 < pixels <= max_pixels or numbers > allowed:
        raise ValueError(
            f"it has {header.size[0]} x {header.size[1]} pixels of {header.channels} "
            f"channels in {length} bytes, and expected are at most {max_pixels} "
            f"pixels, and of three channels each {FREE_PIXELS} and {PIXELS_PER_BYTE} "
            "for each byte. Make it smaller or save it again"
        )


def _channels_last(image, axes):
    """`(height, width, channels)`: of all other axes one at most is long."""
    image = np.moveaxis(image, (axes.index("Y"), axes.index("X")), (0, 1))
    return image.reshape(*image.shape[:2], -1)


def _in_255(image, header, value_range):
    highest = 2**header.bits - 1
    if header.is_8_bit:
        image = image.astype(np.uint8) * np.uint8(255 // highest)
    else:
        image = spread_array(image, value_range or (0, highest))
        if not np.isfinite(image).all():
            raise ValueError("it has NaN or infinite pixels")
    return 255 - image if header.inverted else image


def _upright(image, orientation):
    """As `image_io` does: above 4 rows and columns change places, then all mirror."""
    if orientation > 4:
        image = image.swapaxes(0, 1)
    rows = -1 if (orientation - 1) % 4 >= 2 else 1
    columns = -1 if orientation % 4 in (2, 3) else 1
    return image[::rows, ::columns]


def _with_channels(image, header, channels):
    if channels in (None, header.channels):
        return image
    if not header.gives(channels):
        raise ValueError(
            f"it has {header.channels} channel(s), and {channels} are asked for. Leave "
            "`channels` out to take all, or save it with others"
        )
    if channels == 3:
        return image[..., :3] if header.is_rgb else np.repeat(image, 3, axis=-1)
    gray = image[..., :3] @ np.array([0.2989, 0.587, 0.114], np.float32)
    gray = np.rint(gray) if image.dtype == np.uint8 else gray
    return gray.astype(image.dtype)[..., None]

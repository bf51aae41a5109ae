"""What the image files of a folder have in common: channels, depth and decoder."""

import dataclasses
import functools
import os

import numpy as np
import tensorflow as tf

from keras_contrastive import tiff
from keras_contrastive.image_io import decode_deep_image, decode_image, is_deep_png
from keras_contrastive.pixel_values import check_value_range, warn_of_few_bits

# How many files are looked into: PNGs for their depth, and 16 bits for their values.
_LOOKED_AT = 8


@dataclasses.dataclass(frozen=True)
class FileFormat:
    """How the files of a folder become images of one kind.

    Args:
        channels: Of every image.
        has_tiff: Whether some files are TIFFs.
        has_others: Whether some are not.
        is_deep: Whether images are float32, since some have more than 8 bits; or else
            uint8.
        value_range: Of deep images, see `to_255`.
    """

    channels: int = 3
    has_tiff: bool = False
    has_others: bool = True
    is_deep: bool = False
    value_range: tuple[float, float] | None = None

    @property
    def is_plain(self) -> bool:
        """Whether `decode_image` is all that is needed."""
        return not (self.has_tiff or self.is_deep)

    def decode(self, data):
        """Decode the bytes of a file, in a graph.

        Args:
            data: Scalar string tensor.

        Returns:
            uint8 or float32 tensor `(height, width, channels)` in [0, 255].
        """
        if not self.has_tiff:
            return self._decode_other(data)
        if not self.has_others:
            return self._decode_tiff(data)
        mark = tf.strings.substr(tf.strings.join([data, b"\0" * 4]), 0, 4)
        return tf.cond(
            tf.reduce_any(mark == list(tiff.MAGIC)),
            lambda: self._decode_tiff(data),
            lambda: self._decode_other(data),
        )

    def read(self, path) -> np.ndarray:
        """Read one file, eagerly.

        Raises:
            ValueError, OSError, tf.errors.OpError: It cannot be read.
        """
        if is_tiff(path):
            with open(path, "rb") as file:
                return self._from_tiff(file.read())
        return _decode_now(self)(tf.io.read_file(path)).numpy()

    def _decode_other(self, data):
        if self.is_deep:
            return decode_deep_image(data, self.channels, self.value_range)
        return decode_image(data, self.channels)

    def _decode_tiff(self, data):
        dtype = tf.float32 if self.is_deep else tf.uint8
        image = tf.numpy_function(self._from_tiff, [data], dtype)
        return tf.ensure_shape(image, (None, None, self.channels))

    def _from_tiff(self, data):
        if isinstance(data, np.ndarray):  # as TensorFlow gives it eagerly
            data = data.item()
        image = tiff.decode_tiff(data, self.channels, self.value_range)
        return image.astype(np.float32) if self.is_deep else image


@functools.lru_cache
def _decode_now(file_format):
    """Traced once for each format."""
    return tf.function(file_format.decode, autograph=False)


def is_tiff(path) -> bool:
    """Whether a file is called a TIFF."""
    return os.fspath(path).lower().endswith(tiff.EXTENSIONS)


def file_format(files, channels=None, value_range=None) -> FileFormat:
    """Look at files, and say how to read them all.

    The headers of all TIFFs are read, 0.4 ms each; of other files, at most those of 8
    PNGs.

    Args:
        files: Paths.
        channels: Wanted number; `None`: as TIFFs have, 3 without any.
        value_range: See `to_255`.

    Raises:
        ImportError: There are TIFFs, and tifffile is missing.
        ValueError: Files differ in their channels, or are not made for those wanted;
            floats without a `value_range`; an impossible `value_range`.
    """
    value_range = check_value_range(value_range)
    tiffs = [path for path in files if is_tiff(path)]
    pngs = [path for path in files if path.lower().endswith(".png")]
    has_others = len(tiffs) < len(files)
    is_deep = bool(pngs) and (value_range is not None or _any_deep(pngs))
    if tiffs:
        headers = _headers(tiffs, value_range)
        other = (
            next(path for path in files if not is_tiff(path)) if has_others else None
        )
        channels = _channels(headers, channels, other)
        is_deep |= not all(header.is_8_bit for header in headers.values())
    elif channels not in (None, 1, 3):
        raise ValueError(
            "`channels` must be 1 or 3 for files other than TIFF. "
            f"Received: channels={channels}."
        )
    found = FileFormat(channels or 3, bool(tiffs), has_others, is_deep, value_range)
    if is_deep and value_range is None:
        _look_at_values(found, tiffs or pngs)
    return found


def deep_decoder(channels, value_range, dtype=np.uint8):
    """Return what decodes files of more than 8 bits, or None if there is no need.

    Args:
        channels: 1 or 3; `None` is 3.
        value_range: See `to_255`; if given, there may be files of 16 bits.
        dtype: Of the images; uint16 is another such sign.
    """
    if value_range is None and dtype != np.uint16:
        return None
    return FileFormat(channels or 3, is_deep=True, value_range=value_range).decode


def _headers(paths, value_range):
    """Headers of the TIFFs that have one; the others are bad examples."""
    tiff.import_tifffile()
    headers, problem = {}, None
    for path in paths:
        try:
            headers[path] = tiff.read_header(path)
        except (ValueError, OSError) as error:
            problem = problem or f"{path}: {error}"
            continue
        if not headers[path].has_range and value_range is None:
            raise ValueError(f"{path}: {tiff.no_range(headers[path])}.")
    if not headers:
        raise ValueError(f"None of the {len(paths)} TIFF files can be read. {problem}.")
    return headers


def _channels(headers, wanted, other):
    """The number of channels that all files give."""
    counts = {}
    for path, header in headers.items():
        counts.setdefault(header.channels, f"'{path}' has {header.channels}")
    if other is not None:
        counts.setdefault(3, f"'{other}' is read as 3")
    if wanted is None and len(counts) > 1:
        one, two = list(counts.values())[:2]
        raise ValueError(
            f"All images must have one number of channels. Received: {one}, and {two}. "
            "Take them apart; of gray, RGB and RGB with alpha, channels=3 or 1 makes "
            "one kind."
        )
    if wanted is None:
        return next(iter(counts))
    for path, header in headers.items():
        if not header.gives(wanted):
            raise ValueError(
                f"`channels` must be what the files have. Received: channels={wanted}, "
                f"and '{path}' has {header.channels}. Leave it out to take all, or "
                "save the files with others."
            )
    if other is not None and wanted not in (1, 3):
        raise ValueError(
            "`channels` must be 1 or 3 for files other than TIFF. Received: "
            f"channels={wanted}, and '{other}'. Take the files apart."
        )
    return wanted


def _some(paths):
    return paths[:: max(1, len(paths) // _LOOKED_AT)][:_LOOKED_AT]


def _any_deep(pngs):
    for path in _some(pngs):
        try:
            with open(path, "rb") as file:
                if bool(is_deep_png(file.read(25))):
                    return True
        except OSError:  # a bad example
            continue
    return False


def _look_at_values(found, paths):
    """Warn if 16 bits hold fewer: then all images are nearly black."""
    whole = dataclasses.replace(found, value_range=(0, 65535))
    largest = 0
    for path in _some(paths):
        try:
            if is_tiff(path) and tiff.read_header(path).bits != 16:
                return
            largest = max(largest, round(float(whole.read(path).max()) * 257))
        except (ValueError, OSError, tf.errors.OpError):
            continue
    warn_of_few_bits("the files", largest)

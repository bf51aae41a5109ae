"""Pixels of more than 8 bits, brought to the [0, 255] that all images are in.

Everything that takes images brings 16 bits there by the same division by 257, so that
training, evaluation and reports see the same image.
"""

import warnings

import numpy as np
import tensorflow as tf

_CHUNK = 1024  # images at a time, so that little memory is needed beside the result
# A sensor of 14 bits or fewer leaves three quarters of 16 bits empty.
_FEW = 2**14


def to_255(x, value_range: tuple[float, float] | None = None) -> np.ndarray:
    """Bring images of more than 8 bits to [0, 255], without rounding them.

    `y = 255 (x - low) / (high - low)`, clipped to [0, 255], as float32, whose 24 bits
    hold all of 16. Loaders with a keyword `value_range` do this by themselves; for all
    else that takes images it is done once, before.

    Args:
        x: Images of any shape: uint16, or any other real dtype with a `value_range`.
        value_range: `(low, high)`, the pixel values that become 0 and 255: `(0, 4095)`
            for 12 bits. `None`: `(0, 65535)`, so that uint16 is divided by 257. What
            lies outside is clipped.

    Returns:
        Float32 array of the same shape in [0, 255]; of uint8 the images as they are.

    Raises:
        ValueError: If `value_range` is impossible, is missing where the dtype does not
            tell it, or is given for uint8; if pixels are NaN or infinite; if uint16
            images hold 8 bits, so that it is not clear what is meant.

    Example:
    >>> kc.data.to_255(np.array([0, 257, 65535], "uint16"))
    array([  0.,   1., 255.], dtype=float32)
    >>> kc.data.to_255(np.array([0, 4095, 5000], "uint16"), value_range=(0, 4095))
    array([  0., 255., 255.], dtype=float32)
    """
    x = np.asarray(x)
    value_range = check_value_range(value_range)
    if x.dtype == np.uint8 and value_range is None:
        return x
    if x.dtype.kind not in "uif" or x.dtype == np.uint8:
        raise ValueError(
            "`value_range` is for numbers of more than 8 bits; images of 8 bits are in "
            f"[0, 255]. Received: value_range={value_range}, dtype={x.dtype}. Leave it "
            "out, or pass images of another dtype."
        )
    if value_range is None:
        if x.dtype != np.uint16:
            raise ValueError(
                "`value_range` must be given: the dtype does not say which pixel "
                "values become 0 and 255. Received: value_range=None, "
                f"dtype={x.dtype}. Pass for example value_range=(0, 1)."
            )
        check_depth("`x`", int(x.max(initial=0)))
    spread = np.empty(x.shape, np.float32)
    for start in range(0, len(x) if x.ndim else 0, _CHUNK):
        part = slice(start, start + _CHUNK)
        spread[part] = spread_array(x[part], value_range)
        if not np.isfinite(spread[part]).all():
            bad = start + int(np.argwhere(~np.isfinite(spread[part]))[0, 0])
            raise ValueError(
                "`x` must be finite, but it contains NaN or infinite pixels, first in "
                f"image {bad}. Remove or repair such images."
            )
    return spread if x.ndim else spread_array(x, value_range)


def spread_array(x, value_range=None) -> np.ndarray:
    """Return an array as float32 in [0, 255]; NaN and infinity become NaN.

    Args:
        x: Array of real numbers.
        value_range: `(low, high)`; `None` is `(0, 65535)`.
    """
    low, unit = _unit(value_range)
    kind = np.float64 if x.dtype.itemsize > 2 else np.float32
    spread = (x.astype(kind) - kind(low)) / kind(unit)
    if x.dtype.kind == "f":  # or clipping would hide infinity
        spread[~np.isfinite(spread)] = np.nan
    return np.clip(spread, 0, 255).astype(np.float32)


def spread_tensor(x, value_range=None) -> tf.Tensor:
    """Return a tensor as float32 in [0, 255], as `spread_array` does with arrays."""
    low, unit = _unit(value_range)
    spread = (tf.cast(x, tf.float32) - low) / unit
    if x.dtype.is_floating:
        spread = tf.where(tf.math.is_finite(spread), spread, np.nan)
    return tf.clip_by_value(spread, 0.0, 255.0)


def _unit(value_range):
    """The lowest value, and what of the values becomes 1: 257 of 16 bits."""
    low, high = value_range or (0, 65535)
    return low, (high - low) / 255


def check_value_range(value_range):
    """Return `(low, high)` as floats, or None.

    Raises:
        ValueError: If it is not two finite numbers, the lower one first.
    """
    if value_range is None:
        return None
    try:
        low, high = map(float, value_range)
    except (TypeError, ValueError):
        low = high = np.nan
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise ValueError(
            "`value_range` must be (low, high), the pixel values that become 0 and "
            "255, such as (0, 4095) for 12 bits, or None. Received: "
            f"value_range={value_range!r}."
        )
    return low, high


def check_depth(name: str, largest: int):
    """Say if numbers of 16 bits hold fewer.

    Args:
        name: What they are, for messages.
        largest: The largest of them.

    Raises:
        ValueError: If they fit into 8 bits: they may be meant to be in [0, 255].
    """
    if 0 < largest <= 255:
        raise ValueError(
            f"16 bits are divided by 257, and {name} must use more than 8 of them. "
            f"Received: a largest value of {largest}. If these are 8 bits, pass "
            "images.astype('uint8'); if they are as dark as that, value_range=(0, "
            "65535), to keras_contrastive.data.to_255 where there is no such keyword."
        )
    warn_of_few_bits(name, largest)


def warn_of_few_bits(name: str, largest: int):
    """Warn if numbers of 16 bits look like those of a sensor with fewer."""
    if not 0 < largest < _FEW:
        return
    bits = largest.bit_length()
    warnings.warn(
        f"No value of {name} is above {largest}, which becomes {largest / 257:.3g} of "
        f"255, since 16 bits are divided by 257. If these are {bits} bits, pass "
        f"value_range=(0, {2**bits - 1}), to keras_contrastive.data.to_255 where there "
        "is no such keyword.",
        stacklevel=3,
    )

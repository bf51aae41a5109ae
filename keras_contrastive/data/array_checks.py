"""What arrays of images and labels must be, said before training starts."""

import numpy as np

from keras_contrastive.pixel_values import to_255

# What resizing may make of [0, 255] by rounding or a cubic filter's last digit.
LOWEST, HIGHEST = -0.5, 255.5
_CHUNK = 1024  # images looked at together, so that a check needs little memory


def checked_images(x, value_range=None) -> np.ndarray:
    """Return `x` as uint8 or float32 images in [0, 255], without a copy where possible.

    Args:
        x: Images; those of 16 bits are divided by 257.
        value_range: As in `to_255`.

    Raises:
        ValueError: For another rank, dtype or value range, or no images at all.
    """
    try:
        x = np.asarray(x)
    except ValueError as error:  # a list of images of different sizes
        raise ValueError(_not_numeric("images of different shapes")) from error
    if x.dtype == object or x.dtype.kind not in "uif":
        raise ValueError(_not_numeric(f"dtype {x.dtype}, shape {x.shape}"))
    if x.ndim == 3:
        raise ValueError(
            "`x` must have shape (n, height, width, channels). Received: "
            f"x.shape={x.shape}. For grayscale images without a channel axis pass "
            "x[..., None]; for a single image x[None]."
        )
    if x.ndim != 4:
        raise ValueError(
            "`x` must have shape (n, height, width, channels). "
            f"Received: x.shape={x.shape}. Reshape it, for example "
            "x.reshape(-1, height, width, channels)."
        )
    if 0 in x.shape:
        raise ValueError(
            f"`x` is empty. Received: x.shape={x.shape}. Give at least one image."
        )
    if x.shape[1] in (1, 3) and x.shape[-1] > 4:
        raise ValueError(
            f"`x` has its channels first. Received: x.shape={x.shape}. "
            "Expected (n, height, width, channels): pass np.moveaxis(x, 1, -1)."
        )
    if x.dtype == np.uint16 or value_range is not None:
        return to_255(x, value_range)
    _check_range(x)
    if x.dtype.kind == "f":
        return x.astype(np.float32, copy=False)
    return x.astype(np.uint8, copy=False)


def _not_numeric(received):
    return (
        "`x` must be a numeric array of shape (n, height, width, channels), all images "
        f"of one size. Received: {received}. Resize the images to one size, or put "
        "them into a folder and use views_from_directory."
    )


def _check_range(x):
    if x.dtype == np.uint8:
        return
    low, high = np.inf, -np.inf
    for start in range(0, len(x), _CHUNK):
        part = x[start : start + _CHUNK]
        part_low, part_high = part.min(), part.max()
        # min and max of an array with NaN are NaN.
        if not (np.isfinite(part_low) and np.isfinite(part_high)):
            bad = ~np.isfinite(part).all(axis=(1, 2, 3))
            raise ValueError(
                "`x` must be finite, but it contains NaN or infinite pixels, first in "
                f"image {start + int(np.argmax(bad))}. Remove or repair such images."
            )
        low, high = min(low, part_low), max(high, part_high)
    check_limits("`x`", low, high, x.dtype.kind == "f", "pass x * 255")


def check_limits(name: str, low: float, high: float, is_float: bool, remedy: str):
    """Refuse pixels outside of [0, 255], and floats in [0, 1] that are not all black.

    Raises:
        ValueError: In these two cases; `remedy` is how to multiply by 255.
    """
    if low < LOWEST or high > HIGHEST:
        raise ValueError(
            f"{name} must be in [0, 255]. Received: values in [{low:g}, {high:g}]. "
            + (
                "Undo the normalisation: scaling is a layer inside the encoder."
                if low < LOWEST
                else "For images of more than 8 bits say which values become 0 and "
                "255, for example value_range=(0, 65535), or pass "
                "keras_contrastive.data.to_255(x, value_range=(0, 65535))."
            )
        )
    if is_float and 0 < high <= 1:
        raise ValueError(
            f"{name} must be in [0, 255], but its largest value is {high:g}, as in "
            f"images scaled to [0, 1]. Multiply by 255: {remedy}."
        )


def checked_labels(y, count: int) -> np.ndarray:
    """Return `y` as int64 of shape `(count,)`.

    Raises:
        ValueError: If `y` is not one integer per image.
    """
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        hint = " For one-hot labels pass y.argmax(axis=-1)." if y.ndim == 2 else ""
        raise ValueError(
            "`y` must hold one integer per image, shape (n,) or (n, 1). "
            f"Received: y.shape={y.shape}.{hint}"
        )
    if y.dtype.kind not in "uib":
        raise ValueError(
            "`y` must hold integers (class ids; -1 where there is none). "
            f"Received: y.dtype={y.dtype}. Pass y.astype('int64') if these are class "
            "ids, or np.unique(y, return_inverse=True)[1] for names."
        )
    if len(y) != count:
        raise ValueError(
            "`x` and `y` must have the same length. "
            f"Received: len(x)={count}, len(y)={len(y)}."
        )
    return y.astype(np.int64)

"""The weights of a preset: float16 or float32 on disk, float32 in memory."""

import warnings

import h5py
import keras
import numpy as np

from keras_contrastive.files import MemoryFile
from keras_contrastive.zoo.preset_files import CONFIG, printable


def to_bytes(encoder: keras.Model, dtype: str) -> bytes:
    """Return the file of an encoder's weights.

    Args:
        encoder: The encoder, float32.
        dtype: Of kernels, `"float32"` or `"float16"`; vectors stay float32.

    Raises:
        ValueError: A weight that float16 cannot hold.
    """
    full = MemoryFile(".weights.h5")
    encoder.save_weights(full)
    if dtype == "float32":
        return full.getvalue()
    half = MemoryFile(".weights.h5")
    with h5py.File(full) as source, h5py.File(half, "w") as target:

        def copy(name, item):
            if isinstance(item, h5py.Group):
                target.require_group(name).attrs.update(item.attrs)
                return
            value = item[()]
            if value.ndim >= 2 and value.dtype == "float32":
                if np.abs(value).max(initial=0) > np.finfo("float16").max:
                    raise ValueError(
                        "`weights_dtype='float16'` holds values up to 65504. Received: "
                        f"weights up to {np.abs(value).max():.3g} in {name!r}. Save "
                        "with weights_dtype='float32'."
                    )
                value = value.astype("float16")
            target[name] = value
            target[name].attrs.update(item.attrs)

        source.visititems(copy)
    return half.getvalue()


def read(encoder: keras.Model, content: bytes, source: str) -> None:
    """Load weights into an encoder, as float32.

    What the file holds is compared with the encoder before any of it is read: a few
    bytes of HDF5 can stand for gigabytes.

    Args:
        encoder: The encoder.
        content: The file.
        source: Where it comes from, for the messages.

    Raises:
        ValueError: The file is damaged, of another encoder, or has NaN in it.
    """
    expected = MemoryFile(".weights.h5")
    encoder.save_weights(expected)
    try:
        with h5py.File(expected) as ours, h5py.File(MemoryFile("", content)) as theirs:
            _check_layout(_layout(ours), _layout(theirs))
        with warnings.catch_warnings():
            # Keras only warns of a layer that finds nothing and stays as it is.
            warnings.simplefilter("error", UserWarning)
            encoder.load_weights(MemoryFile(".weights.h5", content))
    except Exception as error:  # h5py and Keras raise all kinds
        raise ValueError(
            f"{source!r} does not hold the weights of {CONFIG}: "
            f"{type(error).__name__}: {printable(error)[:300]}"
        ) from error
    for variable in encoder.weights:
        if not np.isfinite(variable.numpy()).all():
            raise ValueError(
                f"{source!r} must hold finite weights. Received: NaN or Inf in "
                f"{variable.path!r}. The training it comes from has diverged."
            )


def _layout(file):
    """`(shape, kind of number, plain)` of each array, by its name."""
    found = {}

    def add(name, item):
        if isinstance(item, h5py.Dataset):
            # Compressed ones unpack to any size, virtual ones read other files.
            is_plain = item.chunks is None and not item.is_virtual and not item.external
            found[name] = item.shape, item.dtype.kind, is_plain

    file.visititems(add)
    return found


def _check_layout(expected, received):
    for name in [*expected, *received]:
        if expected.get(name) != received.get(name):
            raise ValueError(
                "every array must be uncompressed, in the file itself and of the "
                f"encoder's shape. Expected of {name!r}: {expected.get(name)}. "
                f"Received: {received.get(name)}."
            )

"""The weights of a preset: float16 or float32 on disk, float32 in memory."""

import os
import pathlib
import warnings

import h5py
import keras
import numpy as np

from keras_contrastive.zoo.preset_files import CONFIG


def write(encoder: keras.Model, path: pathlib.Path, dtype: str) -> None:
    """Write an encoder's weights.

    Args:
        encoder: The encoder, float32.
        path: The file.
        dtype: Of kernels, `"float32"` or `"float16"`; vectors stay float32.

    Raises:
        ValueError: A weight that float16 cannot hold.
    """
    encoder.save_weights(path)
    if dtype == "float32":
        return
    full = path.with_name(f"full.{path.name}")
    os.rename(path, full)
    with h5py.File(full) as source, h5py.File(path, "w") as target:

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
    full.unlink()


def read(encoder: keras.Model, path: pathlib.Path) -> None:
    """Load weights into an encoder, as float32.

    Args:
        encoder: The encoder.
        path: The file.

    Raises:
        ValueError: The file is damaged, or of another encoder.
    """
    try:
        with warnings.catch_warnings():
            # Keras only warns of a layer that finds nothing and stays as it is.
            warnings.simplefilter("error", UserWarning)
            encoder.load_weights(path)
    except Exception as error:  # h5py and Keras raise all kinds
        raise ValueError(
            f"{str(path)!r} does not hold the weights of {CONFIG}: "
            f"{type(error).__name__}: {str(error)[:300]}"
        ) from error

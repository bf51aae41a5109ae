"""What an encoder does to pixels in [0, 255] first, as a layer of its own."""

from keras import layers


def scaled(images, mean=None, std=None):
    """Return `(images / 255 - mean) / std` by the layer `"scaling"`.

    Args:
        images: Symbolic images `(batch, height, width, channels)` in [0, 255].
        mean: Of each channel in [0, 1]; None: nothing is subtracted.
        std: Of each channel, above 0; None: nothing is divided.

    Raises:
        ValueError: Not as many numbers as channels, or a `std` that is not positive.

    Example:
    >>> scaled(keras.Input((8, 8, 3)), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)).shape
    (None, 8, 8, 3)
    """
    channels = images.shape[-1]
    for name, value in (("mean", mean), ("std", std)):
        if value is not None and len(value) != channels:
            raise ValueError(
                f"`{name}` must have a number for each of {channels} channels. "
                f"Received: {name}={value!r}"
            )
    if std is not None and not all(s > 0 for s in std):
        raise ValueError(f"`std` must be positive. Received: std={std!r}")
    scale: float | list[float] = 1 / 255
    offset: float | list[float] = 0.0
    if std is not None:
        scale = [1 / (255 * s) for s in std]
    if mean is not None:
        offset = [-m / s for m, s in zip(mean, std or [1] * channels, strict=True)]
    # In float32: float16 keeps only 11 bits of a pixel such as 200.3.
    return layers.Rescaling(scale, offset, dtype="float32", name="scaling")(images)

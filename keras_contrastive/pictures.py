"""What a picture shows of images with any number of channels."""

import numpy as np


def picture_channels(images) -> np.ndarray:
    """Return the channels that a picture shows: gray, or three as red, green and blue.

    Args:
        images: `(..., height, width, channels)`.

    Returns:
        The same with 3 channels, the first ones, or with 1 of 1 or 2.
    """
    images = np.asarray(images)
    return images[..., :3] if images.shape[-1] >= 3 else images[..., :1]


def said_of_channels(channels: int) -> str | None:
    """Return which channels a picture shows, or None if it shows all of them."""
    if channels in (1, 3):
        return None
    if channels == 2:
        return "channel 1 of 2, in gray"
    return f"channels 1 to 3 of {channels}, as red, green and blue"

"""A picture of what the network sees."""

import itertools
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_contrastive.files import write_figure
from keras_contrastive.pictures import picture_channels, said_of_channels
from keras_contrastive.pixel_values import to_255


def gallery(dataset_or_images, policy=None, path="gallery.png", rows=8) -> Path:
    """Write a PNG grid of images and their views, one image a row.

    Args:
        dataset_or_images: Images `(n, height, width, channels)` in [0, 255] (uint16 is
            divided by 257, see `kc.data.to_255`), of whose channels the first three are
            drawn, or of two the first; or a dataset of images or `(image, label)`,
            batched or not. Without `policy`: a dataset of `((view_1, view_2, ...),
            label)`, as `kc.data` makes it, whose views are drawn as they are.
        policy: A layer from `kc.augmentations`, or None.
        path: File to write.
        rows: Number of images, at most.

    Returns:
        The path of the file.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If there is no image, or if arrays come without a policy.

    Example:
    >>> (images, _), _ = kc.data.load_sample()
    >>> kc.augmentations.gallery(images, kc.augmentations.simclr(28), "views.png")
    PosixPath('views.png')
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "gallery draws with matplotlib, which is not installed. "
            'Run: pip install "keras-contrastive[plots]"'
        ) from error
    if isinstance(dataset_or_images, tf.data.Dataset):
        examples = _from_dataset(dataset_or_images, policy, rows)
    elif policy is None:
        raise ValueError(
            "Images need a policy that makes their views. Received: policy=None. "
            "Give one of kc.augmentations, such as simclr(32)."
        )
    else:
        images = dataset_or_images[:rows]
        if getattr(images, "dtype", None) == np.uint16:
            images = to_255(images)
        examples = [(image, *policy(image)) for image in images]
    if not examples:
        raise ValueError(
            "There is nothing to draw: no images. "
            f"Received: dataset_or_images={dataset_or_images!r}"
        )

    names = ["image"] * (policy is not None)
    names += [f"view_{i + 1}" for i in range(len(examples[0]) - len(names))]
    shown = said_of_channels(examples[0][0].shape[-1])
    figure = Figure((1.5 * len(names), 1.5 * len(examples) + 0.3), layout="tight")
    axes = figure.subplots(len(examples), len(names), squeeze=False)
    for row, example in zip(axes, examples, strict=True):
        for axis, image in zip(row, example, strict=True):
            pixels = np.clip(picture_channels(image), 0, 255).astype("uint8")
            # One channel is drawn as (height, width), with 0 black and 255 white.
            pixels = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
            axis.imshow(pixels, cmap="gray", vmin=0, vmax=255)
            axis.axis("off")
    for axis, name in zip(axes[0], names, strict=True):
        axis.set_title(name)
    if shown:
        figure.suptitle(shown, fontsize="small")
    path = Path(path)
    write_figure(path, figure, dpi=100, format="png")
    return path


def _from_dataset(dataset, policy, rows):
    """Return up to `rows` tuples of images (height, width, channels)."""
    examples = []
    for element in dataset:
        images = element[0] if isinstance(element, tuple) else element
        images = images if isinstance(images, tuple) else (images,)
        if images[0].shape.rank == 3:
            images = tuple(image[None] for image in images)
        for views in itertools.islice(zip(*images, strict=True), rows):
            examples.append(views if policy is None else (views[0], *policy(views[0])))
        if len(examples) >= rows:
            break
    return examples[:rows]

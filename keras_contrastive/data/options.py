"""The keywords that all `views_from_...` functions share: written and checked once."""

import dataclasses
import functools
import inspect
import random
import re
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from keras_contrastive.pixel_values import check_value_range


@dataclasses.dataclass(kw_only=True)
class Options:
    """Keywords of every loader of views.

    After construction `seed` is an integer, and `image_size` a pair or `None`.

    Args:
        augmentation: Layer or function from a batch of images to a tuple of views,
            for example `kc.augmentations.simclr(32)`. If its call has a `seed`
            argument it gets an int32 tensor of shape (2,) and must draw from it
            alone; a foreign layer without one (those of keras-cv) is called with
            the images only, and its views are then not repeatable, because batches
            are made in parallel. `None`: the images as they are, for an
            augmentation inside the model.
        batch_size: Examples per batch. With `input_context` of all replicas together.
        seed: Integer >= 0. Order and views of epoch `e` depend on `(seed, e)` alone,
            whatever the parallelism; see `set_epoch`. `None`: a seed from Python's
            `random`, which `keras.utils.set_random_seed` fixes.
        shuffle: Whether to shuffle anew in every epoch.
        drop_remainder: Whether to leave out the last, smaller batch of an epoch.
            Contrastive losses and queues want batches of one size.
        image_size: Side, or `(height, width)`, to which images are brought before
            the augmentation: the largest centred part of that aspect ratio, resized
            with antialiasing. It then works on whole batches, several times faster for
            small images, but crops come from the smaller picture, and what lies
            outside the centred part is never seen. `None`: images are taken at full
            resolution, as in the papers. Files may differ in size then: a policy whose
            views all begin with `kc.layers.RandomResizedCrop`, as those of
            `kc.augmentations` do, cuts them out while a JPEG is decoded, and its
            other layers work on whole batches; any other augmentation sees every
            image as a batch of one.
        channels: Of encoded images: 3, or 1 for luminance. `None`: 3, or as TIFF files
            or a data set of TensorFlow Datasets say. Decoded images keep what they
            have.
        value_range: `(low, high)`, the pixel values that become 0 and 255 in images of
            more than 8 bits, `(0, 4095)` for a sensor of 12; what lies outside is
            clipped. `None`: all that 16 bits hold, so that they are divided by 257;
            other numbers are in [0, 255], and in TIFF files need a range. Images of 8
            bits are taken as they are. See `kc.data.to_255`.
        cache_encoded: Whether to keep the bytes of all images in memory. They are read
            once, before the first batch. Arrays are in memory as they are.
        cache_decoded: Whether to keep all decoded images (after `image_size`) in
            memory: `height * width * channels` bytes each, four times that of more
            than 8 bits.
        on_error: `"replace"`: an unreadable image gives way to the next readable one,
            so the number of steps stays true, and one warning at the end of the epoch
            names it. `"raise"`: it is an error. Arrays have nothing to read.
        input_context: From `strategy.distribute_datasets_from_function`. Every worker
            then reads its own share, and batches are those of one replica.
        with_ids: Whether to yield the number of each example too, from 0 on, the same
            in every epoch, for methods that remember every example: its place in the
            source as it is read without shuffling (of a folder: in `list_images`).
    """

    augmentation: Callable | None
    batch_size: int = 256
    seed: int | None = None
    shuffle: bool = True
    drop_remainder: bool = True
    image_size: int | tuple[int, int] | None = None
    channels: int | None = None
    value_range: tuple[float, float] | None = None
    cache_encoded: bool = False
    cache_decoded: bool = False
    on_error: str = "replace"
    input_context: tf.distribute.InputContext | None = None
    with_ids: bool = False

    def __post_init__(self):
        if self.augmentation is not None and not callable(self.augmentation):
            raise ValueError(
                "`augmentation` must be a layer that turns a batch of images into a "
                "tuple of views, or None for raw images. Received: "
                f"augmentation={self.augmentation!r}. Use for example "
                "keras_contrastive.augmentations.simclr(size=32)."
            )
        if not _is_integer(self.batch_size) or self.batch_size < 1:
            raise ValueError(
                "`batch_size` must be an integer >= 1. "
                f"Received: batch_size={self.batch_size!r}."
            )
        if self.seed is not None and (not _is_integer(self.seed) or self.seed < 0):
            raise ValueError(
                "`seed` must be an integer >= 0, or None for a random one. "
                f"Received: seed={self.seed!r}."
            )
        if self.on_error not in ("replace", "raise"):
            raise ValueError(
                '`on_error` must be "replace" (an unreadable image gives way to the '
                'next readable one) or "raise". '
                f"Received: on_error={self.on_error!r}."
            )
        if self.channels is not None and (
            not _is_integer(self.channels) or self.channels < 1
        ):
            raise ValueError(
                f"`channels` must be an integer >= 1. Received: "
                f"channels={self.channels!r}."
            )
        self.value_range = check_value_range(self.value_range)
        if self.image_size is not None:
            self.image_size = _pair(self.image_size)
        if self.input_context is not None:
            self._check_input_context()
        if self.seed is None:
            # `keras.utils.set_random_seed` seeds Python's generator: a script that
            # calls it gets the same views every time without naming a seed here.
            self.seed = random.randrange(2**31)

    def _check_input_context(self):
        replicas = self.input_context.num_replicas_in_sync
        if self.batch_size % replicas:
            raise ValueError(
                "`batch_size` is the global one and must be a multiple of the number "
                f"of replicas ({replicas}). Received: batch_size={self.batch_size}."
            )
        if self.input_context.num_input_pipelines > 1 and self.seed is None:
            raise ValueError(
                "With `input_context` of several workers `seed` must be given: every "
                "worker has to shuffle alike, or their shares overlap. "
                "Received: seed=None."
            )

    def element(self, views, ids, *labels):
        """Return `(views, labels)`, `(views,)`, or views and a dict with ids."""
        if not self.with_ids:
            return (views, *labels)
        targets = {"label": labels[0]} if labels else {}
        return views, {**targets, "id": ids}

    @property
    def workers(self) -> int:
        """Number of input pipelines that share the examples."""
        context = self.input_context
        return 1 if context is None else context.num_input_pipelines

    @property
    def worker(self) -> int:
        """Number of this input pipeline, from 0."""
        context = self.input_context
        return 0 if context is None else context.input_pipeline_id

    @property
    def local_batch_size(self) -> int:
        """Return examples per element: `batch_size`, or one replica's part."""
        context = self.input_context
        replicas = 1 if context is None else context.num_replicas_in_sync
        return int(self.batch_size) // replicas

    def steps(self, size: int, source: str) -> int:
        """Return batches per epoch from `size` examples of this worker.

        Raises:
            ValueError: If there is not even one.
        """
        batch = self.local_batch_size
        if not self.drop_remainder:
            return -(-size // batch)
        steps = size // batch
        if self.input_context is not None:
            # Every step takes one batch per local replica.
            local = max(1, self.input_context.num_replicas_in_sync // self.workers)
            steps = steps // local * local
        if steps == 0:
            share = f" on each of {self.workers} workers" if self.workers > 1 else ""
            raise ValueError(
                f"`batch_size` is larger than the data set: {source} has {size} "
                f"examples{share}, which make no full batch. "
                f"Received: batch_size={self.batch_size}. Take a smaller batch size, "
                "or drop_remainder=False."
            )
        return steps


def plain(image_size, channels, batch_size) -> Options:
    """Return the options of images for evaluation: all of them, in order."""
    return Options(
        augmentation=None,
        batch_size=batch_size,
        seed=0,
        shuffle=False,
        drop_remainder=False,
        image_size=image_size,
        channels=channels,
        on_error="raise",
    )


def takes_options(loader: Callable) -> Callable:
    """Give a loader all keywords of `Options`, in its signature and its documentation.

    Args:
        loader: A function with a keyword-only argument `options`. Its docstring has a
            line `options: ...` among its arguments, which gives way to theirs.
    """
    signature = inspect.signature(loader)
    parameters: list[inspect.Parameter] = []
    shared = inspect.signature(Options).parameters
    for name, parameter in signature.parameters.items():
        parameters += shared.values() if name == "options" else [parameter]
    signature = signature.replace(parameters=parameters)

    @functools.wraps(loader)
    def load(*args, **keywords):
        try:
            given = signature.bind(*args, **keywords).arguments
        except TypeError as error:
            raise TypeError(f"{loader.__name__}() {error}") from None
        options = Options(**{n: v for n, v in given.items() if n in shared})
        return loader(
            **{n: v for n, v in given.items() if n not in shared}, options=options
        )

    vars(load)["__signature__"] = signature
    arguments = str(Options.__doc__).split("Args:\n")[1].rstrip()
    load.__doc__ = re.sub(
        r" +options: .*", lambda _: arguments, str(loader.__doc__), count=1
    )
    return load


def _is_integer(value):
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _pair(size):
    pair = (size, size) if _is_integer(size) else size
    if (
        not isinstance(pair, tuple | list)
        or len(pair) != 2
        or not all(_is_integer(n) and n >= 1 for n in pair)
    ):
        raise ValueError(
            "`image_size` must be a positive integer, a pair (height, width), or None "
            f"to leave the images as they are. Received: image_size={size!r}."
        )
    return int(pair[0]), int(pair[1])

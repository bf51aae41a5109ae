"""The keywords that all loaders share, checked once."""

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from keras_contrastive.data.seeds import resolve_seed


@dataclasses.dataclass
class Options:
    """Shared keywords of the `views_from_...` functions, documented there.

    After construction `seed` is an integer and `image_size` a pair or `None`.
    """

    augmentation: Callable | None
    batch_size: int
    seed: int | None
    shuffle: bool
    drop_remainder: bool
    image_size: int | tuple[int, int] | None
    channels: int
    cache_encoded: bool
    cache_decoded: bool
    on_error: str
    input_context: tf.distribute.InputContext | None
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
        if self.channels not in (1, 3):
            raise ValueError(
                f"`channels` must be 1 or 3. Received: channels={self.channels!r}."
            )
        if self.image_size is not None:
            self.image_size = _pair(self.image_size)
        if self.input_context is not None:
            self._check_input_context()
        self.seed = resolve_seed(self.seed)

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
        """What a loader yields: `(views, labels)`, `(views,)`, or a dict with ids."""
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
        """Examples per element of the dataset: `batch_size`, or one replica's part."""
        context = self.input_context
        replicas = 1 if context is None else context.num_replicas_in_sync
        return int(self.batch_size) // replicas

    def steps(self, size: int, source: str) -> int:
        """Batches per epoch from `size` examples of this worker.

        Raises:
            ValueError: if there is not even one.
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

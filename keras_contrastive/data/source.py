"""Where single examples come from, the same for files, TFDS and any dataset."""

import dataclasses
from collections.abc import Callable

import tensorflow as tf


@dataclasses.dataclass
class Source:
    """Examples in a fixed order.

    Args:
        name: For messages.
        records: Dataset of `(record,)` or `(record, label)`. A record is a path, the
            bytes of an image file, or an image `(height, width, channels)`.
        size: Number of records.
        shuffle_buffer: How many records wait in the shuffle buffer.
        is_path: Whether the records are paths.
        image_shape: Static `(height, width)` of all images; `None` where it differs.
        explain: From an index to a text that names the record and what is wrong.
        remedy: What else than "Remove or repair it" the error for a bad record says.
    """

    name: str
    records: tf.data.Dataset
    size: int
    shuffle_buffer: int
    is_path: bool = False
    image_shape: tuple[int | None, int | None] = (None, None)
    explain: Callable[[int], str] | None = None
    remedy: str = ', or pass on_error="replace" to go on with the next image'

    @property
    def is_encoded(self) -> bool:
        """Whether an image has still to be decoded."""
        return self.records.element_spec[0].dtype == tf.string

    @property
    def is_float(self) -> bool:
        """Whether the records are images that can hold NaN."""
        return self.records.element_spec[0].dtype.is_floating

    def share(self, worker: int, workers: int) -> "Source":
        """The part of one worker; all parts have the same size."""
        if workers == 1:
            return self
        size = self.size // workers
        explain = self.explain
        return dataclasses.replace(
            self,
            records=self.records.shard(workers, worker).take(size),
            size=size,
            explain=explain and (lambda index: explain(index * workers + worker)),
        )

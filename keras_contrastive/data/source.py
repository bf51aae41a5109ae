"""Where single examples come from, the same for files, TFDS and any dataset."""

import dataclasses
from collections.abc import Callable, Mapping

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
        decode: From the bytes of a file to an image, for files that `decode_image`
            does not read, or not as deep as they are.
        explain: From an index to a text that names the record and what is wrong.
        remedy: What else than "Remove or repair it" the error for a bad record says.
        files: Returns the TFRecord files behind it, each with its number of records if
            that is known; they are searched for damage after an error.
    """

    name: str
    records: tf.data.Dataset
    size: int
    shuffle_buffer: int
    is_path: bool = False
    image_shape: tuple[int | None, int | None] = (None, None)
    decode: Callable[[tf.Tensor], tf.Tensor] | None = None
    explain: Callable[[int], str] | None = None
    remedy: str = ', or pass on_error="replace" to go on with the next image'
    files: Callable[[], Mapping[str, int | None]] = dict

    @property
    def is_encoded(self) -> bool:
        """Whether an image has still to be decoded."""
        return self.records.element_spec[0].dtype == tf.string

    @property
    def is_float(self) -> bool:
        """Whether the records are images that can hold NaN."""
        return self.records.element_spec[0].dtype.is_floating

    def numbered(self, worker: int = 0, workers: int = 1) -> tf.data.Dataset:
        """`(index, record)` of one worker's part; all parts have the same size.

        An element that raises takes an index, too, and there are no more indices than
        examples: a source that raises for ever comes to an end.
        """
        indices = tf.data.Dataset.range(self.size)
        records = tf.data.Dataset.zip(indices, self.records)
        if workers == 1:
            return records
        return records.shard(workers, worker).take(self.size // workers)

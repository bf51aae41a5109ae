"""After an example went missing: which one it was, and why."""

import functools
import os
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from keras_contrastive.data.decoding import reason
from keras_contrastive.data.source import Source

_FILES = 10_000  # of a user's, at most
_SAME = 1000  # equal errors in a row after which no other outcome is expected


class Diagnosis:
    """Host side: names what a source did not deliver or what could not be decoded.

    Nothing here runs while all examples are good. Then the order of the epoch is played
    again without decoding anything, and the source is read again in its own order.

    Args:
        source: Where the examples come from.
        numbered: Its records with their indices, those of this worker.
    """

    def __init__(self, source: Source, numbered: tf.data.Dataset):
        self._source = source
        self.indices = numbered.map(lambda index, record: index)
        self._explain = source.explain or (lambda index: f"example {index}")

    def name(self, items) -> dict[str, int]:
        """Name examples that are missing.

        Args:
            items: For each an index, if the record came but was no image, or
                `("error", k)`: the k-th error of the source in its place.

        Returns:
            For each text the number of examples that it stands for.
        """
        found = {}
        for item in items:
            if isinstance(item, tuple):
                text, count = self.errors[item[1] % len(self.errors)]
            else:
                text, count = self._explain(item), 1
            found[text] = count
        return found

    @functools.cached_property
    def errors(self) -> list[tuple[str, int]]:
        """The errors of the source in its order: a text, and how many examples it cost.

        The last one costs all that should have come after it.
        """
        size, index, good, found = self._source.size, 0, 0, []
        for item in read(self._source.numbered().map(lambda index, record: index)):
            if isinstance(item, int):
                index, good = item + 1, good + 1
                ended = False
            else:
                found.append([f"example {index}: {reason(item)}", 1])
                index, ended = index + 1, True
        if not found:  # it was read without an error this time
            return [("an example that could be read when it was read again", 1)]
        if ended:
            found[-1][1] = max(size - good - len(found) + 1, 1)
        damaged = damaged_files(self._source.files())
        if damaged:
            shown = "; ".join(damaged[:3])
            found = [(f"{text} (damaged: {shown})", count) for text, count in found]
        return [tuple(item) for item in found]

    def missing(self, seen) -> dict[str, int]:
        """Name everything but the examples of these indices, a boolean for each."""
        items = Replay(self.indices)
        return self.name(i for i in items if isinstance(i, tuple) or not seen[i])

    def first(self) -> dict[str, int]:
        """Name a few examples of a source that gives nothing."""
        items = [item for item, _ in zip(Replay(self.indices), range(3), strict=False)]
        return self.name(items)


class Replay:
    """What a dataset of indices gives, an error of its source as `("error", k)`.

    It reads no further than it is asked for.
    """

    def __init__(self, dataset: tf.data.Dataset):
        self._items, self._rest, self._errors = [], read(dataset), 0

    def __getitem__(self, position):
        while len(self._items) <= position:
            item = next(self._rest, None)
            if item is None:
                raise IndexError(position)
            if not isinstance(item, int):
                item, self._errors = ("error", self._errors), self._errors + 1
            self._items.append(item)
        return self._items[position]


def read(dataset: tf.data.Dataset) -> Iterator[int | tf.errors.OpError]:
    """Yield the integers of a dataset, and an error in the place of what raised it."""
    iterator, last, same = iter(dataset), None, 0
    while same < _SAME:
        try:
            item = int(next(iterator))
        except StopIteration:
            return
        except tf.errors.OpError as error:
            item = error
            same = same + 1 if str(error) == last else 0
            last = str(error)
        yield item


def damaged_files(files: dict[str, int | None]) -> list[str]:
    """Read TFRecord files to their end; return those that are damaged, and how.

    Args:
        files: For each path the number of its records, or None if that is unknown.
    """
    found = []
    for path, expected in files.items():
        records = tf.data.TFRecordDataset(path)
        try:
            count = int(records.reduce(np.int64(0), lambda n, _: n + 1))
        except tf.errors.OpError as error:
            found.append(f"{os.fspath(path)}: {reason(error)}")
            continue
        if expected is not None and count != expected:
            found.append(f"{os.fspath(path)}: {count} of {expected} records")
    return found


def tfrecord_files(dataset: tf.data.Dataset) -> dict[str, None]:
    """Return the TFRecord files behind a dataset, as far as it tells."""
    found, waiting = {}, [dataset]
    while waiting:
        node = waiting.pop()
        if isinstance(node, tf.data.TFRecordDataset):
            names = node._filenames.take(_FILES).as_numpy_iterator()
            found.update((os.fsdecode(name), None) for name in names)
        waiting.extend(getattr(node, "_inputs", list)())
    return found

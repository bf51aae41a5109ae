"""Unreadable examples: noticed by the gaps they leave, named once per epoch.

Nothing of this runs while all examples are good. After one went missing, the order of
the epoch is played again without decoding anything, and the source is read again in
its own order, to find out which one it was, and why.
"""

import functools
import itertools
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import tensorflow as tf

from keras_contrastive.data.source import Source

_SHOWN = 10
_FILES = 10_000  # of a user's, at most
_SAME = 1000  # equal errors in a row after which no other outcome is expected


def listed(texts) -> str:
    """Return lines for a warning: the first texts, sorted, and how many more."""
    texts = sorted(texts)
    shown = "".join(f"\n  {text}" for text in texts[:_SHOWN])
    more = len(texts) - _SHOWN
    return f"{shown}\n  and {more} more" if more > 0 else shown


def reason(error: Exception) -> str:
    """Return the sentence in a TensorFlow error, without node names and stacks."""
    text = getattr(error, "message", None) or str(error)
    asserted = re.search(r"assertion failed: \[(.*)\]", text)
    if asserted:
        return asserted[1].replace("] [", " ")
    text = re.sub(
        r"Error in user-defined function passed to .*?: (Iterator\S*: )?", "", text
    )
    text = re.sub(r"\{\{.*?\}\}|\[Op:.*?\]( name:)?", "", text).strip()
    return text.splitlines()[0].strip(" .") if text else type(error).__name__


class BadExamples:
    """Host side: which examples could not be read in the current pass.

    A graph cannot catch an error. `Dataset.ignore_errors` drops the example, at no
    cost for the good ones; the numbers of those that arrive then have a gap.

    Args:
        source: What is read, for messages: a path, a name.
        raise_errors: Whether a bad example is an error.
        remedy: What else than "Remove or repair it" the error says.
    """

    def __init__(self, source: str, raise_errors: bool, remedy: str):
        self._source = source
        self._raise_errors = raise_errors
        self._remedy = remedy
        self._found: dict[str, int] = {}

    def add(self, found: dict[str, int]):
        """Note bad examples: texts, and for how many examples each stands.

        Raises:
            ValueError: At the first one, if errors are to be raised.
        """
        self._found |= found
        if self._found and self._raise_errors:
            raise ValueError(
                f"Cannot read an image of {self._source}: {next(iter(self._found))}. "
                f"Remove or repair it{self._remedy}."
            )

    def warn(self):
        """Give one warning for what was found since the last call, if anything was."""
        found, self._found = self._found, {}
        if not found:
            return
        warnings.warn(
            f"{sum(found.values())} unreadable image(s) of {self._source} were "
            "replaced by the next readable ones in this epoch:"
            f"{listed(_counted(found))}",
            stacklevel=2,
        )

    def give_up(self, first: Callable[[], dict[str, int]]):
        """Raise: fewer than half of the examples can be read.

        Args:
            first: Names a few examples, if none has been named yet.

        Raises:
            ValueError: always.
        """
        self.add({})
        found = self._found or first()
        example = "".join(f"\n  {text}" for text in sorted(_counted(found))[:3])
        raise ValueError(
            f"More than half of the images of {self._source} cannot be read, so an "
            f"epoch cannot be filled. Remove or repair them.{example}"
        )


def _counted(found):
    return [
        text if count == 1 else f"{text}, and {count - 1} after it"
        for text, count in found.items()
    ]


def watch(dataset: tf.data.Dataset, on_gap: Callable) -> tf.data.Dataset:
    """Call `on_gap` on the host where the numbers of the elements have a gap.

    Args:
        dataset: Dataset of `(epoch, numbers, element)`; `numbers` is an int64 scalar,
            or a vector of them for a batch, and counts from 0 over the whole dataset.
        on_gap: `on_gap(epoch, first, numbers)`: numbers from `first` on were expected.

    Returns:
        Dataset of `(epoch, step, element)`, `step` counting the elements from 0.
    """

    def report(epoch, first, numbers):
        on_gap(int(epoch), int(first), np.asarray(numbers))
        return np.int64(0)

    @tf.autograph.experimental.do_not_convert
    def look(state, item):
        step, first = state
        epoch, numbers, element = item
        vector = tf.reshape(numbers, (-1,))
        after = vector[-1] + 1
        complete = tf.equal(after - first, tf.size(vector, tf.int64))
        done = tf.cond(
            complete,
            lambda: tf.zeros((), tf.int64),
            lambda: tf.ensure_shape(
                tf.numpy_function(report, [epoch, first, vector], tf.int64), ()
            ),
        )
        return (step + 1, after + done), (epoch, step, element)

    start = (tf.zeros((), tf.int64), tf.zeros((), tf.int64))
    return dataset.scan(start, look)


class Diagnosis:
    """Host side: names what a source did not deliver or what could not be decoded.

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
                found.append((f"example {index}: {reason(item)}", 1))
                index, ended = index + 1, True
        if not found:  # it was read without an error this time
            return [("an example that could be read when it was read again", 1)]
        if ended:
            found[-1] = (found[-1][0], max(size - good - len(found) + 1, 1))
        damaged = damaged_files(self._source.files())
        if damaged:
            shown = "; ".join(damaged[:3])
            found = [(f"{text} (damaged: {shown})", count) for text, count in found]
        return found

    def missing(self, seen) -> dict[str, int]:
        """Name everything but the examples of these indices, a boolean for each."""
        items = Replay(self.indices)
        return self.name(i for i in items if isinstance(i, tuple) or not seen[i])

    def first(self) -> dict[str, int]:
        """Name a few examples of a source that gives nothing."""
        return self.name(itertools.islice(Replay(self.indices), 3))


class Replay:
    """What a dataset of indices gives, an error of its source as `("error", k)`.

    It reads no further than it is asked for.
    """

    def __init__(self, dataset: tf.data.Dataset):
        self._items: list = []
        self._rest, self._errors = read(dataset), 0

    def __iter__(self):
        for position in itertools.count():
            try:
                yield self[position]
            except IndexError:
                return

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


def damaged_files(files: Mapping[str, int | None]) -> list[str]:
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
    found: dict[str, None] = {}
    waiting = [dataset]
    while waiting:
        node = waiting.pop()
        if isinstance(node, tf.data.TFRecordDataset):
            names = node._filenames.take(_FILES).as_numpy_iterator()
            found.update((os.fsdecode(name), None) for name in names)
        waiting.extend(getattr(node, "_inputs", list)())
    return found

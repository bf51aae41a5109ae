"""Unreadable examples: noticed by the gaps they leave, named once per epoch."""

import warnings
from collections.abc import Callable

import numpy as np
import tensorflow as tf

_SHOWN = 10


def listed(texts) -> str:
    """Lines for a warning: the first texts in sorted order, and how many more."""
    texts = sorted(texts)
    shown = "".join(f"\n  {text}" for text in texts[:_SHOWN])
    more = len(texts) - _SHOWN
    return f"{shown}\n  and {more} more" if more > 0 else shown


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
        self._found = {}

    def add(self, found: dict[str, int]):
        """Notes bad examples: texts, and for how many examples each stands.

        Raises:
            ValueError: at the first one, if errors are to be raised.
        """
        self._found |= found
        if self._found and self._raise_errors:
            raise ValueError(
                f"Cannot read an image of {self._source}: {next(iter(self._found))}. "
                f"Remove or repair it{self._remedy}."
            )

    def warn(self):
        """One warning for what was found since the last call, if anything was."""
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
        """Raises: fewer than half of the examples can be read.

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
    """Calls `on_gap` on the host where the numbers of the elements have a gap.

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

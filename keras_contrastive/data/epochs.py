"""Which epoch a dataset plays next: the one piece of state a loader has.

Keras makes new iterators as it likes: one to look at the first batch, one that
it throws away at the end of every epoch. Counting iterators therefore counts
wrongly. Here a pass counts when its last batch has been handed out, and whoever
knows better (a run that resumes) says so with `set_epoch`.
"""

import numpy as np
import tensorflow as tf

_ATTRIBUTE = "_keras_contrastive_epochs"


class Epochs:
    """Number of the next pass, kept on the host and read when a pass starts.

    A Python integer instead of a `tf.Variable`: made under a strategy's scope a
    variable would be mirrored, and inside `tf.data` that cannot be read.
    """

    def __init__(self):
        self.next = 0

    def dataset(self) -> tf.data.Dataset:
        """One int64 scalar: the epoch, read anew by every iterator."""

        def start(_):
            epoch = tf.numpy_function(lambda: np.int64(self.next), [], tf.int64)
            return tf.ensure_shape(epoch, ())

        dataset = tf.data.Dataset.range(1).map(start)
        setattr(dataset, _ATTRIBUTE, self)
        return dataset

    def finish(self, epoch: int):
        """The pass of `epoch` has handed out its last batch."""
        self.next = int(epoch) + 1


def set_epoch(dataset: tf.data.Dataset, epoch: int) -> bool:
    """Says which epoch the next pass over `dataset` plays.

    Order and views of a pass depend on `(seed, epoch)` alone. Without this call
    the passes play epochs 0, 1, 2, ...; a pass counts when its last batch has
    been taken, so looking at a few batches changes nothing (a `prefetch` behind the
    loader takes batches too). A run that resumes
    at epoch `e` calls `set_epoch(dataset, e)` first and sees what the
    uninterrupted run saw; a callback that calls it in `on_epoch_begin` does this
    for every epoch. A pass that has already begun is not affected.

    Args:
        dataset: A dataset of `keras_contrastive.data`, also after further
            `map`, `take`, `prefetch`, ... Several of them, zipped, are all set.
        epoch: Number of the epoch, from 0.

    Returns:
        Whether `dataset` comes from `keras_contrastive.data`. For any other
        dataset nothing happens and the answer is `False`.

    Raises:
        ValueError: if `epoch` is not an integer >= 0.

    Example:
        >>> (x, _), _ = kc.data.load_sample()
        >>> views = kc.data.views_from_arrays(x, augmentation=None, seed=1)
        >>> kc.data.set_epoch(views, 20)  # before fit(views, initial_epoch=20, ...)
        True
    """
    if isinstance(epoch, bool) or not isinstance(epoch, int | np.integer) or epoch < 0:
        raise ValueError(
            f"`epoch` must be an integer >= 0. Received: epoch={epoch!r}. Give the "
            "number that `fit(initial_epoch=...)` or `on_epoch_begin` uses."
        )
    found = False
    waiting = [dataset]
    while waiting:
        node = waiting.pop()
        epochs = getattr(node, _ATTRIBUTE, None)
        if epochs is not None:
            epochs.next = int(epoch)
            found = True
        # Every tf.data transformation knows its inputs; other objects have none.
        waiting.extend(getattr(node, "_inputs", list)())
    return found

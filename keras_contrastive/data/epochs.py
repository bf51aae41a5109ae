"""An epoch of a loader: its number, its random keys, its beginning and its end.

Which epoch a dataset plays next is the one piece of state that a loader has.

Keras makes new iterators as it likes: one to look at the first batch, one that
it throws away at the end of every epoch. Counting iterators therefore counts
wrongly. Here a pass counts when its last batch has been handed out, and whoever
knows better (a run that resumes) says so with `set_epoch`.
"""

import numpy as np
import tensorflow as tf

from keras_contrastive.data.options import Options

_ATTRIBUTE = "_keras_contrastive_epochs"
_ORDER, _VIEWS = 0, 1

PARALLEL = {"num_parallel_calls": tf.data.AUTOTUNE, "deterministic": True}


class Epochs:
    """Number of the next pass, kept on the host and read when a pass starts.

    A Python integer instead of a `tf.Variable`: made under a strategy's scope a
    variable would be mirrored, and inside `tf.data` that cannot be read.
    """

    def __init__(self):
        self.next = 0

    def dataset(self) -> tf.data.Dataset:
        """Return one int64 scalar: the epoch, read anew by every iterator."""

        def start(_):
            epoch = tf.numpy_function(lambda: np.int64(self.next), [], tf.int64)
            return tf.ensure_shape(epoch, ())

        dataset = tf.data.Dataset.range(1).map(start)
        setattr(dataset, _ATTRIBUTE, self)
        return dataset

    def finish(self, epoch: int):
        """Note that the pass of `epoch` has handed out its last batch."""
        self.next = int(epoch) + 1


def set_epoch(dataset: tf.data.Dataset, epoch: int) -> bool:
    """Say which epoch the next pass over `dataset` plays.

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
        ValueError: If `epoch` is not an integer >= 0.

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


def order_key(seed: int, epoch):
    """Return a key, int32 of shape (2,), for the order of the examples in an epoch."""
    return _key(seed, epoch, _ORDER)


def view_key(seed: int, epoch, step, worker: int = 0):
    """Return a key, int32 of shape (2,), for the views of batch (or image) `step`."""
    return _fold(_fold(_key(seed, epoch, _VIEWS), worker), step)


def _key(seed, epoch, purpose):
    low, high = seed & 0x7FFFFFFF, (seed >> 31) & 0x7FFFFFFF
    return _fold(_fold(tf.constant([low, high], tf.int32), epoch), purpose)


def _fold(key, number):
    return tf.random.experimental.stateless_fold_in(key, tf.cast(number, tf.int32))


def shuffled(dataset: tf.data.Dataset, buffer_size: int, key) -> tf.data.Dataset:
    """Return `dataset` in an order that `key` alone decides; call inside a `flat_map`.

    `Dataset.shuffle` mixes its seed with the global one of `tf.random.set_seed`;
    fixing the seed of the graph being traced keeps the global one out.
    """
    tf.compat.v1.set_random_seed(1)
    seed = tf.random.stateless_uniform((), key, maxval=2**31 - 1, dtype=tf.int64)
    return dataset.shuffle(buffer_size, seed=seed, reshuffle_each_iteration=False)


def play(epoch, dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Yield `(epoch, element)` for each element of `dataset`."""
    return tf.data.Dataset.zip(tf.data.Dataset.from_tensors(epoch).repeat(), dataset)


def finished(
    dataset: tf.data.Dataset,
    epochs: Epochs,
    steps: int,
    options: Options,
    on_end=None,
) -> tf.data.Dataset:
    """Prefetch, count the pass at its last batch, and make the length known.

    Args:
        dataset: Dataset of `(epoch, element)`; `element` is what the user gets.
        epochs: State behind `dataset`.
        steps: Number of its batches.
        options: Keywords of the loader.
        on_end: Called on the host, without arguments, after the last batch of a pass.
    """

    def end(epoch):
        epochs.finish(epoch)
        if on_end is not None:
            on_end()
        return epoch

    @tf.autograph.experimental.do_not_convert
    def hand_out(step, numbered):
        epoch, element = numbered
        count = tf.cond(
            tf.equal(step, steps - 1),
            lambda: tf.numpy_function(end, [epoch], tf.int64),
            lambda: epoch,
        )
        with tf.control_dependencies([count]):
            return tf.nest.map_structure(tf.identity, element)

    dataset = dataset.prefetch(tf.data.AUTOTUNE).enumerate().map(hand_out)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(steps))
    settings = tf.data.Options()
    settings.deterministic = True
    # One call per core instead of a guess. The thread that tunes also misses, now and
    # then, that its iterator is gone, and the next epoch waits seconds for it.
    settings.autotune.enabled = False
    # tf.data would put a prefetch of its own behind `hand_out`: batches would count
    # as handed out that nobody has taken.
    settings.experimental_optimization.inject_prefetch = False
    # Sharding by file would change the number of batches. A worker without
    # `input_context` makes all batches and uses every n-th.
    policy = tf.data.experimental.AutoShardPolicy
    settings.experimental_distribute.auto_shard_policy = (
        policy.DATA if options.input_context is None else policy.OFF
    )
    return dataset.with_options(settings)

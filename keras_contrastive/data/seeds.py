"""Stateless random numbers of a loader: keys that depend on (seed, epoch) alone."""

import random

import tensorflow as tf

_ORDER, _VIEWS = 0, 1


def resolve_seed(seed: int | None) -> int:
    """`seed` itself; for `None` one from Python's generator.

    `keras.utils.set_random_seed` seeds that generator, so a script that calls it
    gets the same views every time without naming a seed here.
    """
    return random.randrange(2**31) if seed is None else int(seed)


def order_key(seed: int, epoch):
    """Key, int32 of shape (2,), for the order of the examples in an epoch."""
    return _key(seed, epoch, _ORDER)


def view_key(seed: int, epoch, step, worker: int = 0):
    """Key, int32 of shape (2,), for the views of batch (or image) `step`."""
    return _fold(_fold(_key(seed, epoch, _VIEWS), worker), step)


def _key(seed, epoch, purpose):
    low, high = seed & 0x7FFFFFFF, (seed >> 31) & 0x7FFFFFFF
    return _fold(_fold(tf.constant([low, high], tf.int32), epoch), purpose)


def _fold(key, number):
    return tf.random.experimental.stateless_fold_in(key, tf.cast(number, tf.int32))


def shuffled(dataset: tf.data.Dataset, buffer_size: int, key) -> tf.data.Dataset:
    """`dataset` in an order that `key` alone decides; call inside a `flat_map`.

    `Dataset.shuffle` mixes its seed with the global one of `tf.random.set_seed`;
    fixing the seed of the graph being traced keeps the global one out.
    """
    tf.compat.v1.set_random_seed(1)
    seed = tf.random.stateless_uniform((), key, maxval=2**31 - 1, dtype=tf.int64)
    return dataset.shuffle(buffer_size, seed=seed, reshuffle_each_iteration=False)

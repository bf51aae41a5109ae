"""The two ends of every loader: an epoch begins, an epoch ends."""

import tensorflow as tf

from keras_contrastive.data.epochs import Epochs
from keras_contrastive.data.options import Options


def play(epoch, dataset: tf.data.Dataset) -> tf.data.Dataset:
    """`(epoch, element)` for each element of `dataset`."""
    return tf.data.Dataset.zip(tf.data.Dataset.from_tensors(epoch).repeat(), dataset)


def finished(
    dataset: tf.data.Dataset,
    epochs: Epochs,
    steps: int,
    options: Options,
    on_end=None,
) -> tf.data.Dataset:
    """Prefetches, counts the pass at its last batch, and makes the length known.

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

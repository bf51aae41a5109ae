"""What the loss tests share: gradients of any arguments, and running on replicas."""

import numpy as np
import tensorflow as tf


def is_embedding(x):
    return x is not None and x.dtype.is_floating


def value_and_gradients(loss, targets, predictions):
    """Loss and its gradients with respect to every float tensor among the arguments."""
    arguments = tf.nest.map_structure(
        lambda x: None if x is None else tf.convert_to_tensor(x), (targets, predictions)
    )
    watched = [x for x in tf.nest.flatten(arguments) if is_embedding(x)]
    with tf.GradientTape() as tape:
        tape.watch(watched)
        value = loss(*arguments)
    gradients = tape.gradient(
        value, watched, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    return value, gradients


def on_replicas(strategy, loss, targets, predictions, sizes, shared=()):
    """Run with `sizes[i]` examples on replica i; return one list per replica.

    `shared` are positions among the flattened arguments that are not split: the queue.
    """
    arguments = (targets, predictions)
    starts = np.cumsum([0, *sizes])

    def part(position, x, i):
        if x is None or position in shared:
            return x
        return x[starts[i] : starts[i + 1]]

    def distribute(position, x):
        if x is None:
            return None
        return strategy.experimental_distribute_values_from_function(
            lambda c: tf.constant(part(position, x, c.replica_id_in_sync_group))
        )

    flat = [distribute(i, x) for i, x in enumerate(tf.nest.flatten(arguments))]
    distributed = tf.nest.pack_sequence_as(arguments, flat)
    run = tf.function(
        lambda *x: strategy.run(lambda t, p: value_and_gradients(loss, t, p), x)
    )
    values, gradients = run(*distributed)
    local = strategy.experimental_local_results
    return (
        [x.numpy() for x in local(values)],
        [[x.numpy() for x in local(g)] for g in gradients],
    )


def assert_close(actual, expected, rtol):
    """Largest difference, relative to the largest entry of `expected`."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= rtol * np.abs(expected).max() + 1e-12

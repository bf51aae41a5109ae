"""What replicas tell each other."""

import numpy as np
import tensorflow as tf
from keras import ops

from keras_contrastive import distribute


def test_an_overflow_on_one_replica_is_known_to_all(strategy_of):
    strategy = strategy_of(2)

    @tf.function
    def step(first, second):
        def replica():
            mine = first if distribute.replica_id() == 0 else second
            return distribute.share_overflow([mine, None, tf.ones(2, "float16")])

        return strategy.run(replica)

    for values, finite in (((1.0, 2.0), True), ((1.0, np.inf), False)):
        gradients, known = step(*(tf.constant([v], "float32") for v in values))
        assert gradients[1] is None
        for i in range(2):
            assert bool(strategy.experimental_local_results(known)[i]) is finite
            for g in (gradients[0], gradients[2]):
                own = strategy.experimental_local_results(g)[i]
                assert bool(np.isfinite(own).all()) is finite


def test_without_replicas_gradients_stay_as_they_are():
    gradients = [tf.constant([1.0, np.inf]), None]
    same, finite = distribute.share_overflow(gradients)
    assert same is gradients and not finite


def test_all_gather_keeps_every_static_axis_but_the_first(strategy_of):
    """A loss that reads `shape[-1]`, on equal and on unequal parts of the batch."""
    strategy = strategy_of(2)
    shapes = []

    @tf.function
    def step(x):
        def replica(z):
            everyone = distribute.all_gather(z)
            shapes.append(everyone.shape.as_list())
            rows = ops.reshape(everyone, (-1, everyone.shape[1] * everyone.shape[2]))
            return ops.shape(rows)[0]

        return strategy.run(replica, args=(x,))

    for parts in ((2, 2), (3, 2)):
        x = strategy.experimental_distribute_values_from_function(
            lambda c, parts=parts: tf.ones((parts[c.replica_id_in_sync_group], 4, 3))
        )
        rows = strategy.experimental_local_results(step(x))
        assert [int(n) for n in rows] == [sum(parts)] * 2
    assert shapes == [[None, 4, 3]] * 4
    assert distribute.all_gather(tf.ones((2, 3))).shape == (2, 3)

"""What replicas tell each other."""

import numpy as np
import tensorflow as tf

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

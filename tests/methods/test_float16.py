"""Loss scaling in mixed_float16: a step that it skips counts nowhere."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import (
    dataset,
    head,
    parameters,
    set_seed,
    sgd,
    target_parameters,
    tiny_encoder,
)

import keras_contrastive as kc

# Wide heads: a short embedding turns by what float16 rounds, and losses of unit vectors
# of one replica and of two part by a tenth within eight steps.
MAKE = {
    "byol": lambda: kc.BYOL(tiny_encoder(), head(32), head(32)),
    "sce": lambda: kc.SCE(tiny_encoder(), head(32), queue_size=24),
}


class Record(keras.callbacks.Callback):
    """The online network after every batch, and how many steps were applied.

    It also says which steps overflow, far from where rounding would decide: at a scale
    of 2**30 every gradient does, at 2**8 none.
    """

    def __init__(self):
        super().__init__()
        self.history = []

    def on_train_batch_begin(self, batch, logs=None):
        overflows = len(self.history) in (0, 1, 4, 9)
        self.model.optimizer.dynamic_scale.assign(2.0 ** (30 if overflows else 8))

    def on_train_batch_end(self, batch, logs=None):
        applied = int(np.array(self.model.optimizer.iterations))
        self.history.append((applied, [np.array(v) for v in parameters(self.model)]))


def state(model):
    """What only an applied step may change."""
    queue = getattr(model, "queue", None)
    variables = parameters(model) + target_parameters(model)
    return [np.array(v) for v in variables + (queue.weights if queue else [])]


@pytest.mark.parametrize(
    "name, most",
    [
        ("byol", 1),
        pytest.param("byol", 2, marks=pytest.mark.slow),
        pytest.param("sce", 2, marks=pytest.mark.slow),
    ],
)
def test_skipped_steps_count_nowhere_whatever_the_replicas(name, most, strategy_of):
    keras.config.set_dtype_policy("mixed_float16")
    losses, movements = [], []
    for replicas in range(1, most + 1):
        strategy = strategy_of(replicas) if replicas > 1 else None
        with strategy.scope() if strategy else tf.init_scope():
            set_seed(0)
            model = MAKE[name]()
            scaled = keras.optimizers.LossScaleOptimizer(sgd(0.005), 2.0**30)
            model.compile(scaled, jit_compile=False)
        before = state(model)
        model.fit(dataset(), verbose=0)
        assert int(np.array(model.optimizer.iterations)) == 0
        for a, b in zip(before, state(model), strict=True):
            np.testing.assert_array_equal(a, b)

        target = [np.array(v, "float64") for v in target_parameters(model)]
        record = Record()
        rule = kc.callbacks.MomentumUpdate(0.9)
        history = model.fit(dataset(), epochs=3, verbose=0, callbacks=[rule, record])
        losses.append(history.history["loss"])
        end = state(model)[: len(target)]
        pairs = zip(end, before, strict=False)
        movements.append(np.concatenate([(a - b).ravel() for a, b in pairs]))
        counts = [count for count, _ in record.history]
        assert counts == [0, 0, 1, 2, 2, 3, 4, 5, 6, 6, 7, 8]
        k = 0
        for count, online in record.history:
            if count > k:
                tau = 1 - (1 - 0.9) * (np.cos(np.pi * k / 12) + 1) / 2
                pairs = zip(target, online, strict=True)
                target = [tau * t + (1 - tau) * v for t, v in pairs]
                k = count
        for actual, expected in zip(target_parameters(model), target, strict=True):
            np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)
        if name == "sce":
            assert int(model.queue.get_weights()[1]) == 8 * 8 % 24
    # One replica and two go the same way, as far as float16 tells: a gradient that is
    # scaled twice would go half or double the way.
    np.testing.assert_allclose(losses[0], losses[-1], rtol=1e-2)
    one, last = movements[0], movements[-1]
    assert np.linalg.norm(one - last) < 0.2 * np.linalg.norm(one)

import golden_values
import numpy as np
import pytest
import tensorflow as tf

from keras_contrastive.callbacks import MomentumUpdate
from keras_contrastive.layers.clock import Clock
from keras_contrastive.layers.momentum_target import ema


def cosine(k, total, start, end=1.0):
    """The rule's tau for update `k` of a run of `total`."""
    clock = Clock()
    clock.total_steps.assign(total)
    return MomentumUpdate(start, end).momentum(clock.progress(k))


def fixed(value):
    return MomentumUpdate(value, schedule="constant").momentum(0.5)


SCHEDULES = golden_values.load("schedules")
EMA = golden_values.load("ema")


@pytest.mark.parametrize("case", [f"byol_target_ema_{i}" for i in range(3)])
def test_golden_cosine(case):
    data, hp = SCHEDULES[case], SCHEDULES[case]["hp"]
    clock, rule = Clock(), MomentumUpdate(hp["base_ema"])
    clock.total_steps.assign(hp["max_steps"])
    compute = tf.function(lambda k: rule.momentum(clock.progress(k)))
    actual = np.array([compute(tf.constant(k, tf.int64)) for k in data["steps"]])
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, data["values"], rtol=1e-7)


def test_cosine_to_another_end():
    total, start, end = 10, 0.9, 0.99
    expected = [
        end - (end - start) * (np.cos(np.pi * min(k, total) / total) + 1) / 2
        for k in range(13)
    ]
    actual = [cosine(k, total, start, end) for k in range(13)]
    np.testing.assert_allclose(actual, expected, rtol=1e-6)
    assert float(actual[0]) == np.float32(start)


def test_cosine_of_an_unknown_length_stays_at_its_start():
    np.testing.assert_allclose(cosine(5, 0, 0.99), 0.99, rtol=1e-7)


def test_constant():
    assert float(fixed(0.99)) == np.float32(0.99)


@pytest.mark.parametrize("case", EMA.values(), ids=EMA.keys())
def test_golden_ema(case):
    base, total = case["hp"]["base_ema"], case["hp"]["max_steps"]
    target = tf.constant(case["target_init"], tf.float32)
    constant = target
    for k, online in enumerate(case["online"]):
        online = tf.constant(online, tf.float32)
        target = ema(target, online, cosine(k, total, base))
        constant = ema(constant, online, fixed(base))
        np.testing.assert_allclose(target, case["target_after"][k], 1e-6, 1e-7)
        np.testing.assert_allclose(
            constant, case["constant_momentum_target_after"][k], 1e-6, 1e-7
        )


def test_ema_edges_and_dtype():
    target, online = tf.constant([1.0, 2.0], "float16"), tf.constant([3.0, 4.0])
    np.testing.assert_array_equal(ema(target, online, 1.0), target)
    np.testing.assert_array_equal(ema(target, online, 0.0), online)
    assert ema(target, online, fixed(0.5)).dtype == "float16"

import json
import math

import golden_values
import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_contrastive.optimizers import (
    LARS,
    WarmupCosine,
    linear_scaling,
    no_scaling,
    square_root_scaling,
)

GOLDEN = golden_values.load("schedules")


def values(schedule, steps):
    return np.array([float(schedule(tf.constant(step, tf.int64))) for step in steps])


def of_steps(base, warmup_steps, total_steps, batch_size, **arguments):
    """A schedule of one long epoch, so that any number of steps can be asked for."""
    schedule = WarmupCosine(base, warmup_steps / total_steps, **arguments)
    return schedule.bind(batch_size, total_steps, epochs=1)


@pytest.mark.parametrize("case", ["byol_lr_0", "byol_lr_1"])
def test_golden_byol(case):
    hp = GOLDEN[case]["hp"]
    schedule = of_steps(
        hp["base_learning_rate"],
        hp["warmup_steps"],
        hp["total_steps"],
        hp["batch_size"],
    )
    actual = values(schedule, GOLDEN[case]["steps"])
    np.testing.assert_allclose(actual, GOLDEN[case]["values"], rtol=1e-6, atol=1e-15)


@pytest.mark.parametrize("case", ["simclr_lr_0", "simclr_lr_1"])
def test_golden_simclr_with_its_own_numbers_of_steps(case):
    hp = GOLDEN[case]["hp"]
    scaling = {
        "linear": {"scaling": linear_scaling},
        "sqrt": {"scaling": square_root_scaling, "reference_batch": 1},
    }[hp["scaling"]]
    schedule = of_steps(
        hp["base_learning_rate"],
        hp["warmup_steps"],
        hp["total_steps"],
        hp["train_batch_size"],
        **scaling,
    )
    actual = values(schedule, GOLDEN[case]["steps"])
    np.testing.assert_allclose(actual, GOLDEN[case]["values"], rtol=1e-6, atol=1e-15)


def test_simclr_rounds_its_steps_otherwise():
    hp = GOLDEN["simclr_lr_1"]["hp"]
    steps_per_epoch = hp["num_examples"] // hp["train_batch_size"]
    assert steps_per_epoch * hp["train_epochs"] == 180 != hp["total_steps"]
    assert round(hp["warmup_epochs"] * steps_per_epoch) == 30 != hp["warmup_steps"]


@pytest.mark.parametrize("final", [0.0, 0.01])
def test_precise_in_every_step(final):
    base, spe, epochs, first = 0.2, 312, 40, 1000
    schedule = WarmupCosine(base, 10, start=3e-5, final=final)
    schedule = schedule.bind(4096, spe, epochs, first_step=first)
    steps = np.arange(first, first + spe * epochs)
    k, peak, warmup, total = steps - first, base * 16, 10 * spe, epochs * spe
    cosine = np.sin(np.pi / 2 * (total - k) / (total - warmup)) ** 2
    expected = np.where(
        k < warmup,
        3e-5 + (peak - 3e-5) * k / warmup,
        final + (peak - final) * cosine,
    )
    compute = tf.function(
        lambda s: tf.map_fn(schedule, s, fn_output_signature="float32")
    )
    actual = compute(tf.constant(steps, tf.int64)).numpy()
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_edges():
    schedule = WarmupCosine(1.0, 2, start=0.1, final=0.05)
    schedule = schedule.bind(256, steps_per_epoch=4, epochs=6, first_step=100)
    actual = values(schedule, [0, 100, 104, 108, 116, 123, 124, 10**6])
    end = 0.05 + 0.95 * (1 + math.cos(math.pi * 15 / 16)) / 2
    expected = [0.1, 0.1, 0.55, 1.0, 0.525, end, 0.05, 0.05]
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_too_long_a_warmup_is_shortened_to_the_run():
    schedule = WarmupCosine(1.0, warmup_epochs=10).bind(256, 2, epochs=4)
    expected = [k / 8 for k in range(8)]
    np.testing.assert_allclose(values(schedule, range(8)), expected, rtol=1e-6)


def test_no_warmup_starts_at_the_peak():
    schedule = WarmupCosine(1.0, warmup_epochs=0).bind(256, 2, epochs=4)
    np.testing.assert_allclose(values(schedule, [0, 4, 8]), [1, 0.5, 0], atol=1e-7)


def test_fractional_warmup():
    schedule = WarmupCosine(1.0, warmup_epochs=0.5).bind(256, 8, epochs=4)
    np.testing.assert_allclose(values(schedule, [2, 4]), [0.5, 1.0], rtol=1e-6)


def test_peak_follows_the_batch_size():
    assert WarmupCosine(0.3).peak(4096) == pytest.approx(4.8)
    assert WarmupCosine(0.5, reference_batch=1024).peak(512) == pytest.approx(0.25)
    root = WarmupCosine(0.075, reference_batch=1, scaling=square_root_scaling)
    assert root.peak(4096) == pytest.approx(4.8)
    assert WarmupCosine(1e-3, scaling=no_scaling).peak(4096) == 1e-3


def test_unbound_gives_the_rate_of_the_reference_batch():
    schedule = WarmupCosine(0.3)
    assert not schedule.bound
    np.testing.assert_allclose(values(schedule, [0, 7, 10**6]), 0.3, rtol=1e-7)


def test_bind_leaves_the_schedule_and_binds_again():
    schedule = WarmupCosine(0.3, 1)
    first = schedule.bind(256, 10, 5)
    second = first.bind(512, 10, 5, first_step=50)
    assert not schedule.bound and first.bound
    np.testing.assert_allclose(values(first, [10, 60]), [0.3, 0.0], rtol=1e-6)
    np.testing.assert_allclose(values(second, [50, 60]), [0.0, 0.6], rtol=1e-6)


def test_config_round_trip_unbound_and_bound():
    schedule = WarmupCosine(
        0.075, 0.5, 1, scaling=square_root_scaling, start=1e-3, final=1e-4
    )
    for original in (schedule, schedule.bind(64, 10, 5, first_step=3)):
        config = json.loads(
            json.dumps(keras.saving.serialize_keras_object(LARS(original)))
        )
        restored = keras.saving.deserialize_keras_object(config)._learning_rate
        assert restored.get_config() == original.get_config()
        assert restored.bound == original.bound
        steps = range(60)
        np.testing.assert_array_equal(values(restored, steps), values(original, steps))


def test_optimizer_hands_over_its_steps():
    schedule = WarmupCosine(1.0, 1).bind(256, 4, 2)
    optimizer = LARS(schedule)
    w = keras.Variable(np.zeros((2,), "float32"))
    rates = []
    for _ in range(8):
        rates.append(float(optimizer.learning_rate))
        optimizer.apply([keras.ops.zeros((2,))], [w])
    np.testing.assert_allclose(rates, values(schedule, range(8)), rtol=1e-7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"base_learning_rate": -1.0}, "`base_learning_rate` must be a number >= 0"),
        ({"warmup_epochs": -1}, "`warmup_epochs` must be a number >= 0.*-1"),
        ({"start": -1e-3}, "`start` must be a number >= 0"),
        ({"final": math.nan}, "`final` must be a number >= 0.*nan"),
        ({"reference_batch": 0}, "`reference_batch` must be an integer >= 1.*=0"),
        ({"scaling": "linear"}, "`scaling` must be a function.*'linear'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        WarmupCosine(**{"base_learning_rate": 0.1, **arguments})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_size", 0),
        ("steps_per_epoch", 0),
        ("steps_per_epoch", None),
        ("epochs", 1.5),
    ],
)
def test_bad_runs(name, value):
    run = {"batch_size": 256, "steps_per_epoch": 10, "epochs": 5, name: value}
    with pytest.raises(ValueError, match=f"`{name}` must be an integer.*{value}"):
        WarmupCosine(0.1).bind(**run)

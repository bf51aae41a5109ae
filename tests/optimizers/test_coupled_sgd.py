import json

import keras
import numpy as np
import pytest
from small_model import fit, small_model

from keras_contrastive.optimizers import LARS, AdamW, CoupledSGD, WarmupCosine

RNG = np.random.default_rng(7)
START = RNG.normal(size=(3, 2))
GRADIENTS = RNG.normal(size=(5, 3, 2))


def run(optimizer, start=START, gradients=GRADIENTS):
    """Weights after each step of `optimizer` on one variable."""
    w = keras.Variable(start, dtype="float64")
    steps = []
    for g in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(g, "float64")], [w])
        steps.append(np.array(w))
    return np.stack(steps)


@pytest.mark.parametrize("nesterov", [False, True])
def test_formula(nesterov):
    lr, m, wd = 0.125, 0.9, 0.05  # Keras keeps the learning rate in float32
    w, u, expected = START.copy(), np.zeros_like(START), []
    for g in GRADIENTS:
        g = g + wd * w
        u = m * u + g
        w = w - lr * (g + m * u if nesterov else u)
        expected.append(w)
    actual = run(CoupledSGD(lr, m, nesterov=nesterov, weight_decay=wd))
    np.testing.assert_allclose(actual, expected, rtol=1e-12)


def test_decay_is_coupled_and_applied_once():
    zero = np.zeros((3, 1))
    arguments = {"start": np.ones((1,)), "gradients": zero}
    coupled = run(CoupledSGD(0.1, 0.9, weight_decay=0.1), **arguments)
    stock = run(keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=0.1), **arguments)
    assert coupled[-1, 0] == pytest.approx(0.9444, abs=5e-5)
    assert stock[-1, 0] == pytest.approx(0.9703, abs=5e-5)


def test_without_decay_and_constant_rate_equals_keras():
    np.testing.assert_allclose(
        run(CoupledSGD(0.5, 0.75)), run(keras.optimizers.SGD(0.5, 0.75)), 1e-12
    )


@pytest.mark.parametrize("momentum", [0, 0.0])
def test_without_momentum(momentum):
    np.testing.assert_allclose(
        run(CoupledSGD(0.5, momentum)), START - 0.5 * np.cumsum(GRADIENTS, 0), 1e-12
    )


def moved_without_gradient(optimizer):
    model, _, _ = small_model(optimizer)
    for v in model.trainable_variables:
        v.assign(keras.ops.ones_like(v))
    optimizer.apply(
        [keras.ops.zeros_like(v) for v in model.trainable_variables],
        model.trainable_variables,
    )
    return {v.path for v in model.trainable_variables if np.array(v).flat[0] != 1.0}


def test_every_variable_is_decayed_by_default():
    moved = moved_without_gradient(CoupledSGD(0.1, weight_decay=0.1))
    assert moved == {
        "net/first/kernel",
        "net/first/bias",
        "net/norm/gamma",
        "net/norm/beta",
        "net/last/kernel",
        "net/last/bias",
    }


def test_exclusion_by_path_and_by_variable_survives_the_config():
    optimizer = CoupledSGD(0.1, weight_decay=0.1)
    kernel = small_model("sgd")[0].get_layer("first").kernel
    optimizer.exclude_from_weight_decay([kernel], ["bias", "norm/"])
    config = json.loads(json.dumps(optimizer.get_config()))
    for candidate in (optimizer, CoupledSGD.from_config(config)):
        assert moved_without_gradient(candidate) == {"net/last/kernel"}


def test_exclusion_after_the_first_step_is_refused():
    optimizer = CoupledSGD(0.1)
    run(optimizer)
    with pytest.raises(ValueError, match="before the optimizer is built"):
        optimizer.exclude_from_weight_decay(var_names=["bias"])


def moves(optimizer, steps=6):
    """How far each step moves the variables `plain` and `constant`."""
    variables = [keras.Variable(np.zeros(3), name=n) for n in ("plain", "constant")]
    seen = [np.zeros(2)]
    for _ in range(steps):
        optimizer.apply([-keras.ops.ones(3) for _ in variables], variables)
        seen.append(np.array([np.array(v)[0] for v in variables]))
    return np.diff(seen, axis=0).T


@pytest.mark.parametrize(
    "make",
    [
        lambda rate: CoupledSGD(rate, momentum=0.0),
        lambda rate: LARS(rate, momentum=0.0),
        lambda rate: AdamW(rate, weight_decay=0.0),  # equal gradients: steps of 1
    ],
    ids=["CoupledSGD", "LARS", "AdamW"],
)
def test_what_is_excluded_from_the_schedule_has_its_peak_throughout(make):
    schedule = WarmupCosine(0.1, warmup_epochs=1)
    optimizer = make(schedule)
    optimizer.exclude_from_schedule(var_names=["constant"])
    config = json.loads(json.dumps(keras.optimizers.serialize(optimizer)))
    for candidate in (optimizer, keras.optimizers.deserialize(config)):
        # It is read in every step: `fit` binds the schedule of an optimizer anew.
        run = schedule.bind(batch_size=512, steps_per_epoch=2, epochs=2)
        candidate.learning_rate = run
        plain, constant = moves(candidate)
        np.testing.assert_allclose(plain, [run(k) for k in range(6)], 1e-5, 1e-7)
        assert plain[0] == 0 and plain[-1] == 0  # warm-up, and after the end
        np.testing.assert_allclose(constant, 0.2, rtol=1e-5)
    unbound = make(schedule)
    unbound.exclude_from_schedule(var_names=["constant"])
    np.testing.assert_allclose(moves(unbound), 0.1, rtol=1e-5)


def test_only_a_schedule_that_knows_its_peak_has_exclusions():
    plain, constant = moves(CoupledSGD(0.25, momentum=0.0))
    optimizer = CoupledSGD(0.25, momentum=0.0)
    optimizer.exclude_from_schedule(var_names=["constant"])
    np.testing.assert_array_equal(moves(optimizer), [plain, constant])
    with pytest.raises(ValueError, match="before the optimizer is built"):
        optimizer.exclude_from_schedule(var_names=["constant"])
    decay = keras.optimizers.schedules.CosineDecay(0.1, 10)
    with pytest.raises(ValueError, match="only a .*WarmupCosine knows its peak"):
        CoupledSGD(decay).exclude_from_schedule(var_names=["constant"])


@pytest.mark.parametrize("optimizer_class", [CoupledSGD, LARS])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"learning_rate": -0.1}, "`learning_rate` must be a number >= 0.*-0.1"),
        ({"momentum": 1.0}, r"`momentum` must be a number in \[0, 1\).*momentum=1.0"),
        ({"momentum": -0.5}, r"`momentum` must be a number in \[0, 1\).*-0.5"),
        ({"weight_decay": -1e-4}, "`weight_decay` must be a number >= 0.*-0.0001"),
        ({"weight_decay": None}, "`weight_decay` must be a number >= 0.*None"),
    ],
)
def test_bad_arguments(optimizer_class, arguments, message):
    with pytest.raises(ValueError, match=message):
        optimizer_class(**{"learning_rate": 0.1, **arguments})


def test_save_and_load_continues_identically(tmp_path):
    model, x, y = small_model(CoupledSGD(0.05, nesterov=True, weight_decay=1e-3))
    fit(model, x, y)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.optimizer.nesterov
    for m in (model, loaded):
        fit(m, x, y)
    for a, b in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(a, b)

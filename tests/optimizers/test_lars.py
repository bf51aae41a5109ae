import json

import golden_values
import keras
import numpy as np
import pytest
from small_model import fit, small_model

from keras_contrastive.optimizers import LARS, WarmupCosine

GOLDEN = golden_values.load("lars_updates")
PARAMETERS = (
    "dense_kernel",
    "dense_bias",
    "bn_gamma",
    "bn_beta",
    "conv_kernel",
    "zero_kernel",
)


class Listed(keras.optimizers.schedules.LearningRateSchedule):
    """One learning rate per step."""

    def __init__(self, rates):
        self.rates = rates

    def __call__(self, step):
        return keras.ops.take(keras.ops.convert_to_tensor(self.rates, "float32"), step)


def trajectory(case, optimizer, dtype):
    """Every parameter after each golden step."""
    variables = [
        keras.Variable(case[f"init/{name}"], dtype=dtype, name=name)
        for name in PARAMETERS
    ]
    steps = {name: [] for name in PARAMETERS}
    for t in range(len(case["hp"]["lrs"])):
        gradients = [
            keras.ops.convert_to_tensor(case[f"grads/{name}"][t], dtype)
            for name in PARAMETERS
        ]
        optimizer.apply(gradients, variables)
        for name, variable in zip(PARAMETERS, variables, strict=True):
            steps[name].append(np.array(variable))
    return {name: np.stack(values) for name, values in steps.items()}


def lars_of(case, **arguments):
    hp = case["hp"]
    return LARS(
        Listed(hp["lrs"]), hp["momentum"], hp["weight_decay"], hp["eta"], **arguments
    )


@pytest.mark.parametrize("variant", ["byol", "mocov3_barlow"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", GOLDEN.values(), ids=GOLDEN.keys())
def test_golden_trajectories(case, dtype, variant):
    actual = trajectory(case, lars_of(case), dtype)
    tolerance = {"float32": (2e-6, 2e-7), "float64": (1e-10, 1e-12)}[dtype]
    for name in PARAMETERS:
        np.testing.assert_allclose(
            actual[name], case[f"{variant}/{name}"], *tolerance, err_msg=name
        )
        assert np.any(actual[name][-1] != case[f"init/{name}"])


@pytest.mark.parametrize("variant", ["simclr_classic", "lightly"])
def test_other_conventions_would_be_noticed(variant):
    case = GOLDEN["wd0.015625"]
    actual = trajectory(case, lars_of(case), "float64")["dense_kernel"]
    expected = case[f"{variant}/dense_kernel"]
    assert not np.allclose(actual, expected, rtol=2e-6, atol=2e-7)


@pytest.mark.parametrize("case", GOLDEN.values(), ids=GOLDEN.keys())
def test_clipped_trust_ratio(case):
    """solo-learn's rule in NumPy; at learning rate 0 the clipped ratio is 1."""
    eta, m, wd = 0.02, 0.9, case["hp"]["weight_decay"]
    optimizer = LARS(Listed(case["hp"]["lrs"]), m, wd, eta, clip_trust_ratio=True)
    actual = trajectory(case, optimizer, "float64")
    clipped = 0
    for name in PARAMETERS:
        w, u = case[f"init/{name}"], 0.0
        for t, lr in enumerate(case["hp"]["lrs"]):
            g, trust = case[f"grads/{name}"][t], 1.0
            norms = np.linalg.norm(w), np.linalg.norm(g)
            if w.ndim > 1 and min(norms) > 0:
                g = g + wd * w
                if lr > 0:
                    trust = eta * norms[0] / (norms[1] + wd * norms[0])
                    trust = min(trust / lr, 1.0)
                    clipped += trust == 1.0
            u = m * u + trust * g
            w = w - lr * u
            np.testing.assert_allclose(actual[name][t], w, rtol=1e-10)
    assert clipped or wd == 0


def one_step(w, g, **arguments):
    """Return w - LARS(w) after one step, in float32."""
    variable = keras.Variable(np.asarray(w, "float32"))
    LARS(**arguments).apply([keras.ops.convert_to_tensor(g, "float32")], [variable])
    return np.asarray(w) - np.array(variable)


def test_step_is_relative_to_the_weight():
    w, g = np.full((2, 2), 3.0), np.array([[1.0, 0.0], [0.0, 0.0]])
    for scale in (1e-6, 1.0, 1e6):
        step = one_step(w, scale * g, learning_rate=0.5, trust_coefficient=0.01)
        np.testing.assert_allclose(step, 0.5 * 0.01 * 6.0 * g, rtol=1e-4)


def test_clipping_bounds_the_step_by_plain_sgd():
    w, g = np.full((2, 2), 100.0), np.full((2, 2), 0.01)
    step = one_step(
        w, g, learning_rate=0.5, trust_coefficient=0.02, clip_trust_ratio=True
    )
    np.testing.assert_allclose(step, 0.5 * g, rtol=1e-2)


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("learning_rate", [0.0, 2.0])
@pytest.mark.parametrize(("w", "g"), [(0.0, 1.0), (1.0, 0.0), (0.0, 0.0)])
def test_zero_norms_have_trust_ratio_one(w, g, learning_rate, clip):
    step = one_step(
        np.full((2, 2), w),
        np.full((2, 2), g),
        learning_rate=learning_rate,
        clip_trust_ratio=clip,
    )
    np.testing.assert_array_equal(step, np.full((2, 2), learning_rate * g))


def changed_by(optimizer):
    """Paths whose first step is not plain SGD's, for a gradient of ones."""
    model, _, _ = small_model(optimizer)
    variables = model.trainable_variables
    for v in variables:
        v.assign(keras.ops.full(v.shape, 2.0))
    optimizer.apply([keras.ops.ones_like(v) for v in variables], variables)
    return {v.path for v in variables if np.array(v).flat[0] != 1.0}


def test_default_exclusions():
    kernels = {"net/first/kernel", "net/last/kernel"}
    assert changed_by(LARS(1.0, weight_decay=0.5, trust_coefficient=0.3)) == kernels


def test_exclusions_survive_the_config():
    optimizer = LARS(1.0, trust_coefficient=0.3)
    optimizer.exclude_from_layer_adaptation(var_names=["bias", "last", "gamma"])
    config = json.loads(json.dumps(optimizer.get_config()))
    for candidate in (optimizer, LARS.from_config(config)):
        assert changed_by(candidate) == {"net/first/kernel", "net/norm/beta"}


def test_decay_and_adaptation_are_excluded_separately():
    optimizer = LARS(1.0, weight_decay=0.5, trust_coefficient=0.3)
    optimizer.exclude_from_layer_adaptation(var_names=["."])
    optimizer.exclude_from_weight_decay()
    everything = changed_by(optimizer)
    assert len(everything) == 6  # nothing is adapted, everything is decayed


def test_excluding_after_the_first_step_is_refused():
    optimizer = LARS(1.0)
    changed_by(optimizer)
    for method in (
        optimizer.exclude_from_layer_adaptation,
        optimizer.exclude_from_weight_decay,
    ):
        with pytest.raises(ValueError, match="before the optimizer is built"):
            method(var_names=["bias"])


@pytest.mark.parametrize("value", [0.0, -1e-3, None])
def test_trust_coefficient_must_be_positive(value):
    with pytest.raises(ValueError, match="`trust_coefficient` must be a number > 0"):
        LARS(0.1, trust_coefficient=value)


def make(**arguments):
    schedule = WarmupCosine(2.0, warmup_epochs=1, start=0.1)
    schedule = schedule.bind(batch_size=256, steps_per_epoch=2, epochs=8)
    return LARS(schedule, weight_decay=1e-3, trust_coefficient=0.02, **arguments)


def assert_equal_variables(a, b, **tolerance):
    for left, right in zip(a.variables, b.variables, strict=True):
        np.testing.assert_allclose(left, right, err_msg=left.path, **tolerance)


def test_config_round_trip():
    config = make(clip_trust_ratio=True, clipnorm=1.0, name="mine").get_config()
    config = json.loads(json.dumps(config))
    assert LARS.from_config(config).get_config() == config


def test_save_and_load_continues_identically(tmp_path):
    optimizer = make()
    optimizer.exclude_from_layer_adaptation(var_names=["last"])
    model, x, y = small_model(optimizer)
    fit(model, x, y)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for m in (model, loaded):
        fit(m, x, y)
    assert_equal_variables(model, loaded, rtol=0)
    assert int(loaded.optimizer.iterations) == 8


def trained(optimizer, **compile_arguments):
    keras.utils.set_random_seed(3)
    model, x, y = small_model(optimizer, **compile_arguments)
    fit(model, x, y)
    return model


def weights_of(model):
    return [np.array(v) for v in model.trainable_variables]


def test_jit_and_eager_agree():
    graph = trained(make(), jit_compile=False)
    assert_equal_variables(
        graph, trained(make(), jit_compile=True), rtol=1e-4, atol=1e-5
    )
    assert_equal_variables(
        graph,
        trained(make(), jit_compile=False, run_eagerly=True),
        rtol=1e-4,
        atol=1e-5,
    )


def test_accumulated_gradients_are_one_step_with_their_mean():
    rng = np.random.default_rng(1)
    w = rng.normal(size=(3, 2)).astype("float32")
    gradients = rng.normal(size=(4, 3, 2)).astype("float32")

    def run(optimizer, gradients):
        variable = keras.Variable(w)
        for g in gradients:
            optimizer.apply([keras.ops.convert_to_tensor(g)], [variable])
        return np.array(variable)

    arguments = {"learning_rate": 0.3, "weight_decay": 0.1, "trust_coefficient": 0.1}
    accumulated = run(LARS(**arguments, gradient_accumulation_steps=2), gradients)
    plain = run(LARS(**arguments), gradients.reshape(2, 2, 3, 2).mean(axis=1))
    np.testing.assert_allclose(accumulated, plain, rtol=1e-5)
    assert np.max(np.abs(accumulated - w)) > 1e-2


def test_clipping_acts_on_the_gradient_before_decay():
    w, g = np.full((2, 2), 1.0), np.full((2, 2), 50.0)
    arguments = {"learning_rate": 1.0, "weight_decay": 3.0, "trust_coefficient": 0.1}
    for clip in ("clipnorm", "global_clipnorm"):
        clipped = one_step(w, g, **{clip: 1.0}, **arguments)
        np.testing.assert_allclose(clipped, one_step(w, g / 100, **arguments), 1e-5)


def test_mixed_float16_and_a_skipped_step():
    keras.config.set_dtype_policy("mixed_float16")
    model, x, y = small_model(make())
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    before = weights_of(model)
    x_bad = x.copy()
    x_bad[0, 0] = np.inf
    fit(model, x_bad[:8], y[:8], epochs=1)
    for a, b in zip(before, weights_of(model), strict=True):
        np.testing.assert_array_equal(a, b)
    assert int(model.optimizer.inner_optimizer.iterations) == 0
    fit(model, x, y, epochs=4)
    assert int(model.optimizer.inner_optimizer.iterations) > 4
    for a, b in zip(before, weights_of(model), strict=True):
        assert np.all(np.isfinite(b))
        assert np.any(a != b)


@pytest.mark.parametrize("policy", ["bfloat16", "float16"])
def test_half_precision_weights_stay_finite(policy):
    w = keras.Variable(np.full((64, 64), 8.0), dtype=policy)  # |w| = 512
    g = keras.ops.full((64, 64), 8.0, dtype=policy)
    LARS(0.5, trust_coefficient=0.1).apply([g], [w])
    np.testing.assert_allclose(np.array(w, "float32"), 8.0 - 0.5 * 0.1 * 8.0, rtol=1e-2)


def test_two_replicas_equal_one(strategy_of):
    def run(strategy):
        with strategy.scope():
            keras.utils.set_random_seed(3)
            model = keras.Sequential(
                [keras.layers.Input((4,)), keras.layers.Dense(6, activation="relu")]
                + [keras.layers.Dense(1)]
            )
            model.compile(make(clip_trust_ratio=True), "mse", jit_compile=False)
        rng = np.random.default_rng(0)
        x = rng.normal(size=(16, 4)).astype("float32")
        start = weights_of(model)
        fit(model, x, np.sum(x, axis=1, keepdims=True), epochs=4)
        return start, weights_of(model)

    start, one = run(strategy_of(1))
    _, two = run(strategy_of(2))
    for s, a, b in zip(start, one, two, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3 * np.max(np.abs(a - s)), rtol=0)

"""Memory bank, running mean and prototypes: state that follows the batches."""

import json

import golden_values
import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_contrastive.layers import MemoryBank, Prototypes, RunningMean
from keras_contrastive.layers.clock import Clock

NCE = golden_values.load("nce_cmc")


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def features_of(n, seed=0, dim=3):
    return np.random.default_rng(seed).normal(size=(n, dim)).astype("float32")


def on_replicas(strategy, function, x, sizes):
    """Run `function` on every replica, with its part of each array in `x`."""
    starts = np.cumsum(sizes)[:-1]
    parts = [np.split(array, starts) for array in x]
    values = [
        strategy.experimental_distribute_values_from_function(
            lambda c, p=p: tf.constant(p[c.replica_id_in_sync_group])
        )
        for p in parts
    ]
    tf.function(lambda *v: strategy.run(function, v))(*values)


MAKERS = {
    "bank": lambda: MemoryBank(6, 3, momentum=0.3, seed=1),
    "mean": lambda: RunningMean(3, momentum=0.7),
    "prototypes": lambda: Prototypes(4, 3, seed=1),
}
every_layer = pytest.mark.parametrize("name", MAKERS)


@pytest.mark.parametrize("side", ["l", "ab"])
@pytest.mark.parametrize("case", NCE)
def test_bank_follows_the_authors(case, side):
    golden, hp = NCE[case], NCE[case]["hp"]
    bank = MemoryBank(hp["n_data"], hp["D"], momentum=hp["momentum"])
    bank.set_weights([golden[f"memory_{side}"]])
    rows = bank.rows(golden["idx"])
    np.testing.assert_allclose(rows, golden[f"memory_{side}"][golden["idx"]], rtol=1e-6)
    bank.update(golden["y"], golden[side])
    expected = golden[f"memory_{side}_after"]
    np.testing.assert_allclose(bank.value, expected, atol=1e-6)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_bank_moves_the_rows_of_the_batch_alone(jit_compile):
    bank, features = MemoryBank(6, 3, momentum=0.3), features_of(2)
    before = np.array(bank.value)
    np.testing.assert_allclose(np.linalg.norm(before, axis=1), 1, rtol=1e-6)
    step = tf.function(bank.update, jit_compile=jit_compile)
    step(tf.constant([4, 0]), features, tf.constant(False))
    np.testing.assert_allclose(bank.value, before, rtol=1e-6)
    step(tf.constant([4, 0]), features, tf.constant(True))
    expected = before.copy()
    expected[[4, 0]] = unit(0.3 * before[[4, 0]] + 0.7 * unit(features))
    np.testing.assert_allclose(bank.value, expected, rtol=1e-5)


def test_running_mean_equals_a_plain_loop():
    mean, expected = RunningMean(3, momentum=0.7), np.zeros(3)
    for seed in range(4):
        x = features_of(5, seed)
        applied = seed != 2
        mean.update(x, applied)
        if applied:
            expected = 0.7 * expected + 0.3 * x.mean(axis=0)
    np.testing.assert_allclose(mean.value, expected, rtol=1e-5)


def test_prototypes_score_and_normalize():
    prototypes, z = Prototypes(4, 3, seed=1), features_of(5)
    directions = np.array(prototypes.directions)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(prototypes(7 * z), unit(z) @ directions.T, atol=1e-6)
    prototypes.directions.assign(5 * directions)
    np.testing.assert_allclose(prototypes(z), 5 * unit(z) @ directions.T, atol=1e-5)
    prototypes.normalize()
    np.testing.assert_allclose(prototypes.directions, directions, rtol=1e-6)
    assert len(prototypes.trainable_variables) == 1


@pytest.mark.parametrize("replicas", [2, 4])
def test_replicas_keep_one_state(replicas, strategy_of):
    ids, features = np.array([5, 0, 3, 1]), features_of(4)
    sizes = [len(ids) // replicas] * replicas
    one = {name: make() for name, make in MAKERS.items()}
    strategy = strategy_of(replicas)
    with strategy.scope():
        many = {name: make() for name, make in MAKERS.items()}

    def step(layers, ids, features):
        layers["bank"].update(ids, features)
        layers["mean"].update(features)
        layers["prototypes"].normalize()

    for layers in (one, many):
        layers["prototypes"].directions.assign(3 * features)
    step(one, ids, features)
    on_replicas(strategy, lambda *x: step(many, *x), (ids, features), sizes)
    for name in MAKERS:
        (expected,), (actual,) = one[name].get_weights(), many[name].get_weights()
        np.testing.assert_allclose(actual, expected, rtol=1e-6, err_msg=name)


@every_layer
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_float32_saved_and_no_gradient_into_state(name, policy, tmp_path):
    keras.config.set_dtype_policy(policy)
    inputs = keras.Input((2,))

    class Model(keras.Model):
        def __init__(self):
            super().__init__(inputs, keras.layers.Dense(3)(inputs))
            self.state = MAKERS[name]()

    model, other = Model(), Model()
    model.state.set_weights([w + 1 for w in model.state.get_weights()])
    model.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    (a,), (b,) = model.state.get_weights(), other.state.get_weights()
    np.testing.assert_array_equal(a, b)
    assert a.dtype == "float32"
    assert len(model.trainable_variables) == (3 if name == "prototypes" else 2)


@every_layer
def test_config_round_trip(name):
    layer = MAKERS[name]()
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    again = keras.saving.deserialize_keras_object(config)
    assert config["registered_name"] == f"keras_contrastive>{type(layer).__name__}"
    assert again.get_config() == layer.get_config()
    np.testing.assert_array_equal(again.get_weights(), layer.get_weights())


def test_bad_arguments():
    for value in (0, -1, 2.5, True, None):
        with pytest.raises(ValueError, match="`num_examples` must be a positive"):
            MemoryBank(value, 3)
        with pytest.raises(ValueError, match="`num_prototypes` must be a positive"):
            Prototypes(value, 3)
        with pytest.raises(ValueError, match="`dim` must be a positive"):
            RunningMean(value)
    with pytest.raises(ValueError, match=r"`momentum`.*\[0, 1\). Received"):
        MemoryBank(4, 3, momentum=1.0)
    with pytest.raises(ValueError, match=r"`momentum`.*\[0, 1\]. Received"):
        RunningMean(4, momentum=1.1)
    with pytest.raises(ValueError, match=r"shape \(batch, 3\).*shape=\(2, 4\)"):
        MemoryBank(4, 3).update(np.array([0, 1]), np.ones((2, 4)))


def test_a_clock_that_no_fit_has_bound_stands_at_the_beginning():
    clock = Clock()
    for step in (0, 7):
        assert float(clock.progress(step)) == 0.0
        assert int(clock.elapsed(step)) == step
    clock.first_step.assign(5)
    clock.total_steps.assign(10)
    assert int(clock.elapsed(3)) == 0  # what came before counts nothing
    assert [float(clock.progress(k)) for k in (5, 10, 99)] == [0.0, 0.5, 1.0]


def test_the_epoch_of_a_clock():
    clock = Clock()
    assert int(clock.epoch(7)) == 0  # no run is known
    for name, value in (("first_step", 5), ("total_steps", 10), ("epochs", 3)):
        getattr(clock, name).assign(value)
    epochs = [int(clock.epoch(k)) for k in (0, 5, 8, 9, 11, 12, 14, 15, 99)]
    assert epochs == [0, 0, 0, 1, 1, 2, 2, 3, 3]

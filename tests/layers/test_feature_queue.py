import json

import golden_values
import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_contrastive.layers.feature_queue import FeatureQueue


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def batch_of(n, seed=0, dim=3):
    return np.random.default_rng(seed).normal(size=(n, dim)).astype("float32")


def one_by_one(value, batches):
    """The ring buffer, written key by key."""
    value, position = np.array(value), 0
    for key in np.concatenate(batches):
        value[position] = unit(key)
        position = (position + 1) % len(value)
    return value, position


def test_starts_with_random_unit_vectors():
    value = FeatureQueue(6, 3).value
    assert value.shape == (6, 3) and value.dtype == "float32"
    np.testing.assert_allclose(np.linalg.norm(value, axis=1), 1, rtol=1e-6)
    assert len(np.unique(np.round(value, 4), axis=0)) == 6
    same, other = FeatureQueue(6, 3, seed=1).value, FeatureQueue(6, 3, seed=2).value
    np.testing.assert_array_equal(FeatureQueue(6, 3, seed=1).value, same)
    assert np.any(same != other)


@pytest.mark.parametrize("case", golden_values.load("sce"))
def test_authors_update(case):
    golden = golden_values.load("sce")[case]
    if "queue_after" not in golden:
        pytest.skip("a case without a queue")
    queue = FeatureQueue(*golden["queue"].shape)
    queue.set_weights([golden["queue"], golden["ptr_before"]])
    queue.enqueue(np.concatenate([golden["raw_k1"], golden["raw_k2"]]))
    np.testing.assert_allclose(queue.value, golden["queue_after"], atol=1e-6)
    assert queue.get_weights()[1] == golden["ptr_after"]


@pytest.mark.parametrize("mode", ["eager", "function", "dynamic", "jit"])
@pytest.mark.parametrize("size", [1, 4, 7])
def test_any_queue_size_with_any_batch_size(size, mode):
    queue = FeatureQueue(size, 3)
    batches = [batch_of(n, seed=n) for n in (3, 5, 1, 18, 7, 0, 2)]
    expected, position = one_by_one(queue.value, batches)
    enqueue = {
        "eager": lambda: queue.enqueue,
        "function": lambda: tf.function(queue.enqueue),
        "dynamic": lambda: tf.function(
            queue.enqueue, input_signature=[tf.TensorSpec([None, 3])]
        ),
        "jit": lambda: tf.function(queue.enqueue, jit_compile=True),
    }[mode]()
    for batch in batches:
        enqueue(tf.constant(batch))
    np.testing.assert_allclose(queue.value, expected, rtol=1e-6)
    assert queue.get_weights()[1] == position


@pytest.mark.parametrize("sizes", [(2, 2), (3, 1), (6, 6)])
def test_replicas_see_one_queue(strategy_of, sizes):
    strategy = strategy_of(2)
    with strategy.scope():
        queue = FeatureQueue(5, 3)
    batch = batch_of(sum(sizes))
    expected, position = one_by_one(queue.value, [batch, batch])
    parts = np.split(batch, [sizes[0]])
    keys = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(parts[context.replica_id_in_sync_group])
    )

    def step(keys):
        queue.enqueue(keys)
        return queue.value

    run = tf.function(lambda keys: strategy.run(step, (keys,)))
    run(keys)
    for value in strategy.experimental_local_results(run(keys)):
        np.testing.assert_allclose(value, expected, rtol=1e-6)
    np.testing.assert_allclose(queue.get_weights()[0], expected, rtol=1e-6)
    assert queue.get_weights()[1] == position


def test_value_is_what_it_was_before_a_later_write():
    queue = FeatureQueue(4, 3)

    @tf.function
    def step(keys):
        before = queue.value
        queue.enqueue(keys)
        return before, queue.value

    start = np.array(queue.value)
    before, after = step(batch_of(4))
    np.testing.assert_array_equal(before, start)
    np.testing.assert_allclose(after, unit(batch_of(4)), rtol=1e-6)
    queue.enqueue(-batch_of(4))
    np.testing.assert_allclose(after, unit(batch_of(4)), rtol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_float32_in_mixed_precision(policy):
    keras.config.set_dtype_policy(policy)

    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.queue = FeatureQueue(4, 3)

        def call(self, x):
            assert self.compute_dtype == policy.removeprefix("mixed_")
            assert self.queue.value.dtype == "float32"
            return x

    model = Model()
    keys = 1e4 * unit(batch_of(4))
    model.queue.enqueue(tf.cast(keys, model.compute_dtype))
    model(keys)
    assert model.queue.value.dtype == "float32"
    np.testing.assert_allclose(np.linalg.norm(model.queue.value, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(model.queue.value, unit(keys), atol=1e-2)


def test_saved_and_restored_with_the_model_but_never_trained(tmp_path):
    class Model(keras.Model):
        def __init__(self, seed):
            super().__init__()
            self.queue = FeatureQueue(4, 3, seed=seed)
            self.head = keras.layers.Dense(2)

        def call(self, x):
            return self.head(x)

    first, second = Model(1), Model(2)
    for model in (first, second):
        model(batch_of(1))
    assert len(first.trainable_variables) == 2 and len(first.non_trainable_weights) == 2
    first.queue.enqueue(batch_of(3))
    first.save_weights(tmp_path / "model.weights.h5")
    second.load_weights(tmp_path / "model.weights.h5")
    for model in (first, second):
        model.queue.enqueue(batch_of(2, seed=5))
    np.testing.assert_array_equal(first.queue.value, second.queue.value)


def test_config_round_trip():
    queue = FeatureQueue(4, 3, seed=9, name="memory")
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(queue)))
    again = keras.saving.deserialize_keras_object(config)
    assert config["registered_name"] == "keras_contrastive>FeatureQueue"
    assert again.get_config() == queue.get_config()
    np.testing.assert_array_equal(again.value, queue.value)


@pytest.mark.parametrize("value", [0, -1, 2.5, True, None])
def test_bad_sizes(value):
    with pytest.raises(ValueError, match="`size` must be a positive integer. Received"):
        FeatureQueue(value, 3)
    with pytest.raises(ValueError, match="`dim` must be a positive integer. Received"):
        FeatureQueue(4, value)


@pytest.mark.parametrize("shape", [(2, 4), (3,), (1, 2, 3)])
def test_bad_keys(shape):
    queue = FeatureQueue(4, 3)
    with pytest.raises(ValueError, match=r"shape \(batch, 3\).*keys.shape=.*projector"):
        queue.enqueue(np.ones(shape, "float32"))

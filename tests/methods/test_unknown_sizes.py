"""Data whose batch size only its first batch knows trains as if it were known."""

import functools
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import arrays, build, dataset, sgd, weights_of

import keras_contrastive as kc


class Batches(keras.utils.PyDataset):
    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, i):
        return self.batches[i]


def numpy_batches():
    return [((v[0].numpy(), v[1].numpy()), y.numpy()) for v, y in dataset()]


def unknown(views):
    """The same dataset, with an unknown batch axis."""

    def forget(x, y):
        x = [tf.compat.v1.placeholder_with_default(v, (None, *v.shape[1:])) for v in x]
        return tuple(x), tf.compat.v1.placeholder_with_default(y, (None,))

    return views.map(forget)


SOURCES = {
    "generator": lambda: (b for b in itertools.cycle(numpy_batches())),
    "py_dataset": lambda: Batches(numpy_batches()),
    "unknown": lambda: unknown(dataset()),
    "endless": lambda: unknown(dataset()).repeat(),
}


def fitted(x, name="simclr", steps_per_execution=1, strategy=None, **kwargs):
    """Return a model trained by its recipe, and the learning rates of its epochs."""
    with strategy.scope() if strategy else tf.init_scope():
        model = build(name)
        model.compile(steps_per_execution=steps_per_execution, jit_compile=False)
    history = model.fit(x, verbose=0, **{"epochs": 2, "shuffle": False, **kwargs})
    return model, history.history


def assert_same(model, expected):
    assert schedule(model).get_config() == schedule(expected).get_config()
    for a, b in zip(weights_of(model), weights_of(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def schedule(model):
    return model.optimizer._learning_rate


@functools.cache
def known():
    """The same run where the data says its batch size: once for all sources."""
    return fitted(dataset())


@pytest.mark.parametrize("source", SOURCES)
def test_trains_as_with_a_known_batch_size(source):
    steps = {} if source in ("py_dataset", "unknown") else {"steps_per_epoch": 4}
    expected, rates = known()
    model, found = fitted(SOURCES[source](), **steps)
    assert found["learning_rate"] == rates["learning_rate"] and rates["learning_rate"]
    assert_same(model, expected)


def test_steps_per_execution_and_one_trace():
    traces = []

    class Counting(kc.SimCLR):
        def train_step(self, data):
            traces.append(1)
            return super().train_step(data)

    expected, _ = fitted(dataset(), steps_per_execution=3)
    start = build("simclr")
    model = Counting.from_config(start.get_config())
    model.set_weights(start.get_weights())
    model.compile(steps_per_execution=3, jit_compile=False)
    model.fit(unknown(dataset()), epochs=2, verbose=0)
    assert_same(model, expected)
    assert len(traces) == 1


def test_resumed(tmp_path):
    expected, _ = fitted(dataset(), epochs=3)
    path = tmp_path / "run.weights.h5"

    def interrupt(epoch, logs):
        if epoch == 1:
            raise KeyboardInterrupt

    stop = keras.callbacks.LambdaCallback(on_epoch_begin=interrupt)
    with pytest.raises(KeyboardInterrupt):
        callbacks = [stop, kc.callbacks.Checkpoint(path)]
        fitted(unknown(dataset()), epochs=3, callbacks=callbacks)
    checkpoint = kc.callbacks.Checkpoint(path)
    model, found = fitted(unknown(dataset()), epochs=3, callbacks=[checkpoint])
    assert len(found["loss"]) == 2
    assert_same(model, expected)


def test_shuffled_data_keeps_its_order():
    def shuffled():
        views = dataset(batch=1).unbatch().shuffle(32, seed=1)
        return views.batch(8, drop_remainder=True)

    tf.random.set_seed(3)
    expected, _ = fitted(shuffled())
    tf.random.set_seed(3)
    model, _ = fitted(unknown(shuffled()))
    assert_same(model, expected)


def test_image_dataset_from_directory(tmp_path):
    for i, image in enumerate(arrays(16)[0][0]):
        keras.utils.save_img(tmp_path / f"{i}.png", image, scale=False)
    images = keras.utils.image_dataset_from_directory(
        tmp_path, labels=None, batch_size=8, image_size=(8, 8), verbose=0
    )
    model, history = fitted(images.map(lambda x: ((x, tf.reverse(x, [2])),)))
    assert schedule(model).get_config()["run"]["batch_size"] == 8
    assert np.isfinite(history["loss"]).all()


@pytest.mark.slow
def test_distributed_from_function_equals_the_plain_path(strategy_of):
    expected, rates = fitted(dataset(), strategy=strategy_of(2))
    strategy = strategy_of(2)

    def per_replica(context):
        size = context.get_per_replica_batch_size(8)
        return dataset(batch=size)

    for views in (
        strategy.distribute_datasets_from_function(per_replica),
        strategy.experimental_distribute_dataset(dataset()),
    ):
        model, found = fitted(views, strategy=strategy)
        assert found["learning_rate"] == rates["learning_rate"]
        assert_same(model, expected)


def test_a_schedule_of_the_users_own_is_left_alone(tmp_path):
    mine = kc.optimizers.WarmupCosine(0.1, warmup_epochs=1).bind(64, 4, 10)
    model = build("simclr")
    model.compile(keras.optimizers.SGD(mine), jit_compile=False)
    for x in (dataset(), unknown(dataset())):
        model.fit(x, verbose=0)
        assert schedule(model) is mine
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    loaded.fit(dataset(), verbose=0)
    assert schedule(loaded).get_config() == mine.get_config()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda v: v / 255, "Multiply by 255"),
        (lambda v: (v - 120) / 60, "negative pixels or pixels above 255"),
        (lambda v: v[:1], "a batch of 1"),
    ],
)
def test_the_first_batch_is_checked(change, match):
    views, labels = arrays(8)
    views = tuple(change(v) for v in views)
    generator = (b for b in [(views, labels[: len(views[0])])] * 2)
    model = build("simclr")
    before = [np.array(v) for v in model.trainable_variables]
    model.compile()
    with pytest.raises(ValueError, match=match):
        model.fit(generator, steps_per_epoch=2, verbose=0)
    for a, b in zip(before, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(a, b)
    model.fit(dataset(), verbose=0)  # the next run is its own
    assert schedule(model).get_config()["run"]["steps_per_epoch"] == 4


def test_data_without_end_needs_steps_per_epoch():
    with pytest.raises(ValueError, match="unknown length.*`steps_per_epoch`"):
        fitted(SOURCES["generator"]())


def test_nothing_moves_at_the_end_of_data_of_unknown_length():
    """Keras looks for the end with a step that has no data."""
    rule = kc.callbacks.MomentumUpdate(0.9, schedule="constant")
    models = []
    for views in (dataset(), dataset().filter(lambda *_: True)):
        model = build("byol")
        model.compile(sgd(), momentum_update=rule, jit_compile=False)
        model.fit(views, epochs=3, verbose=0)
        models.append(model)
    assert int(models[1].optimizer.iterations) == 12
    for a, b in zip(*map(weights_of, models), strict=True):
        if a.dtype.kind == "f":  # the clock has no length to know
            np.testing.assert_array_equal(a, b)

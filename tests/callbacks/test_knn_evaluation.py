import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_contrastive as kc
from keras_contrastive.callbacks.knn_evaluation import KNNEvaluation
from keras_contrastive.evaluation import extract_features, knn_accuracy


class Model(keras.Model):
    """The least that the callback needs: an encoder that fit() moves."""

    def __init__(self):
        super().__init__()
        layers = [keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization()]
        pool = keras.layers.GlobalAveragePooling2D()
        self.encoder = keras.Sequential([keras.Input((6, 6, 3)), *layers, pool])

    def call(self, x, training=None):
        return self.encoder(x, training=training)


def data(n=24):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, n)
    x = rng.uniform(0, 120, (n, 6, 6, 3)) + 40 * np.eye(3)[y][:, None, None]
    return x.astype("float32"), y


TRAIN, TEST = data(), data(12)


def fit(callbacks, model=None, epochs=3, verbose=0, **arguments):
    model = model or Model()
    model.compile("adam", "mse")
    x, y = TRAIN
    return model, model.fit(
        x, y[:, None], epochs=epochs, callbacks=callbacks, verbose=verbose, **arguments
    )


def test_accuracy_is_in_history_and_right():
    callback = KNNEvaluation(TRAIN, TEST, k=5, temperature=0.2)
    model, history = fit([callback])
    assert callback.epoch == [0, 1, 2]
    assert history.history["knn_accuracy"] == callback.history["knn_accuracy"]
    features = [extract_features(model, x) for x, _ in (TRAIN, TEST)]
    expected = knn_accuracy(features[0], TRAIN[1], features[1], TEST[1], 5, 0.2)
    assert callback.history["knn_accuracy"][-1] == expected
    assert 0 <= expected <= 1


def test_every_second_epoch_and_the_last():
    callback = KNNEvaluation(TRAIN, TEST, every=2, name="knn")
    _, history = fit([callback], epochs=5)
    assert callback.epoch == [1, 3, 4]
    assert len(callback.history["knn"]) == len(history.history["knn"]) == 3


def test_epoch_of_early_stopping_counts_as_the_last():
    stop = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: setattr(callback.model, "stop_training", True)
    )
    callback = KNNEvaluation(TRAIN, TEST, every=4)
    fit([stop, callback], epochs=8)
    assert callback.epoch == [0]


def test_the_progress_line_shows_it(capsys):
    fit([KNNEvaluation(TRAIN, TEST, every=2)], epochs=3, verbose=2)
    lines = [s for s in capsys.readouterr().out.splitlines() if "loss" in s]
    assert ["knn_accuracy" in line for line in lines] == [False, True, True]


def test_callbacks_after_it_can_monitor_it():
    best = keras.callbacks.EarlyStopping("knn_accuracy", mode="max", patience=0)
    fit([KNNEvaluation(TRAIN, TEST), best])
    assert 0 <= best.best <= 1


@pytest.mark.parametrize("first", [True, False])
def test_fit_of_a_method_stops_on_it_in_any_order(first):
    """Early training: the accuracy of the best epoch is what stopping looked at."""
    model = kc.SimCLR(Model().encoder, kc.layers.ProjectionHead(4))
    model.compile(keras.optimizers.SGD(0.0))
    knn = KNNEvaluation(TRAIN, TEST)
    stop = keras.callbacks.EarlyStopping("knn_accuracy", mode="max", patience=1)
    other = keras.callbacks.Callback()
    callbacks = [other, knn, stop] if first else [other, stop, knn]
    x = TRAIN[0]
    history = model.fit((x, x), epochs=5, batch_size=8, callbacks=callbacks, verbose=0)
    assert len(history.epoch) == len(knn.epoch) == 2  # nothing learned, so it stops
    assert stop.best == max(knn.history["knn_accuracy"])


def test_datasets_give_the_same():
    sets = [tf.data.Dataset.from_tensor_slices(d).batch(5) for d in (TRAIN, TEST)]
    arrays, datasets = KNNEvaluation(TRAIN, TEST), KNNEvaluation(*sets)
    fit([arrays, datasets])
    assert arrays.history == datasets.history


def test_unlabelled_rows_are_ignored():
    x, y = TRAIN
    more = np.concatenate([x, TEST[0]]), np.concatenate([y, np.full(12, -1)])
    plain, unlabelled = KNNEvaluation(TRAIN, TEST), KNNEvaluation(more, TEST)
    fit([plain, unlabelled])
    assert plain.history == unlabelled.history


def test_it_changes_no_state():
    def weights(callbacks):
        keras.utils.set_random_seed(1)
        return fit(callbacks)[0].get_weights()

    expected = weights([])
    for a, b in zip(expected, weights([KNNEvaluation(TRAIN, TEST)]), strict=True):
        np.testing.assert_array_equal(a, b)


def test_diverged_training_gives_nan_and_goes_on():
    model = Model()
    model.encoder.set_weights([w * np.nan for w in model.encoder.get_weights()])
    callback = KNNEvaluation(TRAIN, TEST)
    fit([callback], model, epochs=2)
    assert np.isnan(callback.history["knn_accuracy"]).tolist() == [True, True]


def test_two_replicas(strategy_of):
    with strategy_of(2).scope():
        model = Model()
        model.compile("adam", "mse")
    callback = KNNEvaluation(TRAIN, TEST)
    x, y = TRAIN
    model.fit(x, y[:, None], epochs=3, callbacks=[callback], verbose=0)
    assert len(callback.history["knn_accuracy"]) == 3


def labelled(*parts):
    return tf.data.Dataset.from_tensor_slices(parts).batch(4)


@pytest.mark.parametrize(
    "train, error, message",
    [
        (TRAIN[0], TypeError, "`train_data` must be labelled images.*ndarray"),
        ((TRAIN[0], None), TypeError, "`train_data` must be labelled images"),
        ((TRAIN[0], TRAIN[1][:-1]), ValueError, r"one label per image.*\(23,\)"),
        ((TRAIN[0][0], TRAIN[1]), ValueError, r"shape \(6, 6, 3\)"),
        ((TRAIN[0], -np.ones(24, int)), ValueError, "all -1 .unlabelled"),
        (labelled(TRAIN[0]), ValueError, "a dataset without labels"),
        (labelled((TRAIN[0], TRAIN[0]), TRAIN[1]), ValueError, "of several views"),
    ],
)
def test_wrong_data(train, error, message):
    with pytest.raises(error, match=message):
        KNNEvaluation(train, TEST)


@pytest.mark.parametrize("name", ["every", "k", "temperature"])
def test_wrong_arguments(name):
    with pytest.raises(ValueError, match=f"`{name}` must be .*Received: {name}=0"):
        KNNEvaluation(TRAIN, TEST, **{name: 0})

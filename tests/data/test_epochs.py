import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from loader_stand_ins import Jitter, numbered_images, one_pass

import keras_contrastive.data as data

X = numbered_images(12)


def views(**options):
    options = {"augmentation": Jitter(), "batch_size": 4, "seed": 3} | options
    return data.views_from_arrays(X, **options)


def as_pairs(dataset):
    return dataset.map(lambda images: (images[0], images[1][:, 0, 0, :1]))


def spy_model():
    """A model that keeps every batch that it was trained on."""

    class Spy(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(1)
            self.seen = []

        def call(self, images):
            return self.dense(images[:, 0, 0, :])

        def train_step(self, batch):
            self.seen.append(batch[0].numpy())
            return super().train_step(batch)

    model = Spy()
    model.compile("sgd", "mse", run_eagerly=True)
    return model


class TellEpoch(keras.callbacks.Callback):
    def __init__(self, *datasets):
        super().__init__()
        self.datasets = datasets

    def on_epoch_begin(self, epoch, logs=None):
        for dataset in self.datasets:
            data.set_epoch(dataset, epoch)


def test_set_epoch_replays_that_epoch():
    dataset = views()
    epochs = [one_pass(dataset)[0] for _ in range(4)]
    fresh = views()
    assert data.set_epoch(fresh, 2)
    np.testing.assert_array_equal(one_pass(fresh)[0], epochs[2])
    np.testing.assert_array_equal(one_pass(fresh)[0], epochs[3])  # and goes on


def test_looking_does_not_count():
    dataset = views()
    expected = one_pass(views())[0]
    for _ in range(5):
        iterator = iter(dataset)
        next(iterator), next(iterator)
        time.sleep(0.02)  # what runs ahead in the background must not count
    np.testing.assert_array_equal(one_pass(dataset)[0], expected)


def test_repeat_plays_epoch_after_epoch():
    dataset = views()
    expected = np.concatenate([one_pass(dataset)[0], one_pass(dataset)[0]])
    np.testing.assert_array_equal(one_pass(views().repeat(2))[0], expected)


def test_set_epoch_finds_the_loader_behind_transformations():
    dataset = views()
    changed = tf.data.Dataset.zip(as_pairs(dataset), views()).map(lambda a, b: a[0])
    assert data.set_epoch(changed.prefetch(1).take(2), 1)
    one_pass(expected := views())
    np.testing.assert_array_equal(next(iter(changed)), next(iter(expected))[0][0])


def test_other_datasets_are_left_alone():
    assert not data.set_epoch(tf.data.Dataset.range(3), 1)
    assert not data.set_epoch(X, 1)


@pytest.mark.parametrize("epoch", [-1, 1.5, True])
def test_set_epoch_refuses(epoch):
    with pytest.raises(ValueError, match="`epoch` must be an integer >= 0"):
        data.set_epoch(views(), epoch)


def test_fit_plays_epochs_in_order_although_keras_makes_spare_iterators():
    model = spy_model()
    model.fit(as_pairs(views()), epochs=3, verbose=0)
    plain = views()
    expected = np.concatenate([one_pass(plain)[0] for _ in range(3)])
    np.testing.assert_array_equal(np.concatenate(model.seen), expected)


def test_killed_and_resumed_sees_what_an_uninterrupted_run_sees():
    whole = spy_model()
    pairs = as_pairs(views())
    # Validation on the same dataset makes passes of its own.
    whole.fit(
        pairs,
        validation_data=pairs,
        epochs=3,
        verbose=0,
        callbacks=[TellEpoch(pairs)],
    )
    resumed = spy_model()
    pairs = as_pairs(views())
    resumed.fit(
        pairs, initial_epoch=2, epochs=3, verbose=0, callbacks=[TellEpoch(pairs)]
    )
    assert len(resumed.seen) == 3
    np.testing.assert_array_equal(resumed.seen, whole.seen[6:])


def test_made_and_used_under_a_strategy(strategy_of):
    strategy = strategy_of(2)
    with strategy.scope():
        dataset = views()
        shared = strategy.experimental_distribute_dataset(dataset)
    shown = []
    for _ in range(2):
        for (images,) in shared:
            local = strategy.experimental_local_results(images[0])
            shown += [part.numpy() for part in local]
    plain = views()
    expected = np.concatenate([one_pass(plain)[0], one_pass(plain)[0]])
    np.testing.assert_array_equal(np.concatenate(shown), expected)

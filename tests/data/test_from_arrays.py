import keras
import numpy as np
import pytest
import tensorflow as tf
from loader_stand_ins import Jitter, numbered_images, numbers, one_pass

import keras_contrastive.data as data
from keras_contrastive import augmentations

X, Y = numbered_images(10), np.arange(10) * 7


def views(x=X, y=Y, **options):
    options = {"augmentation": Jitter(), "batch_size": 4, "seed": 3} | options
    return data.views_from_arrays(x, y, **options)


def test_element_is_two_views_and_labels_that_belong_together():
    dataset = views()
    (view_1, view_2), labels = next(iter(dataset))
    assert view_1.shape == view_2.shape == (4, 4, 4, 3)
    assert labels.shape == (4,) and labels.dtype == tf.int64
    np.testing.assert_array_equal(numbers(view_1.numpy()) * 7, labels)
    np.testing.assert_array_equal(numbers(view_2.numpy()) * 7, labels)
    assert not np.allclose(view_1, view_2)


def test_without_labels_and_without_augmentation():
    (element,) = next(iter(views(y=None)))
    assert len(element) == 2
    (images,), labels = next(iter(views(augmentation=None, shuffle=False)))
    assert images.dtype == tf.uint8
    np.testing.assert_array_equal(images, X[:4])
    np.testing.assert_array_equal(labels, Y[:4])
    ((images,),) = next(iter(views(y=None, augmentation=None)))
    assert images.shape == (4, 4, 4, 3)


def test_a_pass_is_an_epoch_of_known_length():
    assert len(views()) == 2
    everything = views(drop_remainder=False)
    assert len(everything) == 3
    shown = numbers(one_pass(everything)[0])
    assert sorted(shown) == list(range(10)) and list(shown) != list(range(10))
    assert [len(labels) for _, labels in everything] == [4, 4, 2]


def test_order_and_views_depend_on_seed_and_epoch_alone():
    dataset, other = views(), views()
    epochs = [one_pass(dataset) for _ in range(3)]
    assert not np.array_equal(numbers(epochs[0][0]), numbers(epochs[1][0]))
    tf.random.set_seed(99)  # the global seed has no say
    for expected in epochs:
        for a, b in zip(expected, one_pass(other), strict=True):
            np.testing.assert_array_equal(a, b)
    assert not np.array_equal(one_pass(views(seed=4))[0], epochs[0][0])


def test_views_of_one_image_differ_between_epochs():
    dataset = views(shuffle=False)
    first, second = one_pass(dataset), one_pass(dataset)
    np.testing.assert_array_equal(first[2], second[2])
    assert not np.allclose(first[0], second[0])


def test_seed_none_follows_set_random_seed():
    keras.utils.set_random_seed(5)
    first = one_pass(views(seed=None))[0]
    keras.utils.set_random_seed(5)
    np.testing.assert_array_equal(first, one_pass(views(seed=None))[0])
    assert not np.array_equal(first, one_pass(views(seed=None))[0])


def test_the_policies_of_this_package_repeat_and_take_both_dtypes():
    policy = augmentations.simclr(4)
    first = one_pass(views(augmentation=policy))
    again = one_pass(views(x=X.astype(np.float32), augmentation=policy))
    assert first[0].shape == (8, 4, 4, 3)
    np.testing.assert_array_equal(first[2], again[2])
    np.testing.assert_array_equal(first[0], one_pass(views(augmentation=policy))[0])
    np.testing.assert_allclose(first[0], again[0], atol=1e-3)
    assert not np.array_equal(first[0], first[1])


def test_labels_as_a_column_and_minus_one():
    y = np.where(np.arange(10) < 5, -1, 2)[:, None]
    labels = one_pass(views(y=y))[2]
    assert labels.shape == (8,) and set(labels) == {-1, 2}


def test_dtypes_are_kept_or_brought_to_uint8_and_float32():
    def dtype(x):
        return next(iter(views(x=x, augmentation=None)))[0][0].dtype

    assert dtype(X.astype(np.int64)) == tf.uint8
    assert dtype(X.astype(np.float64)) == tf.float32
    assert dtype(X) == tf.uint8


def test_image_size_comes_before_the_augmentation():
    x = np.zeros((4, 6, 12, 1), np.uint8)
    x[:, :, 3:9] = 200  # the centred square
    (images,), _ = next(iter(views(x, Y[:4], augmentation=None, image_size=3)))
    assert images.shape == (4, 3, 3, 1) and images.dtype == tf.uint8
    np.testing.assert_array_equal(images, np.full((4, 3, 3, 1), 200))


@pytest.mark.parametrize("policy", [lambda x: (x, x), lambda x: [x, x, x]])
def test_foreign_augmentation_without_a_seed(policy):
    element, _ = next(iter(views(augmentation=policy)))
    assert len(element) == len(policy(0))


def test_training_is_passed_to_layers_that_want_it():
    class Training(keras.layers.Layer):
        def call(self, images, training=False):
            return (images * 0 + int(training),) * 2

    (view_1, _), _ = next(iter(views(augmentation=Training())))
    assert np.all(view_1 == 1)


def test_workers_share_the_examples():
    shown = []
    for worker in range(2):
        context = tf.distribute.InputContext(2, worker, num_replicas_in_sync=2)
        dataset = views(input_context=context)
        assert len(dataset) == 2
        assert next(iter(dataset))[1].shape == (2,)
        shown += list(numbers(one_pass(dataset)[0]))
    assert len(set(shown)) == 8


def test_fit_and_replicas(strategy_of):
    for replicas in (1, 2):
        with strategy_of(replicas).scope():
            inputs = keras.Input((4, 4, 3))
            outputs = keras.layers.Dense(1)(keras.layers.Flatten()(inputs))
            model = keras.Model(inputs, outputs)
            model.compile("sgd", "mse")
            dataset = views().map(lambda images, labels: (images[0], labels))
        history = model.fit(dataset, epochs=2, verbose=0)
        assert len(history.history["loss"]) == 2
        assert int(model.optimizer.iterations.numpy()) == 4


@pytest.mark.parametrize(
    "options, message",
    [
        ({"x": X[..., 0]}, r"x\[\.\.\., None\]"),
        ({"x": X[0, 0]}, r"Received: x\.shape=\(4, 3\)"),
        ({"x": X[:0], "y": Y[:0]}, "`x` is empty"),
        ({"x": X.astype(object)}, "numeric array.*object"),
        ({"x": [np.zeros((2, 2, 3)), np.zeros((3, 2, 3))]}, "different shapes"),
        ({"x": X / 255.0}, "Multiply by 255"),
        ({"x": X - 5.0}, r"in \[0, 255\].*values in \[-5"),
        ({"x": np.where(X == 6, np.nan, X)}, "NaN.*image 6"),
        ({"x": np.where(X == 2, np.inf, X)}, "NaN or infinite.*image 2"),
        ({"x": np.zeros((10, 3, 8, 8))}, "channels first"),
        ({"y": Y[:9]}, r"len\(x\)=10, len\(y\)=9"),
        ({"y": Y / 2}, "hold integers.*float64"),
        ({"y": np.eye(10, dtype=int)}, "argmax"),
        ({"batch_size": 11}, "larger than the data set.*10 examples"),
        ({"batch_size": 0}, "integer >= 1.*batch_size=0"),
        ({"batch_size": 2.5}, "integer >= 1"),
        ({"seed": -1}, "`seed` must be"),
        ({"on_error": "ignore"}, "`on_error` must be"),
        ({"channels": 0}, "`channels` must be an integer >= 1"),
        ({"value_range": (4095, 0)}, r"must be \(low, high\).*Received.*\(4095, 0\)"),
        ({"value_range": 4095}, r"must be \(low, high\).*Received: value_range=4095"),
        ({"value_range": (0, 9)}, "images of 8 bits are in.*dtype=uint8"),
        ({"x": X.astype("uint16")}, "16 bits are divided by 257.*largest value of 9"),
        ({"image_size": (4, 0)}, "`image_size` must be"),
        ({"augmentation": "simclr"}, "`augmentation` must be a layer"),
        ({"augmentation": lambda x: x}, "returned one tensor instead of views"),
        ({"augmentation": lambda x: ()}, "returned no view"),
        ({"augmentation": lambda x: (x, x[:2])}, "view_2 has 2 images for a batch"),
    ],
)
def test_errors_say_what_is_wrong(options, message):
    with pytest.raises(ValueError, match=message):
        views(**options)


@pytest.mark.parametrize(
    "options, message",
    [({"batch_size": 3}, "multiple of the number"), ({"seed": None}, "`seed` must be")],
)
def test_errors_of_workers(options, message):
    context = tf.distribute.InputContext(2, 0, num_replicas_in_sync=2)
    with pytest.raises(ValueError, match=message):
        views(input_context=context, **options)

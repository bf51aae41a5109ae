import json

import keras
import keras_cv
import numpy as np
import pytest
import tensorflow as tf

from keras_contrastive.layers.random_color_jitter import RandomColorJitter
from keras_contrastive.layers.random_gaussian_blur import RandomGaussianBlur
from keras_contrastive.layers.random_resized_crop import RandomResizedCrop
from keras_contrastive.layers.views import Views

BRANCH = [RandomResizedCrop(20), RandomColorJitter(), RandomGaussianBlur()]


def images_of(*shape):
    return np.random.default_rng(0).integers(0, 256, shape).astype("uint8")


def test_a_view_for_each_branch_in_order():
    views = Views([BRANCH, [RandomResizedCrop(8)]])(images_of(4, 24, 22, 3))
    assert [view.shape for view in views] == [(4, 20, 20, 3), (4, 8, 8, 3)]
    assert isinstance(views, tuple)
    assert all(view.dtype == "float32" for view in views)


def test_one_list_used_twice_gives_two_views():
    images = tf.repeat(images_of(1, 20, 20, 3), 500, axis=0)
    view_1, view_2 = Views([[RandomResizedCrop(20)]] * 2)(images, seed=(1, 2))
    assert np.all(np.any(view_1 != view_2, axis=(1, 2, 3)))
    # Independent: the means of the two crops of an image are not correlated.
    means = [np.mean(view, axis=(1, 2, 3)) for view in (view_1, view_2)]
    assert abs(np.corrcoef(means)[0, 1]) < 3.3 / 500**0.5


def test_seeds():
    policy, images = Views([BRANCH, BRANCH]), images_of(4, 20, 20, 3)
    first, again, other = (policy(images, seed=s) for s in ((1, 2), (1, 2), (1, 3)))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(policy(images), policy(images))
    seeded = [Views([BRANCH, BRANCH], seed=0)(images) for _ in range(2)]
    np.testing.assert_array_equal(*seeded)


def test_eager_data_and_compiled_model_agree():
    policy, images = Views([BRANCH, BRANCH]), images_of(4, 20, 20, 3)
    expected = policy(images, seed=(1, 2))
    dataset = tf.data.Dataset.from_tensors(images)
    dataset = dataset.map(lambda x: policy(x, seed=(1, 2)), num_parallel_calls=2)
    np.testing.assert_allclose(next(iter(dataset)), expected, atol=1e-2)
    for jit in (False, True):
        run = tf.function(lambda x: policy(x, seed=(1, 2)), jit_compile=jit)
        np.testing.assert_allclose(run(images), expected, atol=1e-2)


def test_in_a_functional_model_and_without_a_seed():
    inputs = keras.Input((20, 20, 3))
    model = keras.Model(inputs, Views([BRANCH, BRANCH])(inputs))
    views = model(images_of(4, 20, 20, 3))
    assert [view.shape for view in views] == [(4, 20, 20, 3)] * 2


def test_under_replicas(strategy_of):
    strategy = strategy_of(2)
    with strategy.scope():
        policy = Views([BRANCH, BRANCH])
    images = tf.constant(images_of(4, 20, 20, 3))
    expected = policy(images, seed=(1, 2))
    per_replica = strategy.run(tf.function(lambda: policy(images, seed=(1, 2))))
    for view, value in zip(per_replica, expected, strict=True):
        for result in strategy.experimental_local_results(view):
            np.testing.assert_allclose(result, value, atol=1e-2)


def test_one_image():
    view_1, view_2 = Views([BRANCH, BRANCH])(images_of(30, 20, 3))
    assert view_1.shape == view_2.shape == (20, 20, 3)


def test_print_shows_every_operation():
    text = str(Views([[RandomColorJitter(0.4, 0.3, 0.2, 0.1, 0.7)], BRANCH]))
    assert text.splitlines()[0] == "view_1"
    assert "brightness=0.4, contrast=0.3, saturation=0.2, hue=0.1" in text
    assert "probability=0.7" in text
    assert "RandomGaussianBlur(sigma=(0.1, 2), probability=0.5" in text


def test_layers_of_keras_cv_and_keras():
    others = [keras_cv.layers.RandomFlip(), keras.layers.RandomInvert((1.0, 1.0))]
    branch = [RandomResizedCrop(8), *others]
    policy = Views([branch, branch])
    view_1, view_2 = policy(images_of(4, 20, 20, 3))
    assert view_1.shape == view_2.shape == (4, 8, 8, 3)
    assert "RandomFlip" in str(policy)


def test_config_round_trip():
    policy = Views([BRANCH, BRANCH[:1]], seed=3, name="mine")
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(policy)))
    copy = keras.saving.deserialize_keras_object(config)
    assert str(copy) == str(policy) and copy.name == "mine" and copy.seed == 3
    images = images_of(4, 20, 20, 3)
    for a, b in zip(
        policy(images, seed=(1, 2)), copy(images, seed=(1, 2)), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_floats_in_0_1_are_refused():
    images = images_of(2, 20, 20, 3).astype("float32") / 255
    with pytest.raises(
        ValueError, match=r"must be in \[0, 255\].* Multiply them by 255"
    ):
        Views([BRANCH])(images)
    Views([BRANCH])(images * 0)  # black images are fine


@pytest.mark.parametrize("branches", [[], [BRANCH, []]])
def test_empty_branches_are_refused(branches):
    with pytest.raises(ValueError, match="one non-empty list of layers"):
        Views(branches)


def test_other_ranks_are_refused():
    with pytest.raises(ValueError, match="Received: images of shape"):
        Views([BRANCH])(images_of(3, 3))

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_contrastive.evaluation import view_information


@pytest.fixture(scope="module")
def encoder():
    images = keras.Input((4, 4, 1))
    return keras.Model(images, keras.layers.Flatten()(images), name="pixels")


def images(n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, 4, 4, 1)).astype("uint8")


def dataset(*element):
    return tf.data.Dataset.from_tensor_slices(element).batch(50)


def test_equal_views_are_near_the_ceiling(encoder):
    x = images(256)
    views = dataset((x, x), np.zeros(256))
    result = view_information(views, encoder, batch_size=32, epochs=8)
    assert result.ceiling == pytest.approx(np.log(32))
    assert 0.9 * result.ceiling < result.nats <= result.ceiling + 1e-6
    assert (result.candidates, result.held_out) == (32, 64)


def test_independent_views_share_about_nothing(encoder):
    views = dataset((images(512), images(512, seed=1)))  # no labels
    result = view_information(views, encoder, batch_size=64, epochs=3)
    assert -0.5 < result.nats < 0.1


def test_few_pairs_lower_the_ceiling_and_one_seed_is_one_result(encoder, untraced):
    x = images(41)
    x[:, 0] = 7  # features that never change
    views = dataset((x, x))
    result = view_information(views, encoder, epochs=2)
    assert (result.candidates, result.held_out) == (10, 10)
    assert result.ceiling == pytest.approx(np.log(10)) and np.isfinite(result.nats)
    assert view_information(views, encoder, epochs=2) == result
    assert view_information(views, encoder, epochs=2, seed=1).nats != result.nats


def test_wrong_arguments(encoder):
    x = images(16)
    expected = r"expected a batched dataset of \(\(view_1, view_2\), label\). Received"
    with pytest.raises(TypeError, match=f"{expected}: ndarray"):
        view_information(x, encoder)
    for element in ((x, x), ((x, x, x), np.zeros(16)), (x,)):
        with pytest.raises(ValueError, match=expected):
            view_information(dataset(*element), encoder)
    with pytest.raises(ValueError, match="expects images of shape"):
        view_information(dataset((x, x)).unbatch(), encoder)
    with pytest.raises(ValueError, match="expected a dataset with an end"):
        view_information(dataset((x, x)).repeat(), encoder)
    with pytest.raises(ValueError, match="Received: an empty dataset"):
        view_information(dataset((x, x)).take(0), encoder)
    with pytest.raises(ValueError, match="8 pairs of views or more.*Received: 7 pairs"):
        view_information(dataset((x[:7], x[:7])), encoder)
    with pytest.raises(ValueError, match="batch_size=1"):
        view_information(dataset((x, x)), encoder, batch_size=1)

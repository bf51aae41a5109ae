import keras
import keras_cv
import numpy as np
import pytest
import tensorflow as tf

from keras_contrastive.layers.random_apply import RandomApply
from keras_contrastive.layers.random_solarize import RandomSolarize


@pytest.mark.parametrize(
    "layer",
    [
        RandomSolarize(0.0, 1.0),
        keras_cv.layers.Solarization(value_range=(0, 255)),
        keras.layers.RandomInvert((1.0, 1.0), value_range=(0, 255)),
    ],
)
def test_each_image_with_the_probability(layer):
    images = tf.fill((10_000, 1, 1, 1), 200.0)
    out = RandomApply(layer, 0.3).transform(images, (0, 1)).numpy()
    assert set(np.unique(out)) == {55.0, 200.0}
    assert abs((out == 55).mean() - 0.3) < 3.3 * 0.0046


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_never_and_always(probability):
    images = tf.fill((100, 1, 1, 1), 200.0)
    out = RandomApply(RandomSolarize(0.0, 1.0), probability)(images).numpy()
    assert (out == (55 if probability else 200)).all()


def test_the_layer_draws_other_numbers_than_the_decision():
    images = tf.fill((10_000, 1, 1, 1), 200.0)
    out = RandomApply(RandomSolarize(probability=0.5), 0.5).transform(images, (0, 1))
    assert abs(np.mean(out == 55) - 0.25) < 3.3 * 0.0043

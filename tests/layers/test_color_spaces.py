"""RGB to Lab and YDbDr, by known colours, on [0, 255]."""

import itertools

import keras
import numpy as np
import pytest

from keras_contrastive.layers import RGBToLab, RGBToYDbDr

# Lab of sRGB colours under D65, as tables of colour give it.
LAB = {
    (255, 255, 255): (100.0, 0.0, 0.0),
    (0, 0, 0): (0.0, 0.0, 0.0),
    (255, 0, 0): (53.24, 80.09, 67.20),
    (0, 255, 0): (87.73, -86.18, 83.18),
    (0, 0, 255): (32.30, 79.19, -107.86),
    (128, 128, 128): (53.59, 0.0, 0.0),
}


def own_units(layer, images):
    """What `layer` gives, in the units of its space."""
    lowest, highest = np.array(layer.ranges).T
    return np.array(layer(images)) * (highest - lowest) / 255 + lowest


def test_lab_of_known_colors():
    colors = np.array(list(LAB), "float32")[None, None]
    lab = own_units(RGBToLab(), colors)[0, 0]
    np.testing.assert_allclose(lab, list(LAB.values()), atol=0.02)


def test_ydbdr_of_known_colors():
    red, blue, white = own_units(
        RGBToYDbDr(), np.array([[[[255, 0, 0], [0, 0, 255], [255] * 3]]], "float32")
    )[0, 0]
    np.testing.assert_allclose(red, [0.299, -0.45, -1.333], atol=1e-3)
    np.testing.assert_allclose(blue, [0.114, 1.333, 0.217], atol=1e-3)
    np.testing.assert_allclose(white, [1, 0, 0], atol=1e-3)


@pytest.mark.parametrize("layer", [RGBToLab(), RGBToYDbDr()])
def test_every_color_stays_in_range_and_spans_it(layer):
    sides = range(0, 256, 15)
    images = np.array([*itertools.product(sides, repeat=3)], "float32")[None, None]
    x = np.array(layer(images))
    np.testing.assert_allclose(x.min(axis=(0, 1, 2)), 0, atol=0.3)
    np.testing.assert_allclose(x.max(axis=(0, 1, 2)), 255, atol=0.3)


def test_gray_images_are_refused_and_the_dtype_is_float32():
    with pytest.raises(ValueError, match="3 channels.*1, 4, 4, 1.*no colour"):
        RGBToLab()(np.zeros((1, 4, 4, 1)))
    keras.config.set_dtype_policy("mixed_float16")
    assert RGBToLab()(np.zeros((1, 4, 4, 3), "uint8")).dtype == "float32"

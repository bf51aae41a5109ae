import keras
import numpy as np
import pytest
from keras import layers

import keras_contrastive as kc
from keras_contrastive.zoo.input_shape import with_input_shape

GRAY = "simclr_resnet10_fashion_mnist"
COLOUR = "simclr_resnet10_cifar10_jpeg"


def images(size, channels):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (2, size, size, channels)).astype("uint8")


def assert_close(features, expected):
    np.testing.assert_allclose(features, expected, atol=1e-4 * np.abs(expected).max())


def test_a_shipped_preset_takes_another_size():
    encoder = kc.from_preset(COLOUR)
    wide = kc.from_preset(COLOUR, input_shape=(48, 40, 3))
    assert wide.input_shape == (None, 48, 40, 3)
    for a, b in zip(wide.get_weights(), encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    anything = kc.from_preset(COLOUR, input_shape=(None, None, 3))
    x = images(32, 3)
    np.testing.assert_allclose(anything(x), encoder(x), rtol=1e-5, atol=1e-6)
    assert wide(images(48, 3)[:, :, :40]).shape == encoder(x).shape


def test_gray_weights_for_colour_images():
    gray = kc.from_preset(GRAY)
    colour = kc.from_preset(GRAY, input_shape=(28, 28, 3))
    x = images(28, 1)
    assert_close(colour(np.repeat(x, 3, axis=-1)), gray(x))
    x = images(28, 3).astype("float32")
    luminance = x @ np.array([[0.299], [0.587], [0.114]], "float32")
    assert_close(colour(x), gray(luminance))


def test_colour_weights_for_gray_images_of_another_size(tmp_path):
    colour = kc.from_preset(COLOUR, input_shape=(40, 40, 3))
    gray = kc.from_preset(COLOUR, input_shape=(40, 40, 1))
    x = images(40, 1)
    assert_close(gray(x), colour(np.repeat(x, 3, axis=-1)))
    kc.save_to_preset(gray, tmp_path / "gray")
    np.testing.assert_array_equal(kc.from_preset(tmp_path / "gray")(x), gray(x))


def network(*body, size=16, channels=3):
    return keras.Sequential([keras.Input((size, size, channels)), *body], name="mine")


def application():
    inner = network(layers.Conv2D(4, 3), keras.Sequential([layers.Conv2D(5, 3, 2)]))
    return kc.encoders.from_application(
        keras.Model(inner.inputs, inner.outputs, name="vgg16")  # "caffe": BGR - mean
    )


def test_an_application_takes_another_size():
    encoder = application()
    larger = with_input_shape(encoder, (24, 24, 3))
    assert larger.output_shape == (None, 5)
    back = with_input_shape(larger, (16, 16, 3))
    x = images(16, 3)
    np.testing.assert_array_equal(back(x), encoder(x))


def scaled(scaling, channels=3):
    return network(
        scaling,
        layers.Conv2D(4, 3, padding="same"),
        layers.GlobalAveragePooling2D(),
        channels=channels,
    )


def test_one_scaling_for_all_channels_is_exact():
    encoder = scaled(layers.Rescaling(1 / 127.5, -1.0))
    x = images(16, 1)
    gray = with_input_shape(encoder, (16, 16, 1))
    assert_close(gray(x), encoder(np.repeat(x, 3, axis=-1)))


@pytest.mark.parametrize(
    "encoder, shape, message",
    [
        (
            network(layers.Flatten(), layers.Dense(3, name="head")),
            (24, 24, 3),
            r"'mine/?.*head/kernel' of shape \(768, 3\), which would be \(1728, 3\)",
        ),
        (network(layers.Flatten()), (24, 24, 3), "the output .None, 768. depends"),
        (
            network(layers.Conv2D(4, 9), layers.GlobalAveragePooling2D()),
            (8, 8, 3),
            "cannot be built",
        ),
        (
            network(
                layers.DepthwiseConv2D(3),
                layers.Conv2D(4, 3),
                layers.GlobalAveragePooling2D(),
            ),
            (16, 16, 1),
            "gray images would have other features",
        ),
        (
            network(
                layers.ReLU(threshold=100.0),
                layers.Conv2D(4, 3),
                layers.GlobalAveragePooling2D(),
                channels=1,
            ),
            (16, 16, 3),
            "gray images would have other features",
        ),
        (
            scaled(layers.Rescaling([0.1, 0.2, 0.3])),
            (16, 16, 1),
            "gray images would have other features",
        ),
        (
            scaled(layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0] * 3)),
            (16, 16, 1),
            "cannot be built",
        ),
        (network(layers.GlobalAveragePooling2D()), (16, 16, 4), "only 1 channel"),
        (network(layers.GlobalAveragePooling2D()), (16, 16), "`input_shape` must be"),
        (network(layers.GlobalAveragePooling2D()), 96, "Received: input_shape=96"),
    ],
)
def test_what_is_not_exact_is_refused(encoder, shape, message):
    with pytest.raises(ValueError, match=message):
        with_input_shape(encoder, shape)

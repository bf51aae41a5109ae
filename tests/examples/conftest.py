"""What makes an example short: few images of the sample, and a tiny network."""

import keras
import pytest

import keras_contrastive as kc


@pytest.fixture
def small_sample(monkeypatch):
    """A function: count -> the first images of each split; the examples get them."""
    sample = kc.data.load_sample()

    def take(count):
        small = [tuple(part[:count] for part in split) for split in sample]
        monkeypatch.setattr(kc.data, "load_sample", lambda: small)
        return small

    monkeypatch.setattr(kc.encoders, "resnet", _tiny_encoder)
    return take


def _tiny_encoder(depth, width, input_shape, norm=None):
    images = keras.Input(input_shape)
    x = keras.layers.Rescaling(1 / 255)(images)
    x = keras.layers.Conv2D(8, 7, strides=7, name="conv4")(x)
    return keras.Model(images, keras.layers.GlobalMaxPooling2D()(x))

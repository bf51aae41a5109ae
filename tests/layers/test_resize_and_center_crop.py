import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_contrastive.layers.resize_and_center_crop import ResizeAndCenterCrop


def images_of(*shape):
    return np.random.default_rng(0).integers(0, 256, shape).astype("uint8")


def test_images_of_the_size_pass_unchanged():
    images = images_of(2, 32, 32, 3)
    out = ResizeAndCenterCrop(32)(images)
    assert out.dtype == "float32"
    np.testing.assert_array_equal(out, images)


def test_imagenet_protocol():
    image = images_of(128, 160, 3).astype("float32")
    resized = tf.image.resize(image, (64, 80), antialias=True)  # 56 / 0.875 = 64
    expected = resized[4:60, 12:68]
    output = ResizeAndCenterCrop(56, crop_fraction=0.875)(image)
    # At its border the filter of the resize sees nothing of what is cut away.
    inside = slice(1, -1)
    np.testing.assert_allclose(
        output[inside, inside], expected[inside, inside], atol=1e-3
    )


@pytest.mark.parametrize("shape", [(1, 1, 3), (8, 40, 1), (2, 57, 23, 3)])
@pytest.mark.parametrize("size", [16, (12, 20)])
def test_any_shape_comes_out_at_the_size(shape, size):
    layer = ResizeAndCenterCrop(size)
    out = layer(images_of(*shape))
    assert out.shape == layer.compute_output_shape(shape)
    assert 0 <= np.min(out) <= np.max(out) <= 255


def test_shapes_known_only_at_run_time():
    layer = ResizeAndCenterCrop(16)
    spec = tf.TensorSpec((None, None, None, 3), "uint8")
    run = tf.function(layer.call, input_signature=[spec])
    for shape in ((2, 30, 40, 3), (2, 16, 16, 3)):
        images = images_of(*shape)
        assert run(images).shape == (2, 16, 16, 3)
        np.testing.assert_allclose(run(images), layer(images), atol=1e-3)


def test_config_round_trip():
    layer = ResizeAndCenterCrop((8, 9), crop_fraction=0.5)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    assert keras.saving.deserialize_keras_object(config).get_config() == (
        layer.get_config()
    )


@pytest.mark.parametrize("arguments", [{"size": 0}, {"size": 8, "crop_fraction": 1.2}])
def test_errors(arguments):
    with pytest.raises(ValueError, match="Received: "):
        ResizeAndCenterCrop(**arguments)

import numpy as np
import pytest
import tensorflow as tf

from keras_contrastive import augmentations
from keras_contrastive.data import decoding
from keras_contrastive.image_io import decode_image, evaluation_transform


def picture(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, "uint8")


@pytest.mark.parametrize("size", [(32, 32), (24, 40)])
@pytest.mark.parametrize("shape", [(48, 64), (31, 90), (5, 3), (400, 300), (24, 40)])
def test_evaluation_transform_is_the_evaluation_policy(shape, size):
    for channels in (1, 3):
        image = picture(*shape, channels)
        expected = augmentations.evaluation(size)(image)
        output = evaluation_transform(tf.constant(image), size)
        np.testing.assert_allclose(output, expected, atol=255e-5)


def test_an_image_of_the_size_passes_unchanged():
    image = picture(32, 32, 3)
    np.testing.assert_array_equal(evaluation_transform(image, (32, 32)), image)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("encode", [tf.io.encode_jpeg, tf.io.encode_png])
def test_decodes_as_folders_do(encode, channels):
    data = encode(picture(9, 13, 3))
    image = decode_image(data, channels)
    assert image.shape == (9, 13, channels) and image.dtype == tf.uint8
    np.testing.assert_array_equal(image, decoding.decode_image(data, channels))


def test_the_header_is_refused_before_anything_is_decoded():
    for encode in (tf.io.encode_jpeg, tf.io.encode_png):
        data = encode(picture(10, 10, 3))
        assert decode_image(data, max_pixels=100).shape == (10, 10, 3)
        with pytest.raises(tf.errors.InvalidArgumentError, match="at most 99 pixels"):
            decode_image(data, max_pixels=99)


def test_wrong_channels():
    with pytest.raises(ValueError, match="must be 1 or 3. Received: channels=4"):
        decode_image(b"", channels=4)

import numpy as np
import pytest
import tensorflow as tf

from keras_contrastive import augmentations
from keras_contrastive.image_io import decode_image, resize_and_center_crop


def picture(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, "uint8")


def whole_centre(image, size, crop_fraction=1.0):
    """The geometry in words: the largest centred part, or a share of it, resized."""
    scale = min(image.shape[0] / size[0], image.shape[1] / size[1]) * crop_fraction
    height, width = (max(1, int(np.rint(side * scale))) for side in size)
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    part = image[top : top + height, left : left + width].astype("float32")
    return tf.image.resize(part, size, antialias=True).numpy()


@pytest.mark.parametrize("size", [(32, 32), (24, 40)])
def test_one_geometry_for_images_batches_and_the_layer(size):
    for shape in [(50, 40), (48, 64), (31, 90), (5, 3), (400, 300), (4000, 1)]:
        image = picture(*shape, 3)
        expected = whole_centre(image, size)
        floats = resize_and_center_crop(image.astype("float32"), size)
        np.testing.assert_allclose(floats, expected, atol=1e-3)
        whole = resize_and_center_crop(image, size)
        assert whole.dtype == tf.uint8
        np.testing.assert_allclose(whole, np.rint(expected), atol=1e-3)
        batch = resize_and_center_crop(np.stack([image, image[::-1]]), size)
        np.testing.assert_array_equal(batch[0], whole)
        np.testing.assert_array_equal(augmentations.evaluation(size)(image), whole)


def test_a_share_of_the_centre():
    image = picture(50, 40, 1)
    expected = whole_centre(image, (24, 24), 0.875)
    output = resize_and_center_crop(image, (24, 24), 0.875)
    np.testing.assert_array_equal(output, np.rint(expected))
    np.testing.assert_array_equal(
        augmentations.evaluation(24, crop_fraction=0.875)(image), output
    )


def test_shapes_known_only_at_run_time():
    spec = tf.TensorSpec((None, None, None), "uint8")
    resize = tf.function(lambda x: resize_and_center_crop(x, (12, 20)))
    image = picture(50, 40, 3)
    graph = resize.get_concrete_function(spec)
    assert graph.output_shapes == (12, 20, None)
    np.testing.assert_array_equal(graph(image), resize_and_center_crop(image, (12, 20)))
    fits = picture(12, 20, 3)
    np.testing.assert_array_equal(graph(fits), fits)


def test_an_image_of_the_size_passes_unchanged():
    image = picture(32, 32, 3)
    for fraction in (1.0, 0.875):
        output = resize_and_center_crop(image, (32, 32), fraction)
        np.testing.assert_array_equal(output, image)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("encode", [tf.io.encode_jpeg, tf.io.encode_png])
def test_decodes_to_the_channels_asked_for(encode, channels):
    data = encode(picture(9, 13, 3))
    image = decode_image(data, channels)
    assert image.shape == (9, 13, channels) and image.dtype == tf.uint8
    expected = tf.io.decode_image(data, 3)
    if channels == 1:
        expected = tf.image.rgb_to_grayscale(expected)
    np.testing.assert_array_equal(image, expected)


def test_the_header_is_refused_before_anything_is_decoded():
    for encode in (tf.io.encode_jpeg, tf.io.encode_png):
        data = encode(picture(10, 10, 3))
        assert decode_image(data, max_pixels=100).shape == (10, 10, 3)
        with pytest.raises(tf.errors.InvalidArgumentError, match="at most 99 pixels"):
            decode_image(data, max_pixels=99)


def test_wrong_channels():
    with pytest.raises(ValueError, match="must be 1 or 3. Received: channels=4"):
        decode_image(b"", channels=4)

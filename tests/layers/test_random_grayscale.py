import golden_values
import numpy as np
import pytest
import tensorflow as tf

from keras_contrastive.layers.random_grayscale import RandomGrayscale

GOLDEN = golden_values.load("augment_ops")


@pytest.mark.parametrize("case", GOLDEN)
def test_agrees_with_the_authors_code(case):
    image = tf.constant(GOLDEN[case]["image"][None] * 255)
    out = RandomGrayscale(1.0).transform(image, (0, 0))[0] / 255
    expected = np.broadcast_to(GOLDEN[case]["gray"], out.shape)
    np.testing.assert_allclose(out, expected, atol=1e-3)


def test_one_channel_passes_unchanged():
    images = tf.random.stateless_uniform((4, 5, 5, 1), (0, 1)) * 255
    np.testing.assert_array_equal(RandomGrayscale(1.0)(images), images)


def test_a_fifth_of_the_images():
    images = tf.constant(np.tile([10.0, 200.0, 90.0], (10_000, 1, 1, 1)), "float32")
    out = RandomGrayscale(0.2).transform(images, (1, 2)).numpy()
    gray = out[..., 0] == out[..., 1]
    assert abs(gray.mean() - 0.2) < 3.3 * 0.004
    np.testing.assert_array_equal(out[~gray.ravel()], images[~gray.ravel()])

import golden_values
import numpy as np
import pytest
import tensorflow as tf

from keras_contrastive.layers.random_gaussian_blur import RandomGaussianBlur

GOLDEN = golden_values.load("augment_ops")


def blur(images, sigma, kernel_size=None):
    batch = len(images)
    drawn = {"applied": tf.fill((batch,), True), "sigma": tf.fill((batch,), sigma)}
    layer = RandomGaussianBlur(kernel_size=kernel_size)
    return layer.augment_images(tf.constant(images), drawn)


@pytest.mark.parametrize("case", GOLDEN)
@pytest.mark.parametrize("authors", ["simclr", "byol"])
@pytest.mark.parametrize("sigma", [0.1, 0.7, 2.0])
def test_agrees_with_the_authors_code(case, authors, sigma):
    golden = GOLDEN[case]
    actual = blur(golden["image"][None] * 255, sigma)[0] / 255
    expected = golden[f"blur_{authors}_sigma{sigma}"]
    np.testing.assert_allclose(actual, expected, atol=1e-3)


def test_each_image_has_its_own_kernel():
    images = np.random.default_rng(0).uniform(0, 255, (3, 40, 30, 3)).astype("float32")
    layer = RandomGaussianBlur()
    drawn = {
        "applied": tf.constant([True, False, True]),
        "sigma": tf.constant([0.5, 1.0, 2.0]),
    }
    out = layer.augment_images(images, drawn)
    np.testing.assert_allclose(out[0], blur(images[:1], 0.5)[0], atol=1e-4)
    np.testing.assert_array_equal(out[1], images[1])
    np.testing.assert_allclose(out[2], blur(images[2:], 2.0)[0], atol=1e-4)


def test_the_middle_of_a_plain_image_keeps_its_value_and_the_border_darkens():
    out = blur(np.full((1, 32, 32, 1), 200.0, "float32"), 1.0)[0, ..., 0]
    np.testing.assert_allclose(out[1:-1, 1:-1], 200.0, rtol=1e-6)
    assert np.all(out[0] < 200) and np.all(out[:, -1] < 200)


@pytest.mark.parametrize(
    "height, radius", [(19, 0), (28, 1), (32, 1), (96, 4), (224, 11)]
)
def test_the_kernel_is_a_tenth_of_the_height(height, radius):
    assert RandomGaussianBlur()._radius(tf.zeros((1, height, 8, 3))) == radius


def test_images_below_20_pixels_are_not_blurred():
    images = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype("float32")
    np.testing.assert_array_equal(blur(images, 2.0), images)
    assert not np.allclose(blur(images, 2.0, kernel_size=3), images)


def test_the_laws_of_the_draws():
    n = 10_000
    drawn = RandomGaussianBlur((0.1, 2.0), 0.3).draw((1, 1), tf.zeros((n, 1, 1, 1)))
    sigma = (np.sort(drawn["sigma"]) - 0.1) / 1.9
    assert np.abs(sigma - (np.arange(n) + 0.5) / n).max() < 1.63 / n**0.5
    assert abs(np.mean(drawn["applied"]) - 0.3) < 3.3 * (0.3 * 0.7 / n) ** 0.5


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"sigma": (0.0, 2.0)}, r"`sigma` .* Received: sigma=\(0.0, 2.0\)"),
        ({"sigma": (2.0, 1.0)}, r"Received: sigma=\(2.0, 1.0\)"),
        ({"kernel_size": 0}, "Received: kernel_size=0"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        RandomGaussianBlur(**arguments)


def test_an_unknown_height_needs_a_kernel_size():
    spec = tf.TensorSpec((None, None, None, 3))
    run = tf.function(lambda x: RandomGaussianBlur().transform(x, (0, 1)))
    with pytest.raises(ValueError, match="give `kernel_size`"):
        run.get_concrete_function(spec)

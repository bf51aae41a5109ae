import golden_values
import numpy as np
import pytest
import tensorflow as tf

from keras_contrastive.layers.random_solarize import RandomSolarize

GOLDEN = golden_values.load("augment_ops")


@pytest.mark.parametrize("case", GOLDEN)
def test_agrees_with_the_golden_values(case):
    image = tf.constant(GOLDEN[case]["image"][None] * 255)
    out = RandomSolarize(probability=1.0).transform(image, (0, 0))[0] / 255
    np.testing.assert_allclose(out, GOLDEN[case]["solarize_0.5"], atol=1e-3)


def test_a_fifth_of_the_images_and_only_bright_pixels():
    images = tf.constant(np.tile([10.0, 200.0], (10_000, 1, 1, 1)), "float32")
    out = RandomSolarize().transform(images, (1, 2)).numpy()
    assert (out[..., 0] == 10).all()
    assert abs((out[..., 1] == 55).mean() - 0.2) < 3.3 * 0.004


def test_threshold_out_of_range():
    with pytest.raises(ValueError, match=r"in \[0, 255\]. Received: threshold=300"):
        RandomSolarize(threshold=300)

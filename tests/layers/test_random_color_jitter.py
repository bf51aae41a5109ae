import itertools

import golden_values
import numpy as np
import pytest
import tensorflow as tf

from keras_contrastive.layers.random_color_jitter import RandomColorJitter

GOLDEN = golden_values.load("augment_ops")


def apply(images, additive=False, order=(0.1, 0.2, 0.3, 0.4), **factors):
    """Run the layer with given factors instead of drawn ones; images in [0, 1]."""
    neutral = 0.0 if additive else 1.0
    given = {
        "brightness": neutral,
        "contrast": 1.0,
        "saturation": 1.0,
        "hue": 0.0,
        **factors,
    }
    batch = len(images)
    t = {k: tf.fill((batch,), tf.constant(v, "float32")) for k, v in given.items()}
    t["applied"] = tf.fill((batch,), True)
    t["order"] = tf.repeat(tf.constant([order], "float32"), batch, axis=0)
    layer = RandomColorJitter(additive_brightness=additive)
    return layer.augment_images(tf.constant(images) * 255, t) / 255


@pytest.mark.parametrize("case", GOLDEN)
@pytest.mark.parametrize(
    "key, factors",
    [
        ("brightness_mul_0.3", {"brightness": 0.3}),
        ("brightness_mul_1.6", {"brightness": 1.6}),
        ("contrast_0.3", {"contrast": 0.3}),
        ("contrast_1.6", {"contrast": 1.6}),
        ("saturation_0.3", {"saturation": 0.3}),
        ("saturation_1.6", {"saturation": 1.6}),
        ("hue_-0.15", {"hue": -0.15}),
        ("hue_0.1", {"hue": 0.1}),
    ],
)
def test_each_operation_agrees_with_the_authors_code(case, key, factors):
    image = GOLDEN[case]["image"]
    # The golden values are not clipped; the policies clip after each operation.
    expected = np.clip(GOLDEN[case][key], 0, 1)
    np.testing.assert_allclose(apply(image[None], **factors)[0], expected, atol=1e-3)


def naive(image, order, additive, brightness, contrast, saturation, hue):
    steps = (
        (lambda x: x + brightness) if additive else (lambda x: x * brightness),
        lambda x: tf.image.adjust_contrast(x, contrast),
        lambda x: tf.image.adjust_saturation(x, saturation),
        lambda x: tf.image.adjust_hue(x, hue),
    )
    for i in np.argsort(order):
        image = tf.clip_by_value(steps[i](image), 0.0, 1.0)
    return image


@pytest.mark.parametrize("additive", [False, True])
def test_all_24_orders_equal_one_operation_after_the_other(additive):
    image = np.random.default_rng(0).uniform(size=(6, 5, 3)).astype("float32")
    factors = {"contrast": 1.7, "saturation": 1.5, "hue": 0.17}
    factors["brightness"] = 0.35 if additive else 1.6
    results = []
    for order in itertools.permutations((0.1, 0.2, 0.3, 0.4)):
        actual = apply(image[None], additive, order, **factors)[0]
        expected = naive(tf.constant(image), order, additive, **factors)
        np.testing.assert_allclose(actual, expected, atol=1e-4, err_msg=str(order))
        results.append(actual)
    # Saturation and hue commute, so the 24 orders give 12 different images at most.
    different = {np.round(r.numpy(), 3).tobytes() for r in results}
    assert len(different) >= 6


def test_one_channel_has_brightness_and_contrast_only():
    image = np.random.default_rng(1).uniform(size=(1, 6, 6, 1)).astype("float32")
    out = apply(image, brightness=0.7, contrast=1.4, saturation=0.1, hue=0.4)
    expected = tf.clip_by_value(tf.image.adjust_contrast(image * 0.7, 1.4), 0.0, 1.0)
    np.testing.assert_allclose(out, expected, atol=1e-5)
    back = apply(image, order=(0.4, 0.1, 0.2, 0.3), brightness=0.7, contrast=1.4)
    clipped = tf.clip_by_value(tf.image.adjust_contrast(image, 1.4), 0.0, 1.0)
    np.testing.assert_allclose(back, clipped * 0.7, atol=1e-5)


@pytest.mark.parametrize("color", [(0, 0, 0), (255, 255, 255), (77, 77, 77)])
def test_gray_has_no_hue_and_no_saturation(color):
    image = np.full((1, 4, 4, 3), color, "float32") / 255
    np.testing.assert_allclose(apply(image, saturation=1.8, hue=0.3), image, atol=1e-6)


def test_images_that_were_not_drawn_are_untouched():
    images = tf.random.stateless_uniform((64, 8, 8, 3), (0, 1)) * 255
    layer = RandomColorJitter(probability=0.5)
    applied = layer.draw((1, 2), images)["applied"].numpy()
    same = np.all(layer.transform(images, (1, 2)) == images, axis=(1, 2, 3))
    np.testing.assert_array_equal(same, ~applied)
    np.testing.assert_array_equal(
        RandomColorJitter(probability=0.0).transform(images, (1, 2)), images
    )


def ks_uniform(sample, low, high):
    sample = (np.sort(sample) - low) / (high - low)
    steps = np.arange(len(sample) + 1) / len(sample)
    return max((steps[1:] - sample).max(), (sample - steps[:-1]).max())


def test_the_laws_of_the_draws():
    n = 10_000
    t = RandomColorJitter(0.8, 1.2, 0.4, 0.2, 0.8).draw((5, 6), tf.zeros((n, 1, 1, 3)))
    limit = 1.63 / n**0.5  # Kolmogorov-Smirnov, 1 % level
    assert ks_uniform(t["brightness"], 0.2, 1.8) < limit
    assert ks_uniform(t["contrast"], 0.0, 2.2) < limit
    assert ks_uniform(t["saturation"], 0.6, 1.4) < limit
    assert ks_uniform(t["hue"], -0.2, 0.2) < limit
    assert abs(np.mean(t["applied"]) - 0.8) < 3.3 * (0.8 * 0.2 / n) ** 0.5

    orders, counts = np.unique(
        np.argsort(t["order"], axis=1), axis=0, return_counts=True
    )
    assert len(orders) == 24
    chi_squared = ((counts - n / 24) ** 2 / (n / 24)).sum()
    assert chi_squared < 41.6  # 23 degrees of freedom, 1 % level

    names = ("brightness", "contrast", "saturation", "hue", "applied")
    correlation = np.corrcoef([np.asarray(t[k], float) for k in names])
    assert np.abs(correlation - np.eye(5)).max() < 0.04


def test_the_law_of_additive_brightness():
    layer = RandomColorJitter(0.4, additive_brightness=True)
    t = layer.draw((5, 6), tf.zeros((10_000, 1, 1, 3)))
    assert ks_uniform(t["brightness"], -0.4, 0.4) < 0.0163


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"brightness": -1}, "`brightness` is .* Received: brightness=-1"),
        ({"contrast": -0.1}, "Received: contrast=-0.1"),
        ({"saturation": -0.1}, "Received: saturation=-0.1"),
        ({"hue": 0.6}, r"`hue` .* in \[0, 0.5\]. Received: hue=0.6"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        RandomColorJitter(**arguments)

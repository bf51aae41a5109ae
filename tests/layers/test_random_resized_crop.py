import math

import numpy as np
import pytest
import tensorflow as tf

from keras_contrastive.layers.random_resized_crop import RandomResizedCrop


def draws_of(layer, height, width, count=10_000, parts=20):
    """Draw `count` crops of images (height, width)."""
    images = tf.zeros((count // parts, height, width, 1), "uint8")
    drawn = [layer.draw((0, part), images) for part in range(parts)]
    return {k: np.concatenate([d[k] for d in drawn]) for k in drawn[0]}


def ks_statistic(sample, cdf):
    sample = np.sort(sample)
    steps = np.arange(len(sample) + 1) / len(sample)
    values = cdf(sample)
    return max((steps[1:] - values).max(), (values - steps[:-1]).max())


def ks_two_samples(a, b):
    both = np.sort(np.concatenate([a, b]))
    cdf_a = np.searchsorted(np.sort(a), both, side="right") / len(a)
    cdf_b = np.searchsorted(np.sort(b), both, side="right") / len(b)
    return np.abs(cdf_a - cdf_b).max()


def naive_crop(rng, height, width, area=(0.08, 1.0), ratio=(3 / 4, 4 / 3)):
    """The law in words of one image: up to ten tries, then the centre."""
    for _ in range(10):
        pixels = rng.uniform(*area) * height * width
        r = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
        w, h = round(math.sqrt(pixels * r)), round(math.sqrt(pixels / r))
        if 1 <= w <= width and 1 <= h <= height:
            return rng.integers(height - h + 1), rng.integers(width - w + 1), h, w
    w, h = width, height
    if width / height < ratio[0]:
        h = round(width / ratio[0])
    elif width / height > ratio[1]:
        w = round(height * ratio[1])
    return (height - h) // 2, (width - w) // 2, h, w


def test_area_is_uniform_and_aspect_log_uniform_where_every_crop_fits():
    layer = RandomResizedCrop(8, area=(0.1, 0.5))
    crops = draws_of(layer, 400, 400)
    share = crops["height"] * crops["width"] / 400**2
    assert ks_statistic(share, lambda x: np.clip((x - 0.1) / 0.4, 0, 1)) < 0.0163
    low, high = math.log(3 / 4), math.log(4 / 3)
    ratio = np.log(crops["width"] / crops["height"])
    cdf = ks_statistic(ratio, lambda x: np.clip((x - low) / (high - low), 0, 1))
    assert cdf < 0.0163  # 1.63 / sqrt(n): 1 % level


@pytest.mark.parametrize("height, width", [(32, 32), (64, 48), (20, 60)])
def test_the_law_is_that_of_the_naive_loop(height, width):
    crops = draws_of(RandomResizedCrop(8), height, width)
    rng = np.random.default_rng(1)
    naive = np.array([naive_crop(rng, height, width) for _ in range(10_000)]).T
    columns = ("top", "left", "height", "width")
    limit = 1.63 * math.sqrt(2 / 10_000)
    for name, expected in zip(columns, naive, strict=True):
        assert ks_two_samples(crops[name], expected) < limit, name
    share = crops["height"] * crops["width"]
    assert ks_two_samples(share, naive[2] * naive[3]) < limit


def test_crops_lie_inside_and_half_are_flipped():
    crops = draws_of(RandomResizedCrop(8), 32, 24)
    assert (crops["top"] >= 0).all() and (crops["left"] >= 0).all()
    assert (crops["top"] + crops["height"] <= 32).all()
    assert (crops["left"] + crops["width"] <= 24).all()
    assert abs(crops["flip"].mean() - 0.5) < 3.3 * 0.005
    assert abs(np.corrcoef(crops["flip"], crops["top"])[0, 1]) < 0.04


def test_the_centre_where_nothing_fits():
    layer = RandomResizedCrop(8, area=(1.0, 1.0))
    crops = draws_of(layer, 20, 100, count=100, parts=1)
    assert (crops["height"] == 20).all() and (crops["width"] == 27).all()
    assert (crops["top"] == 0).all() and (crops["left"] == 36).all()


def crop(image, top, left, height, width, flip, size):
    one = {
        "top": [top], "left": [left], "height": [height], "width": [width]
    }  # fmt: skip
    boxes = {k: tf.constant(v, "float32") for k, v in one.items()}
    boxes["flip"] = tf.constant([flip])
    return RandomResizedCrop(size).augment_images(image[None], boxes)[0]


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("size", [(8, 8), (20, 11), (5, 32)])
def test_pixels_equal_cut_and_resize(size, flip):
    image = np.random.default_rng(2).uniform(0, 255, (17, 23, 3)).astype("float32")
    expected = tf.image.resize(image[3 : 3 + 9, 5 : 5 + 14], size)
    expected = expected[:, ::-1] if flip else expected
    actual = crop(image, 3, 5, 9, 14, flip, size)
    np.testing.assert_allclose(actual, expected, atol=1e-3)


def test_the_whole_image_at_its_own_size_is_the_image():
    image = np.random.default_rng(3).integers(0, 256, (16, 16, 3)).astype("uint8")
    np.testing.assert_array_equal(crop(image, 0, 0, 16, 16, False, 16), image)


def test_smaller_images_are_enlarged():
    assert RandomResizedCrop((40, 30))(np.ones((2, 8, 8, 1))).shape == (2, 40, 30, 1)
    assert RandomResizedCrop(4)(np.ones((2, 1, 1, 3))).shape == (2, 4, 4, 3)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"size": 0}, r"`size` must be .* Received: size=0"),
        ({"size": (1, 2, 3)}, r"Received: size=\(1, 2, 3\)"),
        ({"size": 8, "area": (0.0, 1.0)}, r"`area` .* Received: area=\(0.0, 1.0\)"),
        ({"size": 8, "area": (0.5, 0.1)}, r"`area` must be"),
        ({"size": 8, "area": (0.5, 1.1)}, r"`area` must be"),
        ({"size": 8, "aspect_ratio": (2, 1)}, r"Received: aspect_ratio=\(2, 1\)"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        RandomResizedCrop(**arguments)

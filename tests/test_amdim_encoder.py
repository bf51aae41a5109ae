"""AMDIM's encoder: its formulas, what its places see, and every way out."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_contrastive as kc
from keras_contrastive.encoder_checks import unsafe_convolutions
from keras_contrastive.encoders import amdim, feature_maps

SHAPE = (16, 16, 3)
IMAGES = np.random.default_rng(0).uniform(0, 255, (3, 32, 32, 3)).astype("float32")


def tiny(size=16, **kwargs):
    """With weights in the place of zeros."""
    keras.utils.set_random_seed(0)
    encoder = amdim(4, 2, 36, input_shape=(size, size, 3), **kwargs)
    weights = encoder.get_weights()
    encoder.set_weights(
        [w + 0.1 * np.sin(np.arange(w.size)).reshape(w.shape) for w in weights]
    )
    return encoder


@pytest.fixture(scope="module")
def encoder():
    return tiny()


@pytest.mark.parametrize(
    ("size", "channels"), [(17, 8), (32, 16), (35, 16), (71, 32), (128, 32)]
)
def test_maps_of_all_sizes(size, channels):
    model = amdim(4, 1, 32, input_shape=(size, size, 1))
    maps = feature_maps(model, ["map7", "map5", "map1"]).output
    assert maps["map7"].shape == (None, 7, 7, channels)
    assert maps["map5"].shape == (None, 5, 5, channels)
    assert maps["map1"].shape == (None, 1, 1, 32)
    assert unsafe_convolutions(model) == []


def test_places_see_a_part_of_the_image():
    maps, images = feature_maps(tiny(32), ["map7", "map5"]), tf.constant(IMAGES[:1])
    for name, place, rows in (
        ("map7", 0, (0, 7)),
        ("map7", -1, (24, 31)),
        ("map5", 0, (0, 15)),
        ("map5", 2, (8, 23)),
    ):
        with tf.GradientTape() as tape:
            tape.watch(images)
            x = maps(images)[name][:, place, place]
        seen = np.abs(tape.gradient(x, images)[0]).sum(-1)
        for axis in (0, 1):
            found = np.flatnonzero(seen.any(axis))
            assert (found.min(), found.max()) == rows


def test_equals_the_formulas(encoder):
    """One unit after the other, as sums over windows."""
    w = {v.path: np.array(v, "float64") for v in encoder.weights}

    def windows(x, size, stride):
        x = np.lib.stride_tricks.sliding_window_view(x, (size, size), (1, 2))
        return x[:, ::stride, ::stride]  # (n, h, w, channels, size, size)

    def conv(x, name, stride=1):
        kernel = w[f"{name}/kernel"]
        x = windows(x, len(kernel), stride)
        return np.einsum("nhwcij,ijcd->nhwd", x, kernel)

    def unit(x, name, size=1, stride=1):
        y = np.maximum(conv(x, f"{name}_conv1", stride), 0)
        y = conv(y, f"{name}_conv2")
        mean = windows(x, size, stride).mean((-2, -1))
        y[..., : mean.shape[-1]] += mean
        return y

    images = IMAGES[:, :16, :16]
    x = conv(images.astype("float64") / 255, "stem_conv") + w["stem_conv/bias"]
    x = unit(np.maximum(x, 0), "stem_unit")
    for name, size, stride in (("map7", 2, 2), ("map5", 3, 1), ("map3", 3, 1)):
        x = unit(unit(x, f"{name}_unit1", size, stride), name)
    x = unit(x, "map1", 3)[:, 0, 0]
    gamma, beta, mean, variance = (
        w[f"map1_bn/{k}"] for k in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    expected = (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta
    np.testing.assert_allclose(encoder(images), expected, rtol=1e-3, atol=1e-4)


def test_begins_as_means_of_windows():
    maps = feature_maps(amdim(4, 3, 16), ["stem_relu", "map7"])(IMAGES)
    x = tf.nn.avg_pool2d(maps["stem_relu"], 4, 2, "VALID")
    x = tf.nn.avg_pool2d(x, 2, 2, "VALID")
    np.testing.assert_allclose(maps["map7"][..., :4], x, rtol=1e-5)
    assert not np.any(maps["map7"][..., 4:])


def test_saved_loaded_as_a_preset_and_in_float16(encoder, tmp_path):
    images = IMAGES[:, :16, :16]
    encoder.save(tmp_path / "m.keras")
    kc.save_to_preset(encoder, tmp_path / "preset", {"method": "none"})
    loaded = keras.models.load_model(tmp_path / "m.keras")
    for other in (loaded, kc.from_preset(tmp_path / "preset")):
        np.testing.assert_allclose(other(images), encoder(images), atol=1e-6)
        assert feature_maps(other, ["map5"]).output["map5"].shape[1:3] == (5, 5)
    keras.config.set_dtype_policy("mixed_float16")
    half = amdim(4, 2, 36, input_shape=SHAPE)
    half.set_weights(encoder.get_weights())
    assert half(images).dtype == "float32"
    np.testing.assert_allclose(half(images), encoder(images), atol=0.05)


@pytest.mark.slow
def test_exports(encoder, tmp_path):
    """The file is run, in another process, and compared with the encoder."""
    kc.export.to_saved_model(encoder, tmp_path / "saved")


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"width": 0}, "`width` must be a positive integer"),
        ({"depth": 1.5}, "`depth` must be a positive integer"),
        ({"dim": 31}, "`dim` must be at least 32.*dim=31"),
        ({"input_shape": (28, 28, 3)}, r"32 to 35 pixels.*\(28, 28, 3\)"),
        ({"input_shape": (36, 36, 3)}, r"32 to 35 pixels.*\(36, 36, 3\)"),
        ({"input_shape": (32, 33, 3)}, r"`input_shape` must be \(size, size"),
        ({"input_shape": (None, None, 3)}, r"`input_shape` must be \(size, size"),
        ({"input_shape": (32, 32)}, r"`input_shape` must be \(size, size"),
    ],
)
def test_bad_arguments(arguments, match):
    with pytest.raises(ValueError, match=match):
        amdim(**{"width": 8, "depth": 1, "dim": 64, **arguments})

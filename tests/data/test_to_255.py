import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_contrastive as kc
from keras_contrastive.report.thumbnails import _tiles

X = np.random.default_rng(0).integers(0, 65536, (6, 8, 8, 5), "uint16")


def small_encoder(channels):
    images = keras.Input((8, 8, channels))
    x = keras.layers.Conv2D(4, 3)(keras.layers.Rescaling(1 / 255)(images))
    return keras.Model(images, keras.layers.GlobalAveragePooling2D()(x))


def test_every_value_of_16_bits_is_kept():
    every = np.arange(65536, dtype="uint16")
    spread = kc.data.to_255(every)
    assert spread.dtype == np.float32 and len(np.unique(spread)) == 65536
    np.testing.assert_array_equal(np.rint(spread * 257), every)
    eight = np.arange(256, dtype="uint16") * 257  # the same picture, of 8 bits
    np.testing.assert_array_equal(kc.data.to_255(eight), np.arange(256))
    assert kc.data.to_255(eight.astype("uint8")).dtype == np.uint8


@pytest.mark.parametrize(
    "x, value_range, expected",
    [
        (np.array([0, 4095, 5000], "uint16"), (0, 4095), [0, 255, 255]),
        (np.array([-100, 0, 50], "int16"), (-100, 50), [0, 170, 255]),
        (np.array([-1, 0.5, 1]), (0, 1), [0, 127.5, 255]),
        (np.array([2**31, 2**32 - 1], "uint32"), (2**31, 2**32 - 1), [0, 255]),
        (np.array(5, "uint16"), (0, 10), 127.5),
    ],
)
def test_a_range_is_spread_and_clipped(x, value_range, expected):
    spread = kc.data.to_255(x, value_range)
    assert spread.dtype == np.float32 and spread.shape == x.shape
    np.testing.assert_allclose(spread, expected)


def test_errors_say_what_is_wrong():
    for x, value_range, message in [
        (X / 1.0, None, "`value_range` must be given.*dtype=float64.*=.0, 1."),
        (X.astype("uint8"), (0, 9), "more than 8 bits.*dtype=uint8"),
        (X > 9, (0, 1), "dtype=bool"),
        (X, (5, 5), r"must be \(low, high\).*\(5, 5\)"),
        (X, (0, np.nan), r"must be \(low, high\)"),
        (np.array([[1.0], [np.inf]]), (0, 1), "NaN or infinite pixels, .*image 1"),
        (X // 256, None, "largest value of 255. If these are 8 bits, pass images.ast"),
    ]:
        with pytest.raises(ValueError, match=message):
            kc.data.to_255(x, value_range)
    with pytest.warns(UserWarning, match=r"above 4\d*, which becomes 15.9.*\(0, 4095"):
        kc.data.to_255(X // 16)
    assert not kc.data.to_255(X * 0).any()


def test_all_that_takes_images_spreads_them_alike():
    x, y = X, np.arange(6) % 2
    expected = kc.data.to_255(x)
    deep = {"value_range": (0, 65535)}
    options = {"augmentation": None, "batch_size": 6, "shuffle": False}
    dataset = tf.data.Dataset.from_tensor_slices(x)
    for views in (
        kc.data.views_from_arrays(x, **options),
        kc.data.views_from_arrays(x.astype("int32"), **options, **deep),
        kc.data.views_from_dataset(dataset, **options),
    ):
        ((view,),) = next(iter(views))
        np.testing.assert_allclose(view, expected, atol=1e-4)
    (images,) = kc.data.images_from_arrays(x, channels=5)
    np.testing.assert_array_equal(images, expected)
    encoder = small_encoder(5)
    features = kc.evaluation.extract_features(encoder, expected)
    for images in (x, tf.constant(x), dataset, kc.data.images_from_arrays(x)):
        found = kc.evaluation.extract_features(encoder, images)
        np.testing.assert_allclose(found, features, atol=1e-5)
    checked = kc.export.reference.check_images(encoder, x)
    np.testing.assert_array_equal(checked, np.round(expected))
    pytest.importorskip("sklearn")
    arguments = {"fractions": (1.0,), "fine_tune": False}
    few = kc.evaluation.few_label_evaluation
    one, other = (few(encoder, z, y, z, y, **arguments) for z in (x, expected))
    assert one.protocol["data"] == other.protocol["data"]  # a digest of the pixels


def test_nan_and_infinity_are_bad_examples_of_a_dataset():
    x = X / 65535.0
    x[1, 0, 0], x[4, 0, 0] = np.nan, np.inf
    views = kc.data.views_from_dataset(
        *(tf.data.Dataset.from_tensor_slices(x),),
        augmentation=None,
        batch_size=4,
        shuffle=False,
        value_range=(0, 1),
    )
    with pytest.warns(UserWarning, match="example 1: NaN or infinite"):
        (((view,),),) = list(views)
    np.testing.assert_allclose(view, kc.data.to_255(X[[0, 2, 3, 5]]), atol=1e-3)


def test_what_pictures_show(tmp_path):
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    policy = kc.layers.Views([[kc.layers.RandomResizedCrop(8)]])
    for channels, words in (
        (2, "channel 1 of 2, in gray"),
        (5, "channels 1 to 3 of 5"),
    ):
        x, page = X[..., :channels], tmp_path / "report.html"
        if channels == 2:
            kc.augmentations.gallery(x, policy, tmp_path / "views.png", rows=1)
        kc.report.write_report(page, x.reshape(6, -1) / 6e4, x, neighbors=2)
        assert words in page.read_text()
    shown = X[..., :1], X[..., :3]
    for x, first in ((X[..., :2], shown[0]), (X, shown[1])):
        tiles = _tiles(kc.data.to_255(x), 8)
        np.testing.assert_allclose(
            tiles, np.broadcast_to(first / 257, tiles.shape), atol=0.51
        )

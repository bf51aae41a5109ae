import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_contrastive.encoders import resnet
from keras_contrastive.evaluation import extract_features
from keras_contrastive.evaluation import features as module


@pytest.fixture
def encoder():
    return keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            keras.layers.Conv2D(4, 3),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.GlobalAveragePooling2D(),
        ],
        name="tiny",
    )


def images(n=10):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (n, 6, 6, 3)).astype("uint8")


def dataset(*parts, batch=4):
    data = tf.data.Dataset.from_tensor_slices(parts if len(parts) > 1 else parts[0])
    return data.batch(batch) if batch else data


@pytest.mark.parametrize("make", [np.asarray, tf.constant, lambda x: x / 1.0])
@pytest.mark.parametrize("batch_size", [1, 4, 256])
def test_arrays_in_inference_mode(encoder, make, batch_size):
    state = [v.numpy() for v in encoder.variables]
    result = extract_features(encoder, make(images()), batch_size)
    assert isinstance(result, np.ndarray)
    assert (result.dtype, result.shape) == ("float32", (10, 4))
    expected = encoder(images().astype("float32"), training=False)
    np.testing.assert_allclose(result, expected, rtol=1e-5)
    for before, after in zip(state, encoder.variables, strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("batch", [4, None])
def test_datasets_with_and_without_labels(encoder, batch):
    x, y = images(), np.arange(10)
    expected = extract_features(encoder, x)
    np.testing.assert_allclose(
        extract_features(encoder, dataset(x, batch=batch)), expected, rtol=1e-5
    )
    single = dataset(x, batch=batch).map(lambda x: (x,))
    np.testing.assert_allclose(extract_features(encoder, single), expected, rtol=1e-5)
    pairs = dataset(x, y, batch=batch)
    for labelled in (pairs, pairs.map(lambda x, y: ((x,), y))):
        result, labels = extract_features(encoder, labelled)
        np.testing.assert_allclose(result, expected, rtol=1e-5)
        np.testing.assert_array_equal(labels, y)


def test_the_encoder_of_a_model_is_used(encoder):
    class Holder(keras.Model):
        def __init__(self):
            super().__init__()
            self.encoder = encoder

    np.testing.assert_array_equal(
        extract_features(Holder(), images()), extract_features(encoder, images())
    )


def test_compiled_once_and_follows_the_weights(encoder):
    first = extract_features(encoder, images(), 4)
    compiled = module._compiled[encoder]  # of one trace, whatever it is called with
    encoder.set_weights([w + 1 for w in encoder.get_weights()])
    second = extract_features(encoder, images(7), 4)
    assert np.abs(first[:7] - second).max() > 0.1
    assert module._compiled[encoder] is compiled


def test_the_cache_lets_encoders_go():
    encoder = resnet(10, 2, input_shape=(6, 6, 3))
    extract_features(encoder, images())
    reference = weakref.ref(encoder)
    del encoder
    gc.collect()
    assert reference() is None


def test_an_evaluated_encoder_still_saves_and_exports(encoder, tmp_path):
    expected = extract_features(encoder, images())
    encoder.save(tmp_path / "encoder.keras")
    loaded = keras.models.load_model(tmp_path / "encoder.keras")
    np.testing.assert_array_equal(extract_features(loaded, images()), expected)
    tf.saved_model.save(encoder, str(tmp_path / "saved"))


def test_mixed_precision_gives_float32():
    keras.config.set_dtype_policy("mixed_float16")
    layers = [keras.layers.Conv2D(4, 3), keras.layers.GlobalAveragePooling2D()]
    encoder = keras.Sequential([keras.Input((6, 6, 3)), *layers])
    assert encoder.outputs[0].dtype == "float16"
    assert extract_features(encoder, images()).dtype == "float32"


def test_any_image_size_when_the_encoder_has_none():
    layers = [keras.layers.Conv2D(4, 3), keras.layers.GlobalAveragePooling2D()]
    encoder = keras.Sequential([keras.Input((None, None, 3)), *layers])
    for size in (6, 9):
        assert extract_features(encoder, np.zeros((3, size, size, 3))).shape == (3, 4)
    message = r"one image size.*\(None, None, 3\).*images_from_directory\(path, image_s"
    with pytest.raises(ValueError, match=message):
        extract_features(encoder, "photos/")


def two_views(x, y=None, bare=False):
    views = dataset(x).map(lambda x: (x, x))
    if bare:
        return views
    return views.map(lambda a, b: ((a, b),) if y is None else ((a, b), y))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda x: two_views(x, bare=True), "of several views.*before its augment"),
        (lambda x: two_views(x), "of several views.*before its augmentation"),
        (lambda x: two_views(x, y=1), "of several views.*before its augmentation"),
        (lambda x: dataset(x).repeat(), r"repeats for ever.*\.take"),
        (lambda x: dataset(x).take(0), "an empty dataset"),
        (lambda x: x[:0], "no images"),
        (lambda x: x[0], r"expects images of shape.*\(6, 6, 3\)"),
        (lambda x: x[:, :5], r"\(None, 6, 6, 3\).*shape \(10, 5, 6, 3\)"),
        (lambda x: dataset(x[..., :1]), r"shape \(None, 6, 6, 1\)"),
        (lambda x: dataset(x).map(lambda x: {"image": x}), "Map it first"),
        (lambda x: "no such folder", "`path` must be an existing folder"),
    ],
)
def test_wrong_data(encoder, make, message):
    with pytest.raises(ValueError, match=message):
        extract_features(encoder, make(images()))


def test_wrong_types(encoder):
    with pytest.raises(TypeError, match="Received: tuple. Pass the images alone"):
        extract_features(encoder, (images(), np.arange(10)))
    with pytest.raises(TypeError, match="must be a keras.Model"):
        extract_features("resnet18", images())


def test_many_encoders_are_no_retracing(caplog):
    images = np.zeros((2, 4, 4, 1))
    for _ in range(6):  # TensorFlow warns from the fifth on
        inputs = keras.Input((4, 4, 1))
        encoder = keras.Model(inputs, keras.layers.Flatten()(inputs))
        assert extract_features(encoder, images).shape == (2, 16)
    assert "retracing" not in caplog.text

"""A photograph has one vector, whichever way it takes."""

import numpy as np
import pytest
import tensorflow as tf

import keras_contrastive as kc
from keras_contrastive import export
from keras_contrastive.evaluation import extract_features


@pytest.fixture(scope="module")
def photos(tmp_path_factory, images):
    """Three photographs in each of two class folders, 50 x 40, JPEG and PNG."""
    folder = tmp_path_factory.mktemp("photos")
    large = tf.image.resize(np.repeat(images[:6], 3, -1), (50, 40)).numpy()
    large = np.clip(large + [30, 0, -30], 0, 255).astype("uint8")
    encoders = [tf.io.encode_jpeg, tf.io.encode_png] * 3
    for number, (image, encode) in enumerate(zip(large, encoders, strict=True)):
        kind = encode.__name__.removeprefix("encode_")
        path = folder / ("bag" if number < 3 else "coat") / f"{number}.{kind}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encode(image).numpy())
    return folder


@pytest.fixture(scope="module")
def dataset(photos):
    return kc.data.images_from_directory(photos, image_size=28, channels=1)


@pytest.fixture(scope="module")
def expected(exported, dataset):
    """What TensorFlow Serving answers for the files."""
    served = tf.saved_model.load(str(exported)).signatures["serve_bytes"]
    files = [tf.io.read_file(file) for file in dataset.file_paths]
    return served(image_bytes=tf.stack(files))["features"].numpy()


def assert_same(features, expected):
    assert features.shape == expected.shape
    assert np.abs(features - expected).max() <= 1e-3 * np.abs(expected).max()


def test_folders_give_what_is_served(encoder, photos, dataset, expected):
    for source in (photos, str(photos), dataset):
        features, labels = extract_features(encoder, source)
        assert_same(features, expected)
        np.testing.assert_array_equal(labels, [0, 0, 0, 1, 1, 1])
    options = {"augmentation": None, "image_size": 28, "channels": 1}
    options |= {"shuffle": False, "drop_remainder": False}
    views = kc.data.views_from_directory(photos, **options)
    assert_same(extract_features(encoder, views)[0], expected)
    # Another geometry would be seen.
    part = kc.layers.ResizeAndCenterCrop(28, crop_fraction=0.875)
    large = kc.data.images_from_directory(photos, image_size=(50, 40), channels=1)
    other = extract_features(encoder, large.map(lambda x, y: (part(x), y)))[0]
    with pytest.raises(AssertionError):
        assert_same(other, expected)


def test_arrays_and_measure_give_what_is_served(encoder, photos, expected, monkeypatch):
    raw = kc.data.images_from_directory(photos, image_size=(50, 40))
    (x, y), *_ = raw.as_numpy_iterator()
    assert x.shape == (6, 50, 40, 3)
    fitted = kc.data.images_from_arrays(x, y, image_size=28, channels=1)
    assert_same(extract_features(encoder, fitted)[0], expected)
    layer = kc.augmentations.evaluation(28)(tf.image.rgb_to_grayscale(x))
    assert_same(extract_features(encoder, layer), expected)

    measured = kc.zoo.measure.__globals__  # `measure` is the function, not its module
    seen = []

    def accuracy(features, *_, **__):
        seen.append(features)
        return 0.0

    monkeypatch.setitem(measured, "load_sample", lambda: ((x, y), (x, y)))
    monkeypatch.setitem(measured, "knn_accuracy", accuracy)
    monkeypatch.setitem(measured, "linear_probe", accuracy)
    kc.zoo.measure(encoder)
    assert_same(seen[0], expected)


def test_files_for_devices_give_what_is_served(encoder, dataset, expected, tmp_path):
    ((images, _),) = dataset.as_numpy_iterator()
    images = images.astype("float32")
    litert = pytest.importorskip("ai_edge_litert.interpreter", reason="ai-edge-litert")
    path = export.to_tflite(encoder, tmp_path / "lite", "float32")
    interpreter = litert.Interpreter(str(path))
    interpreter.resize_tensor_input(0, images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images)
    interpreter.invoke()
    output = interpreter.get_output_details()[0]["index"]
    assert_same(interpreter.get_tensor(output), expected)
    pytest.importorskip("tf2onnx", reason="needs tf2onnx")
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    session = onnxruntime.InferenceSession(export.to_onnx(encoder, tmp_path / "onnx"))
    (features,) = session.run(["features"], {"images": images})
    assert_same(features, expected)

"""`model.export(...)`, Keras's own, gives the encoder."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_contrastive as kc


@pytest.fixture(scope="module")
def model():
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    encoder = keras.Model(inputs, keras.layers.Dense(4)(keras.layers.Flatten()(x)))
    return kc.SimCLR(encoder, kc.layers.ProjectionHead(4), num_classes=2)


IMAGES = np.random.default_rng(0).uniform(0, 255, (4, 8, 8, 1)).astype("float32")


def test_before_and_after_training(model, tmp_path):
    def check(path):
        model.export(path, verbose=False)
        loaded = tf.saved_model.load(str(path))  # it owns the weights
        served = loaded.serve(IMAGES)
        np.testing.assert_allclose(served, model.predict(IMAGES, verbose=0), rtol=1e-5)
        return served

    before = check(tmp_path / "before")
    model.compile(keras.optimizers.SGD(0.1))
    views = ((IMAGES, IMAGES[::-1]), np.array([0, 1, 0, 1]))
    model.fit(tf.data.Dataset.from_tensors(views), verbose=0)
    assert np.abs(check(tmp_path / "after") - before).max() > 1e-4


def test_other_formats(model, tmp_path):
    features = model.predict(IMAGES, verbose=0)
    litert = pytest.importorskip("ai_edge_litert.interpreter", reason="needs LiteRT")
    model.export(str(tmp_path / "model.tflite"), format="litert", verbose=False)
    interpreter = litert.Interpreter(str(tmp_path / "model.tflite"))
    (given,), (made,) = (
        interpreter.get_input_details(),
        interpreter.get_output_details(),
    )
    interpreter.resize_tensor_input(given["index"], IMAGES.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(given["index"], IMAGES)
    interpreter.invoke()
    output = interpreter.get_tensor(made["index"])
    np.testing.assert_allclose(output, features, rtol=1e-4, atol=1e-5)

    runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    pytest.importorskip("tf2onnx", reason="needs tf2onnx")
    model.export(tmp_path / "model.onnx", format="onnx", verbose=False)
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    (output,) = session.run(None, {session.get_inputs()[0].name: IMAGES})
    np.testing.assert_allclose(output, features, rtol=1e-4, atol=1e-5)

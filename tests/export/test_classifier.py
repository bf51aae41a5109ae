"""A classifier is exported as what it is: named output, class names, its own text."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_contrastive as kc
from keras_contrastive.export import clean_process
from keras_contrastive.export.output import class_names, output_name
from keras_contrastive.export.serving_signatures import write_saved_model

NAMES = ["cat", "dog", "eel"]
IMAGES = np.random.default_rng(0).integers(0, 256, (48, 8, 8, 3), "uint8")
IMAGES[np.arange(48), :, :, np.arange(48) % 3] //= 8  # what tells the classes
LABELS = np.arange(48) % 3


@pytest.fixture(scope="module")
def encoder():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(4)(x), name="mean")


@pytest.fixture(scope="module")
def classifier(encoder):
    pytest.importorskip("sklearn")
    x = kc.evaluation.extract_features(encoder, IMAGES)
    result = kc.evaluation.evaluate_features(x, LABELS, x, LABELS, NAMES)
    assert result.accuracy > 0.9
    return result.build_classifier(encoder)


def test_saved_model_answers_names_and_probabilities(classifier, tmp_path):
    folder = kc.export.to_saved_model(classifier, tmp_path / "animals", images=IMAGES)
    expected = np.asarray(classifier(IMAGES))
    served = tf.saved_model.load(str(folder)).signatures
    assert "normalized" not in served
    files = tf.constant([tf.io.encode_png(x).numpy() for x in IMAGES])
    for name, given in [
        ("serving_default", {"images": tf.constant(IMAGES, tf.float32)}),
        ("uint8", {"images": IMAGES}),
        ("serve_bytes", {"image_bytes": files}),
    ]:
        answer = served[name](**given)
        assert "features" not in answer
        np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)
        names = [x.decode() for x in answer["class_names"].numpy()]
        assert names == [NAMES[i] for i in expected.argmax(axis=1)]
        assert names[:3] == NAMES

    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["output"]["name"] == "probabilities"
    assert manifest["class_names"] == NAMES and manifest["num_classes"] == 3
    assert "feature_dim" not in manifest
    assert "probabilities, and class_names" in manifest["signatures"]["serve_bytes"]
    card = (folder / "model_card.md").read_text()
    assert "classifier: images to probabilities of 3 classes: cat, dog, eel." in card
    assert "- Output: 3 probabilities per image" in card
    assert "no classes of its own" not in card and "encoder" not in card
    loaded = keras.models.load_model(folder / "classifier.keras")
    np.testing.assert_allclose(loaded(IMAGES), expected, atol=1e-6)
    assert loaded.layers[-1].class_names == tuple(NAMES)
    with np.load(folder / "golden.npz") as golden:
        np.testing.assert_allclose(golden["probabilities"], expected[:4], atol=1e-6)

    report = kc.export.verify(folder, classifier, IMAGES, repeats=0)
    assert report.passed, report.failures
    assert {*report.differences} >= {"serving_default", "uint8", "serve_bytes"}


def test_files_name_their_output(classifier, tmp_path):
    pytest.importorskip("ai_edge_litert", reason="needs LiteRT")
    path = kc.export.to_tflite(classifier, tmp_path / "a.tflite", images=IMAGES)
    about = json.loads((tmp_path / "manifest.json").read_text())["artefacts"]
    assert about[path.name]["signature"]["outputs"] == ["probabilities"]
    assert about[path.name]["class_names"] == NAMES
    (name,) = kc.export.verify(path, classifier, IMAGES, repeats=0).differences
    assert name == "probabilities"
    for package in ("onnx", "onnxruntime", "tf2onnx"):
        pytest.importorskip(package, reason="needs the extra onnx")
    path = kc.export.to_onnx(classifier, tmp_path / "a.onnx", images=IMAGES)
    about = json.loads((tmp_path / "manifest.json").read_text())["artefacts"]
    assert about[path.name]["output"]["name"] == "probabilities"


def test_a_fine_tuned_classifier_gives_logits(encoder, tmp_path, monkeypatch):
    protocol = kc.evaluation.FineTuning(steps=1, epochs=0.1, learning_rates=(1e-3,))
    tuned = protocol.fit(encoder, IMAGES, LABELS, class_names=NAMES)

    def run(runner, folder, images, encoded, output):  # as the process of its own does
        assert output == "logits"
        served = tf.saved_model.load(str(folder)).signatures
        batches = {"batch_of_one": images[:1], "batch_of_three": images[:3]}
        batches |= {"uint8": images, "serving_default": images}
        outputs = {k: served["uint8"](images=v)[output] for k, v in batches.items()}
        answer = served["serve_bytes"](image_bytes=tf.constant(encoded))
        assert {*answer} >= {"logits", "class_names"}
        outputs["serve_bytes"] = answer[output]
        return {k: v.numpy() for k, v in outputs.items()}, {
            "imported": [],
            "output": output,
        }

    monkeypatch.setattr(clean_process, "run", run)
    folder = kc.export.to_saved_model(tuned, tmp_path / "animals", images=IMAGES)
    assert json.loads((folder / "manifest.json").read_text())["class_names"] == NAMES
    loaded = keras.models.load_model(folder / "classifier.keras")
    assert not loaded.compiled  # no optimizer is deployed
    np.testing.assert_allclose(loaded(IMAGES), tuned(IMAGES), rtol=1e-4, atol=1e-5)


def test_output_names(encoder, tmp_path):
    def behind(*layers):
        return keras.Sequential([encoder, *layers])

    dense = keras.layers.Dense
    for model, expected in [
        (encoder, "features"),
        (behind(dense(3)), "features"),
        (behind(dense(3, name="logits")), "logits"),
        (behind(dense(3), keras.layers.Softmax()), "probabilities"),
        (behind(dense(3, activation="softmax", name="predictions")), "probabilities"),
        (kc.evaluation.build_classifier(encoder, 3), "logits"),
    ]:
        assert output_name(model) == expected
        assert class_names(model) is None
    # A model as the last layer of another; and no names: the output stands alone.
    inner = kc.evaluation.build_classifier(encoder, 3)
    inputs = keras.Input((8, 8, 3))
    outer = keras.Model(inputs, inner(inputs))
    assert output_name(outer) == "logits"
    write_saved_model(outer, tmp_path / "model", (8, 8))
    served = tf.saved_model.load(str(tmp_path / "model")).signatures["uint8"]
    assert {*served(images=IMAGES)} == {"logits"}

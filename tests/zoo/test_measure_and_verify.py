import importlib
import json
import types

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

import keras_contrastive as kc
from keras_contrastive.zoo import encoder_config


class FakeBuilder:
    """A prepared data set of TFDS: the first rows of the bundled sample."""

    def __init__(self, parts=("train", "test"), features=("image", "label")):
        known = {
            "image": tfds.features.Image(shape=(28, 28, 1)),
            "label": tfds.features.ClassLabel(num_classes=10),
        }
        split = types.SimpleNamespace(num_examples=200, num_bytes=200)
        self.info = types.SimpleNamespace(
            splits=dict.fromkeys(parts, split),
            features={name: known[name] for name in features},
        )

    def is_prepared(self):
        return True

    def as_dataset(self, split, decoders, shuffle_files):
        assert not shuffle_files
        images, labels = kc.data.load_sample()[split != "train"]
        rows = {"image": images[:200], "label": labels[:200]}
        return tf.data.Dataset.from_tensor_slices(rows)


@pytest.fixture
def tfds_has(monkeypatch):
    """A function: makes TFDS give that builder by any name."""

    def put(builder):
        monkeypatch.setattr("tensorflow_datasets.builder", lambda *_, **__: builder)

    return put


def test_measure_is_knn_and_linear_of_the_features(encoder, saved):
    (x_train, y_train), (x_test, y_test) = kc.data.load_sample()
    train = kc.evaluation.extract_features(encoder, x_train[:2000])
    both = (
        train,
        y_train[:2000],
        kc.evaluation.extract_features(encoder, x_test),
        y_test,
    )
    found = kc.zoo.describe(saved)["metrics"]["sample"]
    assert found["knn"] == kc.evaluation.knn_accuracy(*both, k=20, temperature=0.1)
    linear = kc.evaluation.linear_probe(*both, candidates=(3e-2,))
    assert found["linear"] == pytest.approx(linear, abs=1e-3)
    assert 0.3 < found["knn"] < 0.9 and 0.3 < found["linear"] < 0.9
    assert found["protocol"]["train_images"] == 2000
    assert found["protocol"]["test_images"] == 2000


@pytest.mark.parametrize("channels, size", [(3, None), (3, 14)])
def test_images_are_made_to_fit_the_encoder(channels, size, monkeypatch):
    fitted = []

    def features(encoder, images):
        fitted.append(next(iter(images))[0])
        return np.zeros((1, 1)), np.zeros(1)

    measured = kc.zoo.measure.__globals__
    monkeypatch.setitem(measured, "extract_features", features)
    monkeypatch.setitem(measured, "knn_accuracy", lambda *_, **__: 0.0)
    monkeypatch.setitem(measured, "linear_probe", lambda *_, **__: 0.0)
    kc.zoo.measure(kc.encoders.resnet(10, 1, input_shape=(size, size, channels)))
    side = size or 28
    assert fitted[0].shape == (256, side, side, channels)
    assert fitted[0].dtype == "uint8"


def test_a_data_set_of_tfds(encoder, tfds_has):
    tfds_has(FakeBuilder())
    found = kc.zoo.measure(encoder, "anything")
    assert found["protocol"]["train_images"] == 200
    tfds_has(FakeBuilder(parts=("train", "validation")))
    assert kc.zoo.measure(encoder, "anything")["knn"] == found["knn"]
    tfds_has(FakeBuilder(parts=("train",)))
    with pytest.raises(ValueError, match="splits train and test.*'anything'"):
        kc.zoo.measure(encoder, "anything")
    tfds_has(FakeBuilder(features=("image",)))
    with pytest.raises(ValueError, match="features image and label.*'anything'"):
        kc.zoo.measure(encoder, "anything")


def save_images(folder, images, labels, names):
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        (folder / names[label]).mkdir(parents=True, exist_ok=True)
        path = folder / names[label] / f"{i:03d}.png"
        tf.io.write_file(str(path), tf.io.encode_png(image))


def test_a_folder_and_arrays(encoder, tmp_path):
    (images, labels), _ = kc.data.load_sample()
    chosen = np.flatnonzero(labels < 3)[:150]
    images, labels = images[chosen], labels[chosen]
    names = ["shirt", "trouser", "pullover"]
    folder = tmp_path / "photos"
    save_images(folder, images, labels, names)
    tf.io.write_file(str(folder / "loose.png"), tf.io.encode_png(images[0]))
    (folder / "shirt" / "broken.png").write_text("no image")
    with pytest.warns(UserWarning, match="broken.png"):
        found = kc.zoo.measure(encoder, folder)
    order = np.argsort(np.array(names)[labels], kind="stable")  # as the files are
    x, y = images[order], labels[order]
    train, test = kc.evaluation.split_by_class(np.array(names)[y])
    assert found["protocol"]["train_images"] == len(train) == 150 - len(test)
    assert found["protocol"]["test_images"] == len(test)
    arrays = (x[train], y[train]), (x[test], y[test])
    assert kc.zoo.measure(encoder, arrays) == found
    assert 0.5 < found["knn"] <= 1

    for part, rows in {"train": train, "test": test}.items():
        save_images(tmp_path / "parts" / part, x[rows], y[rows], names)
    assert kc.zoo.measure(encoder, tmp_path / "parts") == found


def test_a_folder_without_labels(encoder, tmp_path, monkeypatch):
    image = tf.io.encode_png(kc.data.load_sample()[0][0][0])
    tf.io.write_file(str(tmp_path / "flat" / "0.png"), image)
    with pytest.raises(LookupError, match="one folder of images for each.*flat' with"):
        kc.zoo.measure(encoder, tmp_path / "flat")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        LookupError, match=r"For the folder pass pathlib.Path\('flat'\)"
    ):
        kc.zoo.measure(encoder, "flat")


def test_a_data_set_that_is_not_there(encoder, tmp_path):
    for name in ("fashion_mnist", "no_such_data_set"):
        with pytest.raises(
            LookupError, match=f"'{name}' is not prepared in '{tmp_path}"
        ):
            kc.zoo.measure(encoder, name, data_dir=str(tmp_path))


def test_verify_measures_what_can_be_measured(saved, tmp_path):
    report = kc.zoo.verify(saved, data_dir=str(tmp_path))
    assert report.passed
    assert [(x["dataset"], x["metric"]) for x in report.rows] == [
        ("sample", "knn"),
        ("sample", "linear"),
    ]
    assert "not prepared" in report.skipped["fashion_mnist"]
    text = str(report)
    assert "simclr_tiny" in text and "passed" in text and "skipped" in text
    assert json.loads(report.to_json())["passed"] is True


def test_verify_measures_one_version(preset, monkeypatch):
    """A preset that is whole is not "damaged" because someone adds numbers to it."""
    from_config = encoder_config.from_config

    def add_meanwhile(*arguments):
        kc.zoo.add_metrics(preset, {"birds": {"knn": 0.5}})
        return from_config(*arguments)

    monkeypatch.setattr(encoder_config, "from_config", add_meanwhile)
    numbers = kc.zoo.describe(preset)["metrics"]["sample"]
    module = importlib.import_module("keras_contrastive.zoo.verify_numbers")
    monkeypatch.setattr(module, "measure", lambda *_: numbers)
    report = kc.zoo.verify(preset, datasets=["sample"])
    assert len(report.rows) == 2 and "birds" in kc.zoo.describe(preset)["metrics"]


def test_verify_finds_a_difference(encoder, saved, tmp_path, tfds_has):
    good = kc.zoo.describe(saved)["metrics"]["sample"]
    tfds_has(FakeBuilder())
    own = kc.zoo.measure(encoder, "own")
    off = {**good, "knn": good["knn"] + 0.004}
    metrics = {"sample": off, "own": own, "old": {**own, "protocol": {"knn": "k=1"}}}
    metrics["few"] = {"few_labels": {"scores": [], "protocol": {}}}
    path = kc.save_to_preset(encoder, tmp_path / "off", metrics=metrics)
    report = kc.zoo.verify(path)
    assert not report.passed
    assert [report.agrees(row) for row in report.rows] == [False, True, True, True]
    assert "another protocol" in report.skipped["old"]
    assert "no kNN" in report.skipped["few"]
    assert "(-0.40 points)  DIFFERS" in str(report) and "FAILED" in str(report)
    assert kc.zoo.verify(path, datasets=["own"]).passed
    report = kc.zoo.verify(path, datasets=["old"])
    assert not report.passed and "nothing could be measured" in str(report)
    with pytest.raises(ValueError, match="among .*'own'.* Received: 'other'"):
        kc.zoo.verify(path, datasets=["other"])

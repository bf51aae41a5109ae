import numpy as np
import pytest

from keras_contrastive import export
from keras_contrastive.data import load_sample
from keras_contrastive.export import parity


def features(n=20, dim=8):
    return np.random.default_rng(0).normal(size=(n, dim)).astype("float32")


def test_equal_features():
    found = parity.compare(features(), features())
    assert found["max_difference"] == found["mean_error"] == 0
    assert found["mean_cosine"] == pytest.approx(1)


def test_the_comparer_by_hand():
    found = parity.compare([[3.0, 4.0], [0.0, 2.0]], [[3.0, 4.0], [1.0, 2.0]])
    assert found["max_difference"] == 1
    assert found["relative_difference"] == 1 / 4
    assert found["mean_difference"] == 1 / 4
    assert found["mean_error"] == pytest.approx((0 + 1 / 2) / 2)
    assert found["min_cosine"] == pytest.approx(2 / 5**0.5)
    assert found["mean_cosine"] == pytest.approx((1 + 2 / 5**0.5) / 2)


@pytest.mark.parametrize(
    "fault",
    [
        lambda x: np.roll(x, 1, axis=0),  # images in another order
        lambda x: x * 2,  # no cosine sees it
        lambda x: np.where(x == x.max(), np.nan, x),
        lambda x: np.zeros_like(x),
        lambda x: np.clip(x, -0.5, 0.5),
    ],
)
def test_planted_faults_fail_every_gate(fault):
    found = parity.compare(features(), fault(features()))
    for kind in parity.MEAN_COSINE:
        assert parity.file_failures(kind, found), kind


def test_one_wrong_number_fails_a_saved_model():
    expected = features()
    outputs = {
        "serving_default": expected,
        "uint8": expected,
        "normalized": expected / np.linalg.norm(expected, axis=1, keepdims=True),
        "batch_of_one": expected[:1],
        "batch_of_three": expected[:3],
    }
    facts = {"imported": []}
    assert parity.saved_model_failures(outputs, facts, expected)[0] == []
    for name, output in outputs.items():
        wrong = output.copy()
        wrong[0, 0] += 3e-5 * np.abs(output).max()
        failures, _ = parity.saved_model_failures(
            {**outputs, name: wrong}, facts, expected
        )
        assert len(failures) == 1 and failures[0].startswith(name)
    failures, _ = parity.saved_model_failures(
        {**outputs, "uint8": expected[:5]}, {"imported": ["keras"]}, expected, expected
    )
    assert [x.split()[0] for x in failures] == ["loading", "uint8:", "serve_bytes"]


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"shape \(20, 8\). Received: \(20, 4\)"):
        parity.compare(features(), features(dim=4))


def test_saved_model(exported, encoder, images):
    labels = np.arange(len(images)) % 3
    report = export.verify(exported.parent, encoder, images, labels, repeats=2)
    assert report.passed, str(report)
    assert report.path == str(exported)
    assert report.knn_change == 0
    assert {(x["batch_size"], x["threads"]) for x in report.latency} == {
        (1, 1),
        (32, 1),
        (1, 2),
        (32, 2),
    }
    assert "serve_bytes" in str(report) and str(report).endswith("passed")


def test_saved_model_of_another_encoder(exported, make_encoder, images):
    report = export.verify(exported, make_encoder(1), images[:16], repeats=0)
    failed = {x.split(":")[0] for x in report.failures}
    assert {"serving_default", "uint8", "normalized", "serve_bytes"} <= failed


def test_a_fall_of_knn_accuracy_is_a_failure(encoder, monkeypatch):
    from importlib import import_module

    module = import_module("keras_contrastive.export.verify")
    images, labels = (x[:1000] for x in load_sample()[1])
    report = export.ParityReport("x", "int8", len(images), {}, 1)
    monkeypatch.setattr(module, "_artefact", lambda path: (path, "tflite"))
    monkeypatch.setattr(module, "_file", lambda *_: (report, features(len(images), 64)))
    found = export.verify("x.tflite", encoder, images, labels)
    assert found.knn_change < -1
    assert "kNN accuracy fell by" in found.failures[0]


def test_what_is_no_artefact(encoder, images, tmp_path):
    with pytest.raises(ValueError, match="which does not exist"):
        export.verify(tmp_path / "none", encoder, images)
    with pytest.raises(ValueError, match="which is none of these"):
        export.verify(tmp_path, encoder, images)
    (tmp_path / "a.tflite").write_bytes(b"no flatbuffer")
    with pytest.raises(RuntimeError, match="does not run in a process of its own"):
        export.verify(tmp_path / "a.tflite", encoder, images)

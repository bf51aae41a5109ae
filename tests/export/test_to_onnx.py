import json
import sys

import keras
import numpy as np
import pytest

from keras_contrastive import export


def test_onnx_file(encoder, images, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONSAFEPATH", "1")  # a user may have it set
    pytest.importorskip("tf2onnx", reason="needs tf2onnx")
    pytest.importorskip("onnx", reason="needs onnx")
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    path = export.to_onnx(encoder, tmp_path)
    assert path == tmp_path / f"{encoder.name}.onnx"
    report = export.verify(path, encoder, images, repeats=1)
    assert report.passed and all(x["p50_ms"] > 0 for x in report.latency)
    assert {x["batch_size"] for x in report.latency} == {1, 32}
    session = onnxruntime.InferenceSession(str(path))
    (features,) = session.run(["features"], {"images": images[:3].astype("float32")})
    expected = np.asarray(encoder(images[:3], training=False))
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-5)
    entry = json.loads((tmp_path / "manifest.json").read_text())["artefacts"][path.name]
    assert entry["input"]["name"] == "images" and entry["feature_dim"] == 64
    assert sorted(x.name for x in tmp_path.iterdir()) == ["manifest.json", path.name]


def test_without_its_packages(encoder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(ImportError, match=r"keras-contrastive\[onnx\]"):
        export.to_onnx(encoder, tmp_path)


def test_exact_gelu_which_onnx_has_not(tmp_path):
    pytest.importorskip("tf2onnx", reason="needs tf2onnx")
    onnx = pytest.importorskip("onnx", reason="needs onnx")
    x = keras.Input((8, 8, 3))
    y = keras.layers.Conv2D(4, 3, activation="gelu")(x)
    encoder = keras.Model(x, keras.layers.GlobalAveragePooling2D()(y), name="gelu")
    path = export.to_onnx(encoder, tmp_path / "gelu.onnx")  # compared there
    kinds = [node.op_type for node in onnx.load(path).graph.node]
    assert "Erf" in kinds and "Erfc" not in kinds

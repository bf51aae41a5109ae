import json
import sys

import numpy as np
import pytest

from keras_contrastive import export


def test_versions_that_openvino_runs(encoder, images, tmp_path):
    openvino = pytest.importorskip("openvino", reason="needs openvino")
    path = export.to_openvino(encoder, tmp_path / "birds", images)
    assert path == tmp_path / "birds" / "1"
    names = ["manifest.json", "model.bin", "model.xml"]
    assert sorted(file.name for file in path.iterdir()) == names
    for artefact in (path.parent, path, path / "model.xml"):
        report = export.verify(artefact, encoder, images, repeats=1)
        assert report.passed and report.kind == "openvino"
        assert {x["batch_size"] for x in report.latency} == {1, 32}
    exact = {"INFERENCE_PRECISION_HINT": "f32"}  # or some CPUs take bfloat16
    model = openvino.Core().compile_model(path / "model.xml", "CPU", exact)
    features = model({"images": images[:3].astype("float32")})["features"]
    expected = np.asarray(encoder(images[:3], training=False))
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-5)
    entry = json.loads((path / "manifest.json").read_text())["artefacts"]["model.xml"]
    assert entry["input"]["name"] == "images" and entry["feature_dim"] == 64
    again = export.to_openvino(encoder, tmp_path / "birds", images)
    assert again == tmp_path / "birds" / "2"
    with pytest.raises(ValueError, match="`version` must be free"):
        export.to_openvino(encoder, tmp_path / "birds", images, version=1)


def test_without_its_package(encoder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ImportError, match=r"keras-contrastive\[openvino\]"):
        export.to_openvino(encoder, tmp_path)
    assert not any(tmp_path.iterdir())

"""The scripts in export/ with their flags, in one process: TensorFlow starts slowly."""

import functools
import json
import pathlib

import numpy as np
import pytest
from absl import app, flags
from absl.testing import flagsaver

from keras_contrastive import export

FOLDER = pathlib.Path(__file__).parents[2] / "export"


@pytest.fixture
def run(monkeypatch):
    """A function: name of a script, its arguments, its flags -> exit status."""
    monkeypatch.syspath_prepend(str(FOLDER))
    flags.FLAGS.mark_as_parsed()
    # Latency is not measured where no flag asks for it: test_verify.py does that.
    unmeasured = functools.partial(export.verify, repeats=0)
    monkeypatch.setattr(export, "verify", unmeasured)

    def call(script, *arguments, **values):
        module = __import__(script)
        with flagsaver.flagsaver(**values):
            return module.main([script, *map(str, arguments)])

    return call


@pytest.mark.slow
def test_export_saved_model_then_check_it(run, exported, tmp_path, capsys):
    base, metadata = tmp_path / "models", tmp_path / "metadata.json"
    metadata.write_text('{"licence": "MIT"}')
    status = run(
        "export_saved_model",
        encoder=str(exported),  # a folder that has an encoder.keras
        output=str(base),
        metadata=str(metadata),
        num_images=300,
    )
    printed = capsys.readouterr().out
    assert status == 0 and "kNN accuracy" in printed and "serve_bytes" in printed
    assert json.loads((base / "1" / "manifest.json").read_text())["licence"] == "MIT"

    own = tmp_path / "own.npz"
    np.savez(own, images=np.random.default_rng(0).integers(0, 256, (16, 28, 28, 1)))
    status = run(
        "check_export",
        base,
        encoder=str(base / "1" / "encoder.keras"),
        images=str(own),
        json_file=str(tmp_path / "report.json"),
        repeats=0,
    )
    (report,) = json.loads((tmp_path / "report.json").read_text())
    assert status == 0 and report["passed"] and report["num_images"] == 16


@pytest.mark.slow
def test_export_tflite(run, exported, tmp_path, capsys):
    pytest.importorskip("ai_edge_litert", reason="needs ai-edge-litert")
    status = run(
        "export_tflite",
        encoder=str(exported / "encoder.keras"),
        output_folder=str(tmp_path),
        variants=["float32", "int8"],
        num_images=200,
    )
    assert status == 0 and "x of the largest" in capsys.readouterr().out
    assert len(list(tmp_path.glob("*.tflite"))) == 2


def test_what_is_missing_is_said(run, tmp_path):
    with pytest.raises(app.UsageError, match="encoder.keras.*which does not exist"):
        run("check_export", "x", encoder=str(tmp_path))
    with pytest.raises(app.UsageError, match="paths of the artefacts"):
        run("check_export", encoder=str(tmp_path))

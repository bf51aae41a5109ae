"""The command line: commands, flags, errors, exit codes, signals."""

import json
import os
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_contrastive as kc
from keras_contrastive.cli import networks, report
from keras_contrastive.cli.main import COMMANDS, main, overview


@pytest.fixture
def run(capsys):
    """A function: arguments -> exit code, stdout, stderr."""

    def call(*argv):
        return main([str(part) for part in argv]), *capsys.readouterr()

    return call


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of two classes, eight images each: one is there twice."""
    folder = tmp_path_factory.mktemp("photos")
    images = np.random.default_rng(0).integers(0, 256, (16, 12, 12, 3), "uint8")
    images[8:] //= 4
    images[3] = images[1]
    for i, image in enumerate(images):
        (folder / "ab"[i // 8]).mkdir(exist_ok=True)
        path = folder / "ab"[i // 8] / f"{i}.png"
        keras.utils.save_img(path, image, scale=False)
    return folder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A file of an encoder."""
    images = keras.Input((8, 8, 3))
    x = keras.layers.Rescaling(1 / 255)(images)
    x = keras.layers.Conv2D(6, 3)(x)
    path = tmp_path_factory.mktemp("run") / "encoder.keras"
    keras.Model(images, keras.layers.GlobalAveragePooling2D()(x)).save(path)
    return path


def test_help_and_wrong_usage(run):
    assert run() == run("--help") == (0, f"{overview()}\n", "")
    for command in COMMANDS:
        code, out, _ = run(command, "--help")
        assert code == 0 and out.startswith(f"keras-contrastive {command}")
    for argv, words in (
        (("pretrian",), "no command 'pretrian'. Choose of pretrain."),
        (("pretrain", "--recipe=simclr_smal"), "Choose of simclr_small"),
        (("pretrain", "--epoch=3"), "Unknown command line flag 'epoch'"),
        (("pretrain", "sample", "more"), "Expected one DATA"),
        (("pretrain", "--epochs=0"), "--epochs=0: 0 is not a positive integer"),
        (("export", "a", "b", "--formats=onxn"), "no 'onxn'. Choose of onnx"),
        (("export", "a", "b", "--formats=int8"), "give --images=FOLDER"),
        (("evaluate",), "Expected ENCODER"),
        (("zoo", "shwo"), "Choose of show"),
        (("zoo",), "Choose of convert, fetch, list"),
    ):
        code, out, err = run(*argv)
        assert (code, out) == (2, "")
        assert words in err
        assert "--help` says more" in err


def test_what_is_not_there(run, tmp_path):
    code, _, err = run("evaluate", tmp_path / "no")
    assert code == 1 and "There is no preset, no folder of a run" in err
    code, _, err = run("pretrain", "--encoder=ResNet51")
    assert code == 1 and "Choose of ResNet50" in err
    (tmp_path / "broken.keras").write_bytes(b"no")
    assert run("evaluate", tmp_path / "broken.keras")[0] == 1


def test_evaluate(run, encoder, photos, tmp_path):
    code, out, err = run(
        "evaluate", encoder, photos, f"--json_file={tmp_path / 'e.json'}"
    )
    assert (code, err) == (0, ""), err
    assert "2 classes" in out and out.splitlines()[-1].startswith("b")
    assert json.loads((tmp_path / "e.json").read_text())["class_names"] == ["a", "b"]
    assert run("evaluate", encoder.parent, photos)[1] == out  # the folder of a run


def test_report(run, encoder, photos, tmp_path):
    pytest.importorskip("jinja2")
    page = tmp_path / "page.html"
    code, out, err = run("report", encoder, photos, f"--output={page}", "--images=16")
    assert code == 0, err
    text = page.read_text()
    assert out == f"{page}\n" and "16 of 8 x 8 pixels" in text
    assert "a/0.png" in text


def test_exports_of_a_report_are_found(run, encoder, photos, tmp_path):
    for name in ("m/photos.tflite", "m/photos.onnx", "m/openvino/1/model.xml", "m/a"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    folder = tmp_path / "m"
    found = [path.name for path in report.exported_files([folder])]
    assert found == ["openvino", "photos.onnx", "photos.tflite"]
    base = folder / "openvino"
    assert report.exported_files([base, folder / "photos.onnx"]) == [
        *(base, folder / "photos.onnx")
    ]
    for wrong, words in ((tmp_path / "no", "there is no"), (photos, "holds no")):
        code, _, err = run("report", encoder, photos, f"--exports={wrong}")
        assert code == 2 and words in err


def test_search(run, encoder, photos, tmp_path):
    code, out, err = run("search", encoder, photos)
    assert code == 0 and "a/1.png" in out.splitlines()[0]
    assert out.startswith("1.0000") and "a/3.png" in out.splitlines()[0]
    query, answer = photos / "b/9.png", tmp_path / "found.json"
    flags = f"--query={query}", "--k=3", f"--json_file={answer}"
    code, out, _ = run("search", encoder, photos, *flags)
    found = json.loads(answer.read_text())
    assert len(found) == len(out.splitlines()) == 3
    assert found[0]["other"] == str(query)
    similarities = [row["similarity"] for row in found]
    assert similarities == sorted(similarities, reverse=True)
    few = run("search", encoder, photos / "b", "--duplicates=1.0")[1]
    assert few == "No two images are as similar as 1.0.\n"


def test_export(run, encoder, photos, tmp_path):
    pytest.importorskip("ai_edge_litert")
    flags = "--formats=dynamic", f"--images={photos}"
    code, out, err = run("export", encoder, tmp_path / "out", *flags)
    assert code == 0, err
    assert out.strip().endswith("_dynamic.tflite")
    assert [path.suffix for path in (tmp_path / "out").glob("*.tflite")] == [".tflite"]


def test_encoders_by_name(tmp_path):
    numbers = {"depth": 10, "width": 4, "patch": 4}
    for name in networks.NETWORKS:
        size = {"depth": 1} if name == "amdim" else {}
        encoder = networks.new_encoder(name, (32, 32, 3), **{**numbers, **size})
        assert encoder.output_shape[0] is None and len(encoder.output_shape) == 2
        assert networks.architecture(name, **numbers) != name
    assert "MobileNetV2" in networks.applications()


def test_arrays_in_a_folder(run, tmp_path, monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (16, 12, 12, 1), "uint8")
    np.save(tmp_path / "images.npy", images)
    monkeypatch.chdir(tmp_path)
    small = "--width=2", "--epochs=1", "--batch_size=8", "--measure=", "--crop=8"
    code, out, err = run("pretrain", tmp_path, "--output=run", *small)
    assert code == 0, err
    assert kc.from_preset(next(tmp_path.glob("run/*/"))).input_shape[1:] == (12, 12, 1)


def test_signals_end_with_a_checkpoint_and_their_code(tmp_path):
    """SIGTERM after the first epoch; the same command goes on."""
    np.save(tmp_path / "images.npy", np.full((16, 12, 12, 1), 9, "uint8"))
    flags = "--width=2", "--epochs=9999", "--batch_size=8", "--crop=8", "--measure="
    command = [sys.executable, "-m", "keras_contrastive", "pretrain", str(tmp_path)]
    with subprocess.Popen(
        [*command, *flags, f"--output={tmp_path / 'run'}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as child:
        said = ""
        for line in child.stdout:
            said += line
            if "Epoch 2/" in line:
                child.send_signal(signal.SIGTERM)
    assert child.returncode == 128 + signal.SIGTERM
    assert "Interrupted. " in said and "The same command goes on." in said
    assert (tmp_path / "run/checkpoint.weights.h5").exists()

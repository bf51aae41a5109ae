"""The quickstart, small: it runs, and says what is wrong before it begins."""

import json
import pathlib
import signal
import subprocess
import sys
import time

import keras
import pytest

import keras_contrastive as kc

QUICKSTART = pathlib.Path(__file__).parents[2] / "examples" / "quickstart.py"


def start(cwd, *flags, out=subprocess.PIPE, err=subprocess.PIPE):
    command = [sys.executable, QUICKSTART, *flags]
    # A job in the background of a script ignores Ctrl-C, and so would its children.
    return subprocess.Popen(
        command,
        cwd=cwd,
        stdout=out,
        stderr=err,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


SMALL = ("--width=4", "--images=400", "--batch_size=64", "--supervised_seconds=1")


def tiny_encoder(depth, width, input_shape):
    """Layers that train, but are traced and exported fast."""
    images = keras.Input(input_shape)
    x = keras.layers.Rescaling(1 / 255)(images)
    x = keras.layers.Conv2D(16, 4, strides=4, activation="relu")(x)
    return keras.Model(images, keras.layers.GlobalAveragePooling2D()(x))


def test_small_run_writes_everything(tmp_path, monkeypatch, capsys, load_script):
    (tmp_path / "runs" / "quickstart").mkdir(parents=True)
    train, test = kc.data.load_sample()
    sample = train, tuple(part[:300] for part in test)  # of which a map is drawn
    monkeypatch.setattr(kc.data, "load_sample", lambda: sample)
    monkeypatch.setattr(kc.encoders, "resnet", tiny_encoder)
    monkeypatch.chdir(tmp_path)
    script, parse = load_script(QUICKSTART)
    parse(*SMALL, "--epochs=2")
    script.main([])
    folder = tmp_path / "runs" / "quickstart-2"
    for name in ("views", "neighbors", "embedding", "curves"):
        assert (folder / f"{name}.png").stat().st_size > 5_000
    page = (folder / "report.html").read_text()
    assert "What the network saw" in page and "Ankle boot" in page
    assert (folder / "encoder.keras").exists()
    assert (folder / "saved_model" / "1" / "saved_model.pb").exists()
    table = json.loads((folder / "metrics.json").read_text())["table"]
    rows = ["raw pixels", "untrained encoder", "pre-trained encoder"]
    assert list(table) == [*rows, "supervised network"]
    for scores in table.values():
        assert 20 < scores["100"]["linear"] < 100  # chance is 10
    assert table["supervised network"] != table["untrained encoder"]
    out = capsys.readouterr().out
    assert "Learned without a label" in out and "Next:" in out


@pytest.fixture
def refused(tmp_path, monkeypatch, load_script):
    """A function: run the script within this process, to the end that it refuses."""
    script, parse = load_script(QUICKSTART)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(kc.data, "load_sample", None)  # at once: before any work

    def run(match, *arguments):
        parse(*arguments)
        with pytest.raises(SystemExit, match=match):
            script.main([])

    return run


def test_folder_with_another_run_is_refused_at_once(tmp_path, refused):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "metrics.json").touch()
    refused("old holds another run", "--output=old")


def test_folder_that_cannot_be_made_is_refused_at_once(tmp_path, refused):
    (tmp_path / "file").touch()
    refused("Cannot write to file/run", "--output=file/run")


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_trained(tmp_path):
    log = tmp_path / "log"
    with log.open("w") as stream:
        run = start(
            tmp_path, *SMALL, "--epochs=500", "--output=run", out=stream, err=stream
        )
        end = time.time() + 300
        while "Epoch 2/" not in log.read_text() and run.poll() is None:
            assert time.time() < end
            time.sleep(0.2)
        run.send_signal(signal.SIGINT)
        run.wait()
    said = log.read_text()[-3000:]
    assert "Interrupted" in said and "run/encoder.keras" in said, said
    assert (tmp_path / "run" / "encoder.keras").exists()

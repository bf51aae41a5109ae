"""The zoo's command, small: it trains, goes on, and refuses another run's folder."""

import csv
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_contrastive as kc

PRETRAIN = pathlib.Path(__file__).parent.parent.parent / "examples" / "pretrain.py"
FLAGS = ("--dataset=photos", "--size=16", "--width=4", "--batch_size=8", "--crop=12")


def run(cwd, *flags):
    command = [sys.executable, PRETRAIN, *FLAGS, *flags]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretrain")
    (folder / "photos").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 16, 3), "uint8")
    for i, image in enumerate(pixels):
        keras.utils.save_img(folder / "photos" / f"{i}.png", image, scale=False)
    return folder


def test_a_run_goes_on_and_ends_as_a_preset(folder):
    flags = ("--method=byol", "--epochs=2")
    first = run(folder, *flags)
    assert first.returncode == 0, first.stderr[-3000:]
    output = folder / "runs" / "byol_resnet10_photos"
    preset = kc.from_preset(output / output.name)
    encoder = keras.models.load_model(output / "encoder.keras")
    images = np.zeros((1, 16, 16, 3), "uint8")
    # The preset's kernels are float16 on disk.
    np.testing.assert_allclose(preset(images), encoder(images), rtol=0.05, atol=0.05)
    # As if it had been killed after the last epoch.
    (output / "encoder.keras").unlink()
    second = run(folder, *flags)
    assert second.returncode == 0, second.stderr[-3000:]
    with (output / "history.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]
    again = keras.models.load_model(output / "encoder.keras")
    np.testing.assert_array_equal(again(images), encoder(images))

    other = run(folder, *flags, "--learning_rate=0.1")
    assert other.returncode != 0
    assert "learning_rate: None -> 0.1" in other.stderr
    assert "another --output" in other.stderr


def test_supervised_needs_the_number_of_classes(folder):
    done = run(folder, "--method=supervised")
    assert done.returncode != 0
    assert "Give --num_classes=N" in done.stderr

"""All commands on TIFFs of five channels and 12 bits, and on such arrays."""

import json

import keras
import numpy as np
import pytest

import keras_contrastive as kc
from keras_contrastive.cli.main import main

tifffile = pytest.importorskip("tifffile")


def tiny_encoder(depth, width, input_shape, norm=None):
    """One convolution in the place of a ResNet, which is traced and saved slowly."""
    images = keras.Input(input_shape, name="images")
    x = keras.layers.Rescaling(1 / 255, name="rescaling")(images)
    x = keras.layers.Conv2D(width, 4, strides=4, name="conv")(x)
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(images, x, name="tiny")


def crops(size, **_):
    """Two views without colours, which are compiled slowly and tested elsewhere."""
    return kc.layers.Views([[kc.layers.RandomResizedCrop(size)]] * 2, name="simclr")


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """A function: arguments -> stdout."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(kc.encoders, "resnet", tiny_encoder)
    monkeypatch.setattr(kc.augmentations, "simclr", crops)

    def call(*argv):
        code = main([str(part) for part in argv])
        out, err = capsys.readouterr()
        assert code == 0, err
        return out

    return call


def test_every_command_on_five_channels_of_12_bits(run, tmp_path):
    pytest.importorskip("jinja2")
    images = np.random.default_rng(0).integers(0, 4096, (16, 12, 12, 5), "uint16")
    for i, image in enumerate(images):
        path = tmp_path / "cells" / "ab"[i % 2] / f"{i}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, image, photometric="minisblack", planarconfig="contig")
    small = "--size=8", "--width=4", "--epochs=1", "--batch_size=8"
    small += "--output=run", "--measure="  # `evaluate` measures, too
    run("pretrain", "cells", *small, "--value_range=0,4095")
    preset = next((tmp_path / "run").glob("*/"))
    assert kc.from_preset(preset).input_shape[1:] == (8, 8, 5)
    assert kc.zoo.describe(preset)["value_range"] == [0, 4095]
    # The other commands know the range by the run; a preset knows it, too.
    run("report", "run", "--images=16")
    page = (tmp_path / "run/report.html").read_text()
    assert "16 of 8 x 8 pixels" in page and "channels 1 to 3 of 5" in page
    query = "--query=cells/a/0.tif", "--k=1", "--json_file=found.json"
    run("search", preset, "cells", *query)
    (found,) = json.loads((tmp_path / "found.json").read_text())
    assert found["other"] == "cells/a/0.tif" and found["similarity"] > 0.999
    # The same images as arrays.
    (tmp_path / "arrays").mkdir()
    files = kc.data.list_images("cells")[0]
    order = [int(file.split("/")[-1][:-4]) for file in files]
    np.save(tmp_path / "arrays/images.npy", images[order])
    np.save(tmp_path / "arrays/labels.npy", np.arange(16) // 8)
    of_files, of_arrays = (run("evaluate", "run", x) for x in ("cells", "arrays"))
    assert of_files[:40] == of_arrays[:40]  # linear and kNN
    pairs = run("search", "run", "arrays", "--duplicates=-1")
    assert "arrays/images.npy[15]" in pairs
    pytest.importorskip("ai_edge_litert")
    out = run("export", "run", "out", "--formats=dynamic", "--images=arrays")
    assert "_dynamic.tflite" in out and "pixels from 0 to 4095" in out

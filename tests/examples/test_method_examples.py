"""`examples/<method>.py`, small: one for every method, and each makes a preset."""

import functools
import importlib.util
import pathlib

import keras
import numpy as np
import pytest
from absl import flags

import keras_contrastive as kc

EXAMPLES = pathlib.Path(__file__).parent.parent.parent / "examples"
METHODS = (
    "align_uniform",
    "barlow_twins",
    "byol",
    "dcl",
    "dino",
    "instance_discrimination",
    "lejepa",
    "moco",
    "nnclr",
    "sce",
    "simclr",
    "simsiam",
    "supcon",
    "vicreg",
    "visreg",
)
LOSSES = {"dcl": "simclr"}  # examples of another method's loss


def tiny_encoder(depth, width, input_shape):
    images = keras.Input(input_shape)
    pooled = keras.layers.AveragePooling2D(7)(keras.layers.Rescaling(1 / 255)(images))
    features = keras.layers.Dense(8)(keras.layers.Flatten()(pooled))
    return keras.Model(images, features)


@pytest.mark.parametrize("name", METHODS)
def test_example(name, tmp_path, monkeypatch, capsys):
    values = flags.FlagValues()  # scripts in one process may name their flags alike
    for kind in ("integer", "string"):
        define = functools.partial(getattr(flags, f"DEFINE_{kind}"), flag_values=values)
        monkeypatch.setattr(flags, f"DEFINE_{kind}", define)
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # Few images and a tiny network: what is new in each example is the method.
    sample = kc.data.load_sample()
    small = [tuple(part[:128] for part in split) for split in sample]
    monkeypatch.setattr(kc.data, "load_sample", lambda: small)
    monkeypatch.setattr(kc.encoders, "resnet", tiny_encoder)
    values([name, "--epochs=1", f"--output={tmp_path / name}"])
    module.main([])
    assert "kNN accuracy" in capsys.readouterr().out
    about = kc.zoo.describe(tmp_path / name)
    method = LOSSES.get(name, name)
    assert getattr(kc, about["method"]).__module__.endswith(f"methods.{method}")
    encoder = kc.from_preset(tmp_path / name)
    assert np.isfinite(encoder(small[1][0][:2])).all()


def test_every_method_has_an_example():
    methods = {
        cls.__module__.rsplit(".", 1)[1]
        for cls in kc.ContrastiveModel.__subclasses__()
        if cls.__module__.startswith("keras_contrastive.methods.")
    }
    assert methods == set(METHODS) - set(LOSSES)

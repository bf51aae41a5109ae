"""`examples/<method>.py`, small: one for every method, and each makes a preset."""

import pathlib

import numpy as np
from slow_cases import by_name

import keras_contrastive as kc

EXAMPLES = pathlib.Path(__file__).parent.parent.parent / "examples"
METHODS = (
    "align_uniform",
    "amdim",
    "barlow_twins",
    "byol",
    "cmc",
    "cpc",
    "dcl",
    "dim",
    "dino",
    "distillation",
    "exemplar",
    "instance_discrimination",
    "lejepa",
    "mmcl",
    "moco",
    "nnclr",
    "pcl",
    "pirl",
    "sce",
    "simclr",
    "simsiam",
    "supcon",
    "swav",
    "vicreg",
    "visreg",
)
LOSSES = {"dcl": "simclr"}  # examples of another method's loss
# Each has something that no example before it has: its own encoder, two encoders as
# one, a callback, another's loss, labels, no projector. The others run with `-m slow`.
FIRST = ("amdim", "byol", "cmc", "dcl", "distillation", "pcl", "sce", "supcon")


def tiny_amdim(width, depth, dim, input_shape, make=kc.encoders.amdim):
    return make(2, 1, 8, input_shape=input_shape)


@by_name(METHODS, slow=lambda name: name not in FIRST)
def test_example(
    name, tmp_path, monkeypatch, capsys, load_script, small_sample, untraced
):
    script, parse = load_script(EXAMPLES / f"{name}.py")
    # Few images and a tiny network: what is new in each example is the method.
    small = small_sample(128)
    monkeypatch.setattr(kc.encoders, "amdim", tiny_amdim)
    parse("--epochs=1", f"--output={tmp_path / name}")
    script.main([])
    assert "kNN accuracy" in capsys.readouterr().out
    about = kc.zoo.describe(tmp_path / name)
    method = LOSSES.get(name, name)
    assert getattr(kc, about["method"]).__module__.endswith(f"methods.{method}")
    encoder = kc.from_preset(tmp_path / name)
    prepare = kc.augmentations.evaluation(encoder.input_shape[1] or 28)
    assert np.isfinite(encoder(prepare(small[1][0][:2]))).all()


def test_every_method_has_an_example():
    public = {getattr(kc, name) for name in kc.__all__ if name != "ContrastiveModel"}
    methods = {
        cls.__module__.rsplit(".", 1)[1]
        for cls in public
        if isinstance(cls, type) and issubclass(cls, kc.ContrastiveModel)
    }
    assert methods == set(METHODS) - set(LOSSES)

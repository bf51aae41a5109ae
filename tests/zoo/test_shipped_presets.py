"""The presets that ship: their files, their numbers, and what README says of them."""

import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
from damage import flip_byte

import keras_contrastive as kc
from keras_contrastive.evaluation import extract_features
from keras_contrastive.zoo import measure, sources

PACKAGE = pathlib.Path(kc.__file__).parent
ORIGIN = (
    "method",
    "architecture",
    "preprocessing",
    "data",
    "epochs",
    "batch_size",
    "seed",
    "augmentation",
    "command",
    "commit",
    "hardware",
    "minutes",
    "licence",
)
LIMITS = {  # parameters, bytes on disk
    "fashion_mnist": (1e6, 2.5e6),
    "cifar10_jpeg": (3e6, 6e6),
}
METHODS = "simclr", "supcon", "byol", "sce", "supervised"
ABOVE_SCRATCH = {  # with 1 % of the labels
    "sce_resnet10_fashion_mnist": 0.03,
    "sce_resnet10_cifar10_jpeg": 0.1,
}
presets = pytest.mark.parametrize("name", kc.list_presets())
# The others' numbers are measured with `-m slow`: what loads and measures is the same.
IN_SUITE = ("sce_resnet10_fashion_mnist",)


def slow(name):
    return pytest.param(name, marks=pytest.mark.slow, id=f"slow-{name}")


def folder_size(folder):
    return sum(x.stat().st_size for x in folder.rglob("*") if x.is_file())


@presets
def test_a_preset_is_small_and_says_where_it_comes_from(name):
    about = kc.zoo.describe(name)
    assert all(about.get(key) not in (None, "", "not stated") for key in ORIGIN)
    method, data = name.split("_resnet10_")
    assert about["method"].lower() == method and about["data"] == f"{data}, train"
    params, size = LIMITS[data]
    assert about["params"] <= params
    assert folder_size(pathlib.Path(about["folder"])) <= size
    for flag in (f"--method={method}", f"--dataset={data}"):
        assert flag in about["command"].split()
    assert "=/" not in about["command"] and " /" not in about["command"]
    if data == "cifar10_jpeg":
        card = (pathlib.Path(about["folder"]) / "README.md").read_text()
        assert "CIFAR-10 re-encoded as JPEG" in card


@pytest.mark.parametrize("name", [*IN_SUITE, *map(slow, kc.list_presets())])
def test_the_numbers_on_the_sample_are_reproduced(name, monkeypatch):
    found = []

    def kept(*args):
        found.append(extract_features(*args))
        return found[-1]

    # `kc.zoo.measure` is the function, not its module.
    monkeypatch.setitem(measure.__globals__, "extract_features", kept)
    report = kc.zoo.verify(name, datasets=["sample"])
    assert report.passed and len(report.rows) == 2, str(report)
    if name != "supervised_resnet10_cifar10_jpeg":
        return

    # Nor do they hang on rounding: the same features, rounded otherwise.
    assert len(found) == 2
    rng = np.random.default_rng(0)

    def rounded_otherwise(*args):
        features, labels = found.pop(0)
        noise = rng.standard_normal(features.shape).astype("float32")
        return features * (1 + 1e-5 * noise), labels

    monkeypatch.setitem(measure.__globals__, "extract_features", rounded_otherwise)
    report = kc.zoo.verify(name, datasets=["sample"])
    assert report.passed and len(report.rows) == 2, str(report)


@presets
def test_the_numbers_that_readme_shows_are_recorded(name):
    metrics = kc.zoo.describe(name)["metrics"][name.split("_resnet10_")[1]]
    few = kc.evaluation.FewLabelResult(**metrics["few_labels"])
    assert few.protocol["draws"] == 5
    for fraction in (0.01, 0.1):
        assert few.mean("raw pixels", fraction) < few.mean("linear", fraction)
        assert few.mean("linear", fraction) < metrics["linear"]
    if name in ABOVE_SCRATCH:
        above = few.mean("linear", 0.01) - few.mean("from scratch", 0.01)
        assert above >= ABOVE_SCRATCH[name]


def test_every_method_ships_for_every_data_set_and_all_are_small_together():
    expected = {f"{method}_resnet10_{data}" for method in METHODS for data in LIMITS}
    folders = {x.name for x in sources.PRESETS.iterdir()}
    assert {*kc.list_presets()} == folders == expected
    assert folder_size(sources.PRESETS) <= 45e6


def test_a_preset_loads_in_a_fresh_process_without_network(tmp_path):
    """Nothing else is imported, no connection is tried, no weights are written."""
    code = (
        "import socket, keras_contrastive as kc\n"
        "socket.socket.connect = socket.create_connection = None  # no calls\n"
        "print(kc.from_preset(kc.list_presets()[0]).name)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "", "HOME": str(tmp_path), "PYTHONPATH": str(PACKAGE.parent)},
    )
    assert done.stdout.strip()
    assert not any(tmp_path.rglob("*.h5"))


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_a_damaged_shipped_preset_is_refused(damage, tmp_path, monkeypatch):
    name = kc.list_presets()[0]
    folder = shutil.copytree(sources.PRESETS / name, tmp_path / name)
    weights = folder / "model.weights.h5"
    if damage == "remove":
        weights.unlink()
    elif damage == "flip":
        flip_byte(weights)
    else:
        weights.write_bytes(weights.read_bytes()[:-1])
    monkeypatch.setattr(sources, "PRESETS", tmp_path)
    expected = FileNotFoundError if damage == "remove" else ValueError
    with pytest.raises(expected, match="model.weights.h5"):
        kc.from_preset(name)

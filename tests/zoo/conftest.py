"""A tiny encoder with measured numbers, saved once; tests copy the folder."""

import shutil

import keras
import numpy as np
import pytest

import keras_contrastive as kc


def tiny_encoder(**kwargs):
    """An encoder of 20,000 weights; none has its initial value."""
    kwargs = {"depth": 10, "width": 4, "input_shape": (28, 28, 1)} | kwargs
    encoder = kc.encoders.resnet(**kwargs)
    rng = np.random.default_rng(0)
    encoder.set_weights(
        [w + 0.05 * rng.random(w.shape).astype(w.dtype) for w in encoder.get_weights()]
    )
    return encoder


@pytest.fixture(scope="session")
def encoder():
    keras.utils.set_random_seed(0)
    return tiny_encoder()


@pytest.fixture(scope="session")
def images():
    return kc.data.load_sample()[1][0][:8]


@pytest.fixture(scope="session")
def saved(encoder, tmp_path_factory):
    metadata = {"data": "fashion_mnist", "licence": "MIT", "minutes": 3, "note": "a|b"}
    metrics = {
        "sample": kc.zoo.measure(encoder),
        "fashion_mnist": {
            "knn": 0.8,
            "linear": 0.9,
            "few_labels": {
                "scores": [
                    {
                        "measure": "linear",
                        "fraction": 0.01,
                        "labels": 600,
                        "accuracies": [0.74, 0.76],
                        "mean": 0.75,
                    }
                ],
                "protocol": {"draws": 2},
            },
        },
    }
    path = tmp_path_factory.mktemp("zoo") / "simclr_tiny"
    return kc.save_to_preset(encoder, path, metadata, metrics)


@pytest.fixture
def preset(saved, tmp_path):
    """A copy of the saved preset, to be damaged."""
    return shutil.copytree(saved, tmp_path / saved.name)


@pytest.fixture
def shipped(saved, tmp_path, monkeypatch):
    """The saved preset as one that ships with the package: its folder."""
    sources = kc.zoo.sources
    monkeypatch.setattr(sources, "PRESETS", tmp_path / "presets")
    monkeypatch.setattr(sources, "REGISTRY", tmp_path / "registry.json")
    folder = shutil.copytree(saved, tmp_path / "presets" / saved.name)
    sources.register()
    return folder

"""ResNets of SimCLR version 2: `kc.encoders.resnet(selective_kernel=True)`."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_contrastive as kc

AUTHORS = os.environ.get("SIMCLR_CODE")  # a folder with google-research/simclr
SCRIPT = pathlib.Path(__file__).parent / "simclr_resnet.py"


@pytest.fixture
def selective(monkeypatch):
    """A function: a small network, of one bottleneck in each stage."""
    monkeypatch.setitem(kc.resnet._DEPTHS, 14, ((1, 1, 1, 1), True))

    def make(size=16, **kwargs):
        kwargs = {"input_shape": (size, size, 3), **kwargs}
        return kc.encoders.resnet(14, 4, selective_kernel=True, **kwargs)

    return make


def in_authors_order(model):
    """Layers with weights as the authors' code makes them, block by block."""
    names = {layer.name: layer for layer in model.layers if layer.weights}
    parts = ["shortcut", "conv1", "bn1", "conv2", "bn2", "sk", "conv3", "bn3"]
    if "stage1_block1_conv3" not in names:  # basic blocks have the shortcut last
        parts.append(parts.pop(0))

    def place(name):
        prefix, _, rest = name.partition("_block")
        if prefix.startswith("stem"):
            return 0, 0, {"1": 0, "2": 1}.get(name[-1], 2), "bn" in name
        number, _, rest = rest.partition("_")
        part = next(i for i, part in enumerate(parts) if rest.startswith(part))
        inside = rest.partition("_")[2]
        order = ("", "conv", "conv1", "bn", "conv2").index(inside)
        return int(prefix[5:]), int(number), part, order

    return [names[name] for name in sorted(names, key=place)]


@pytest.mark.slow
@pytest.mark.skipif(
    not AUTHORS or not importlib.util.find_spec("tf_keras"),
    reason="SIMCLR_CODE names no folder with google-research/simclr, or no tf_keras",
)
@pytest.mark.parametrize(
    "depth, stem, size", [(50, "imagenet", 64), (50, "small", 19), (18, "imagenet", 49)]
)
def test_features_of_the_authors_code(depth, stem, size, tmp_path):
    output = tmp_path / "authors.npz"
    arguments = AUTHORS, depth, 1, stem, size, output
    subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], check=True)
    with np.load(output) as file:
        arrays = dict(file)
    model = kc.encoders.resnet(depth, 64, stem, (size, size, 3), selective_kernel=True)
    for number, layer in enumerate(in_authors_order(model)):
        keys = [f"{number:03d}_{i}" for i in range(len(layer.weights))]
        layer.set_weights([arrays.pop(key) for key in keys])
    assert arrays.keys() == {"images", "inference", "training"}
    for mode, tolerance in (("inference", 1e-5), ("training", 1e-4)):
        features = model(arrays["images"], training=mode == "training")
        expected = arrays[mode]
        difference = np.abs(features - expected).max() / np.abs(expected).max()
        print(f"{depth} {stem} {size} {mode}: {difference:.1e} of the largest feature")
        assert difference < tolerance


def test_a_selective_kernel_by_hand(selective):
    model = selective(size=8)
    prefix = "stage2_block1_"
    block = {x.name.removeprefix(prefix): x for x in model.layers if prefix in x.name}
    streams = np.random.default_rng(0).uniform(0, 3, (2, 4, 4, 16)).astype("float32")
    a, b = streams[..., :8], streams[..., 8:]
    mean = (a + b).mean(axis=(1, 2), keepdims=True)
    hidden = np.maximum(block["sk_bn"](block["sk_conv1"](mean)), 0)
    assert hidden.shape[-1] == 32  # the least
    p, q = np.split(np.exp(block["sk_conv2"](hidden)), 2, axis=-1)
    part = keras.Model(block["relu2"].output, block["sk_mix"].output)
    np.testing.assert_allclose(part(streams), (p * a + q * b) / (p + q), rtol=1e-5)
    # Version D: the shortcut takes the mean of 2 x 2 pixels.
    x = np.random.default_rng(1).normal(size=(1, 8, 8, 16)).astype("float32")
    pooled = block["shortcut_pool"](block["shortcut_pad"](x))
    expected = x.reshape(1, 4, 2, 4, 2, 16).mean(axis=(2, 4))
    np.testing.assert_allclose(pooled, expected, atol=1e-6)


def test_which_layers_there_are(selective):
    basic = kc.encoders.resnet(10, 4, "imagenet", (33, 41, 3), selective_kernel=True)
    for model, mixes in ((selective(None, stem="imagenet"), 4), (basic, 0)):
        names = [layer.name for layer in model.layers]
        assert sum(name.endswith("_sk_mix") for name in names) == mixes
        assert sum(name.endswith("_shortcut_pool") for name in names) == 4
        stem = [model.get_layer(f"stem_conv{number}") for number in ("1", "2", "")]
        assert [(c.kernel_size[0], c.strides[0], c.filters) for c in stem] == [
            (3, 2, 2),
            (3, 1, 2),
            (3, 1, 4),
        ]
        assert np.isfinite(model(np.zeros((1, 33, 41, 3)))).all()
    assert model.name == "resnet10_sk"


def test_saved_and_kept_as_a_preset(selective, tmp_path):
    model = selective()
    images = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3))
    kc.save_to_preset(model, tmp_path / "preset")
    encoder = kc.from_preset(tmp_path / "preset")
    assert [x.name for x in encoder.layers] == [x.name for x in model.layers]
    np.testing.assert_allclose(encoder(images), model(images), rtol=1e-2, atol=1e-3)

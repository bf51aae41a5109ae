"""Training under a guard that stops a process which writes behind its memory."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_contrastive as kc
from keras_contrastive.encoder_checks import unsafe_convolutions

TRAIN = """
import json, sys
import keras, numpy as np, tensorflow as tf
import keras_contrastive as kc
(depth, width, stem, size, batch, policy), contrastive = json.loads(sys.argv[1])
keras.config.set_dtype_policy(policy)
encoder = kc.encoders.resnet(depth, width, stem, (size, size, 3))
images, labels = np.zeros((batch, size, size, 3), "uint8"), np.zeros(batch, "int64")
model = kc.evaluation.build_classifier(encoder, 3)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(keras.optimizers.SGD(1e-3), loss)
model.fit(tf.data.Dataset.from_tensors((images, labels)).repeat(2), verbose=0)
if contrastive:  # both views are one batch, which is even then
    model = kc.SimCLR(encoder, num_classes=3)
    model.compile(keras.optimizers.SGD(1e-3))
    views = ((images, images), labels)
    model.fit(tf.data.Dataset.from_tensors(views).repeat(2), verbose=0)
print("trained")
"""


@pytest.fixture(scope="module")
def guard(tmp_path_factory):
    """The guard, compiled."""
    compiler = shutil.which("cc")
    if not (sys.platform == "linux" and compiler):
        pytest.skip("needs Linux and a C compiler")
    library = tmp_path_factory.mktemp("guard") / "guard_malloc.so"
    source = pathlib.Path(__file__).with_name("guard_malloc.c")
    command = [compiler, "-O2", "-shared", "-fPIC", source, "-o", library, "-ldl"]
    subprocess.run(command, check=True)
    return library


def check_training(guard, *network, contrastive=True):
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, json.dumps([network, contrastive])],
        env={**os.environ, "LD_PRELOAD": str(guard)},
        capture_output=True,
        text=True,
    )
    assert "trained" in done.stdout, (done.returncode, done.stderr[-2000:])


def test_a_narrow_encoder_and_an_odd_batch_train(guard):
    check_training(guard, 10, 4, "small", 28, 125, "float32", contrastive=False)


# Memory errors depend on all of these. Each takes seconds to a minute.
@pytest.mark.slow
@pytest.mark.parametrize("batch", [16, 61, 64, 125, 256])
@pytest.mark.parametrize("size, stem", [(28, "small"), (65, "small"), (96, "imagenet")])
@pytest.mark.parametrize("width", [4, 8, 12, 16, 24, 64])
@pytest.mark.parametrize("depth", [10, 50])
def test_sweep(guard, depth, width, size, stem, batch):
    if depth * width * size * batch > 10 * 64 * 65 * 64:
        pytest.skip("too long for two cores")
    check_training(guard, depth, width, stem, size, batch, "float32")


@pytest.mark.slow
@pytest.mark.parametrize("width, size", [(4, 224), (16, 224)])
def test_sweep_of_large_images(guard, width, size):
    check_training(guard, 10, width, "imagenet", size, 16, "float32")


@pytest.mark.slow
@pytest.mark.parametrize("depth", [10, 50])
def test_sweep_in_mixed_precision(guard, depth):
    check_training(guard, depth, 4, "small", 28, 125, "mixed_bfloat16")


def narrow_encoder():
    x = images = keras.Input((8, 8, 3), name="images")
    x = keras.layers.Conv2D(4, 3, name="wide")(x)
    x = keras.layers.Conv2D(8, 1, strides=2, name="narrow")(x)
    features = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, features, name="mine")


def views():
    return kc.data.views_from_arrays(
        np.full((4, 8, 8, 3), 200, "uint8"),
        augmentation=kc.augmentations.simclr(8),
        batch_size=4,
    )


def test_a_users_unsafe_convolution_is_warned_of(monkeypatch):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "1")
    encoder = narrow_encoder()
    model = kc.SimCLR(encoder)
    model.compile(keras.optimizers.SGD(0.0))
    with pytest.warns(UserWarning, match="1 such layers, the first 'narrow'.*_OPTS=0"):
        model.fit(views(), verbose=0)
    with pytest.warns(UserWarning, match="oneDNN's gradient"):
        kc.evaluation.build_classifier(encoder, 2)
    kc.evaluation.build_classifier(encoder, 2, trainable=False)  # nothing to warn of
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    kc.evaluation.build_classifier(encoder, 2)


@pytest.mark.parametrize("stem", ["small", "imagenet"])
@pytest.mark.parametrize("depth", [10, 50])
def test_no_resnet_has_unsafe_convolutions(depth, stem):
    assert unsafe_convolutions(kc.encoders.resnet(depth, 4, stem)) == []


def with_strided_shortcuts(model):
    """The same network as this package built it before: one strided convolution."""
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(model)))
    pools = {
        layer["name"]: layer
        for layer in config["config"]["layers"]
        if layer["name"].endswith("_shortcut_conv_pool")
    }
    kept = [x for x in config["config"]["layers"] if x["name"] not in pools]
    for layer in kept:
        if pool := pools.get(f"{layer['name']}_pool"):
            layer["config"] |= {"strides": [2, 2], "padding": "valid"}
            layer["inbound_nodes"] = pool["inbound_nodes"]
    config["config"]["layers"] = kept
    return keras.saving.deserialize_keras_object(config)


@pytest.mark.parametrize("depth, stem", [(10, "small"), (50, "imagenet")])
def test_files_of_strided_shortcuts_give_the_same_features(tmp_path, depth, stem):
    new = kc.encoders.resnet(depth, 3, stem, (33, 33, 3))
    old = with_strided_shortcuts(new)
    assert unsafe_convolutions(old)[0] == "stage2_block1_shortcut_conv"
    rng = np.random.default_rng(0)
    old.set_weights([rng.uniform(0.05, 0.1, w.shape) for w in old.get_weights()])
    images = rng.integers(0, 256, (2, 33, 33, 3)).astype("uint8")
    expected = old(images)
    old.save(tmp_path / "old.keras")
    loaded = keras.models.load_model(tmp_path / "old.keras")
    np.testing.assert_array_equal(loaded(images), expected)
    new.set_weights(old.get_weights())
    np.testing.assert_allclose(new(images), expected, rtol=1e-6)
    old.save_weights(tmp_path / "old.weights.h5")
    again = kc.encoders.resnet(depth, 3, stem, (33, 33, 3))
    again.load_weights(tmp_path / "old.weights.h5")
    np.testing.assert_allclose(again(images), expected, rtol=1e-6)

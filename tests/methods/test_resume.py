"""A run that is killed and resumed equals one that was never interrupted."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from helpers import ALL, build, dataset, head, sgd, tiny, tiny_encoder

import keras_contrastive as kc

SCRIPT = """
import json, os, signal, sys
sys.path[:0] = {paths!r}
import keras, numpy as np
from helpers import arrays, build
import keras_contrastive as kc

name, folder, kill = sys.argv[1], sys.argv[2], sys.argv[3] == "kill"
(images, _), labels = arrays(32)
views = kc.data.views_from_arrays(
    images, labels, augmentation=kc.augmentations.simclr(8, blur=0.0),
    batch_size=8, seed=1,
)
model = build(name, num_classes=4)
model.compile(keras.optimizers.SGD(
    kc.optimizers.WarmupCosine(0.3, warmup_epochs=1), momentum=0.9), jit_compile=False)

class Kill(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
    def on_train_batch_end(self, batch, logs=None):
        if kill and self.epoch == 2 and batch == 1:
            os.kill(os.getpid(), signal.SIGKILL)

checkpoint = kc.callbacks.Checkpoint(folder + "/run.weights.h5")
history = model.fit(views, epochs=4, verbose=0, callbacks=[checkpoint, Kill()])
json.dump(history.history["loss"], open(folder + "/losses.json", "w"))
np.savez(folder + "/weights.npz", *[np.array(w) for w in model.weights])
"""


def run(name, folder, kill=""):
    here = os.path.dirname(__file__)
    script = SCRIPT.format(paths=[here, os.path.dirname(here)])
    folder.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-c", script, name, str(folder), kill],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", ["byol", "sce"])
def test_killed_and_resumed_equals_uninterrupted(name, tmp_path):
    whole = run(name, tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr[-2000:]
    killed = run(name, tmp_path / "killed", "kill")
    assert killed.returncode == -signal.SIGKILL
    resumed = run(name, tmp_path / "killed")
    assert resumed.returncode == 0, resumed.stderr[-2000:]
    losses = json.loads((tmp_path / "whole" / "losses.json").read_text())
    after = json.loads((tmp_path / "killed" / "losses.json").read_text())
    np.testing.assert_allclose(after, losses[2:], rtol=1e-5)
    a = np.load(tmp_path / "whole" / "weights.npz")
    b = np.load(tmp_path / "killed" / "weights.npz")
    for key in a.files:
        np.testing.assert_allclose(a[key], b[key], rtol=1e-5, atol=1e-6)


@ALL
def test_resume_in_one_process(name, tmp_path):
    def model():
        model = build(name, num_classes=4)
        model.compile(sgd())
        return model

    rules = []
    if tiny(name).target is not None:  # one epoch has another cosine than three
        rules = [kc.callbacks.MomentumUpdate(0.9, schedule="constant")]

    def fit(model, epochs):
        checkpoint = kc.callbacks.Checkpoint(tmp_path / "run.weights.h5")
        callbacks = [*rules, checkpoint]
        data = dataset(model)
        return model.fit(data, epochs=epochs, verbose=0, callbacks=callbacks)

    whole = model()
    data = dataset(whole)
    losses = whole.fit(data, epochs=3, verbose=0, callbacks=rules).history["loss"]
    fit(model(), 1)
    resumed = model()
    history = fit(resumed, 3)
    np.testing.assert_allclose(history.history["loss"], losses[1:], rtol=1e-5)
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    assert not fit(model(), 3).history.get("loss")  # finished: nothing is repeated


def test_checkpoint_of_another_model(tmp_path):
    path = tmp_path / "run.weights.h5"
    model = build("simclr")
    model.compile(sgd())
    model.fit(dataset(), verbose=0, callbacks=[kc.callbacks.Checkpoint(path)])
    other = build("byol")
    other.compile(sgd())
    with pytest.raises(ValueError, match="another model.*BYOL.*SimCLR"):
        other.fit(dataset(), verbose=0, callbacks=[kc.callbacks.Checkpoint(path)])
    wider = kc.SimCLR(tiny_encoder(width=7), head())
    wider.compile(sgd())
    before = wider.get_weights()
    with pytest.raises(ValueError, match="another model.*'parameters'"):
        wider.fit(dataset(), verbose=0, callbacks=[kc.callbacks.Checkpoint(path)])
    for a, b in zip(before, wider.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not list(tmp_path.glob(".partial*"))
    with pytest.raises(ValueError, match="weights.h5"):
        kc.callbacks.Checkpoint(tmp_path / "run.ckpt")

"""A run that is killed and resumed equals one that was never interrupted."""

import errno
import itertools
import os
import pathlib
import re
import signal
import subprocess
import sys

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import (
    KINDS,
    arrays,
    build,
    dataset,
    head,
    rule_of,
    sgd,
    started,
    tiny_encoder,
)

import keras_contrastive as kc

PATH = "run.weights.h5"


def train(name, folder, kill=False):
    """Train four epochs, or die in the third; return losses and weights.

    With clusters it dies between their making and the epoch, else in its second step.
    """
    model = build(name, num_classes=4)
    (images, _), labels = arrays(32)
    views = kc.data.views_from_arrays(
        images,
        labels,
        augmentation=kc.layers.Views([[kc.layers.RandomResizedCrop(8)]] * 2),
        batch_size=8,
        seed=1,
        with_ids=model.needs.ids,
    )
    clusters = [kc.callbacks.ClusterFeatures(images)] if name == "pcl" else []
    schedule = kc.optimizers.WarmupCosine(0.3, warmup_epochs=1)
    model.compile(keras.optimizers.SGD(schedule, momentum=0.9), jit_compile=False)

    class Kill(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch
            self.die(bool(clusters))

        def on_train_batch_end(self, batch, logs=None):
            self.die(batch == 1)

        def die(self, now):
            if kill and now and self.epoch == 2:
                os.kill(os.getpid(), signal.SIGKILL)

    checkpoint = kc.callbacks.Checkpoint(f"{folder}/{PATH}")
    callbacks = [checkpoint, *clusters, Kill()]
    history = model.fit(views, epochs=4, verbose=0, callbacks=callbacks)
    return history.history["loss"], model.get_weights()


@pytest.mark.parametrize("name", [pytest.param("byol", marks=pytest.mark.slow), "pcl"])
def test_killed_and_resumed_equals_uninterrupted(name, tmp_path):
    losses, weights = train(name, tmp_path / "whole")
    here = os.path.dirname(__file__)
    options = tf.config.optimizer.get_experimental_options()
    code = (
        f"import sys; sys.path[:0] = {[here, os.path.dirname(here)]!r}\n"
        f"import tensorflow as tf, test_resume\n"
        f"tf.config.optimizer.set_experimental_options({options!r})\n"
        f"test_resume.train({name!r}, {str(tmp_path)!r}, kill=True)"
    )
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    after, resumed = train(name, tmp_path)
    np.testing.assert_allclose(after, losses[2:], rtol=1e-5)
    for a, b in zip(weights, resumed, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@KINDS
def test_resume_in_one_process(name, tmp_path):
    """Interrupted after one of three epochs; what goes on had another seed."""

    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise InterruptedError

    def other_model():
        model = build(name, seed=1, num_classes=4)
        model.compile(sgd(), momentum_update=rule_of(model), run_eagerly=True)
        return model

    def fit(model, *callbacks):
        checkpoint = kc.callbacks.Checkpoint(tmp_path / PATH)
        data, callbacks = dataset(model, 16), [checkpoint, *callbacks]
        return model.fit(data, epochs=3, verbose=0, callbacks=callbacks).history

    whole = started(name)
    losses = whole.fit(dataset(whole, 16), epochs=3, verbose=0).history["loss"]
    weights = whole.get_weights()
    with pytest.raises(InterruptedError):
        fit(started(name), Interrupt())
    resumed = other_model()
    np.testing.assert_allclose(fit(resumed)["loss"], losses[1:], rtol=1e-5)
    for a, b in zip(weights, resumed.get_weights(), strict=True):
        # One is traced, one is not: float32 of unit vectors, on some CPUs 2e-6.
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=5e-6)
    assert not fit(other_model()).get("loss")  # finished: nothing is repeated


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
    assert [file.name for file in tmp_path.iterdir()] == ["run.weights.h5"]
    with pytest.raises(ValueError, match="weights.h5"):
        kc.callbacks.Checkpoint(tmp_path / "run.ckpt")


def compiled(optimizer=None, **options):
    model = kc.SimCLR(tiny_encoder(), head(), **options)
    model.compile(optimizer or sgd(), run_eagerly=True)  # few steps: no tracing
    return model


def fit(path, epochs=2, model=None, callbacks=(), data=None, **options):
    """Train with a checkpoint that is given first; return the model."""
    model = model or compiled()
    checkpoint = kc.callbacks.Checkpoint(path / PATH, **options)
    data = dataset() if data is None else data
    model.fit(data, epochs=epochs, verbose=0, callbacks=[checkpoint, *callbacks])
    return model


def said(capsys):
    return capsys.readouterr().out.strip()


def steps(model):
    return int(model.optimizer.iterations)


def test_what_is_found_is_said_in_one_line(tmp_path, capsys):
    fit(tmp_path)
    assert said(capsys) == ""
    fit(tmp_path)
    assert "this run has all its epochs (2); nothing is trained" in said(capsys)
    model = fit(tmp_path, epochs=3, data=dataset().take(3))
    assert steps(model) == 11
    line = said(capsys)
    assert line.startswith(f"{tmp_path / PATH}: going on after epoch 2 of 3. It had 2 ")
    assert "schedules are those of 3 epochs" in line and len(line.splitlines()) == 1
    assert "An epoch had 4 steps and has 3 now" in line
    model = fit(tmp_path, epochs=4, model=compiled(sgd(0.01)))
    changed = r"Changed since, and used now: optimizer.learning_rate: 0.05\d* -> 0.0\d+"
    assert re.search(changed, said(capsys))
    assert float(model.optimizer.learning_rate) == pytest.approx(0.01)


def test_an_extended_run_follows_the_longer_schedule(tmp_path, capsys):
    def model(bound=False):
        schedule = kc.optimizers.WarmupCosine(0.3, warmup_epochs=0)
        if bound:
            schedule = schedule.bind(batch_size=8, steps_per_epoch=4, epochs=2)
        return compiled(keras.optimizers.SGD(schedule))

    class Rates(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.rates = []

        def on_train_batch_end(self, batch, logs=None):
            self.rates.append(logs["learning_rate"])

    rates, whole = Rates(), Rates()
    fit(tmp_path, epochs=2, model=model())
    fit(tmp_path, epochs=4, model=model(), callbacks=[rates])
    assert "those of 4 epochs, the learning rate too" in said(capsys)
    model().fit(dataset(), epochs=4, verbose=0, callbacks=[whole])
    np.testing.assert_allclose(rates.rates, whole.rates[8:], rtol=1e-5)
    (tmp_path / PATH).unlink()
    fit(tmp_path, epochs=1, model=model(bound=True))
    fit(tmp_path, epochs=2, model=model(bound=True))
    assert "the learning rate has its own, which is at 0.00469 here" in said(capsys)
    with pytest.raises(ValueError, match="after epoch 2. .* up to epoch 3 it is 0"):
        fit(tmp_path, epochs=3, model=model(bound=True))


def test_a_stopped_run_is_finished_and_holds_the_best_weights(tmp_path, capsys):
    def stop():
        return keras.callbacks.EarlyStopping("loss", mode="max", patience=1)

    best = keras.callbacks.EarlyStopping(
        "loss", mode="max", patience=1, restore_best_weights=True
    )
    first = fit(tmp_path, epochs=20, callbacks=[best], every=5)
    assert steps(first) == 8  # and the file is there, although 5 epochs are not
    again = fit(tmp_path, epochs=20, callbacks=[stop()], every=5)
    assert "a callback has stopped this run after 2 of 20 epochs; nothing" in said(
        capsys
    )
    for a, b in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert steps(fit(tmp_path, epochs=21, callbacks=[stop()], every=5)) > 8


def test_a_checkpoint_with_other_settings_is_refused_by_name(tmp_path):
    fit(tmp_path)
    with pytest.raises(ValueError, match="differs in .*temperature: 0.1 -> 0.2"):
        fit(tmp_path, model=compiled(temperature=0.2))
    with pytest.raises(ValueError, match="'optimizer': 'Adam'.*'optimizer': 'SGD'"):
        fit(tmp_path, model=compiled(keras.optimizers.Adam()))
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(6, 3, strides=2, use_bias=False, activation="tanh")(x)
    x = keras.layers.BatchNormalization(momentum=0.9, synchronized=True)(x)
    outputs = keras.layers.GlobalAveragePooling2D(dtype="float32")(
        keras.layers.ReLU()(x)
    )
    model = kc.SimCLR(keras.Model(inputs, outputs), head())
    model.compile(sgd(), jit_compile=False)
    before = model.get_weights()
    with pytest.raises(ValueError, match="activation: linear -> tanh"):
        fit(tmp_path, model=model)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_damaged_checkpoints_are_refused_and_old_ones_load(tmp_path):
    model = fit(tmp_path)
    good = (tmp_path / PATH).read_bytes()
    rng = np.random.default_rng(0)
    places = [*rng.integers(0, len(good), 20), len(good) - 1, len(good) - 80]
    for place in places:
        damaged = bytearray(good)
        damaged[place] ^= 1 << int(rng.integers(8))
        (tmp_path / PATH).write_bytes(damaged)
        with pytest.raises(
            ValueError, match=f"{PATH} is damaged: .*delete it to start"
        ):
            fit(tmp_path)
    (tmp_path / PATH).write_bytes(good[: len(good) // 2])
    with pytest.raises(ValueError, match=f"{PATH} is damaged"):
        fit(tmp_path)
    # One from before there were checksums and settings.
    (tmp_path / PATH).write_bytes(good[:-89])
    with h5py.File(tmp_path / PATH, "a") as file:
        del file["keras_contrastive"]
    old = fit(tmp_path)
    for a, b in zip(model.get_weights(), old.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    other = compiled()
    other.load_weights(tmp_path / PATH)  # a file of Keras's all the same


def test_two_processes_do_not_train_one_run(tmp_path):
    class Second(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            fit(tmp_path)

    message = f"training that is running: process {os.getpid()} on host .*another"
    with pytest.raises(RuntimeError, match=message):
        fit(tmp_path, callbacks=[Second()])
    # A lock dies with its process, and its file stays.
    (tmp_path / f".lock-{PATH}").write_text("process 1 on host of-old")
    fit(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [PATH]
    with pytest.raises(ZeroDivisionError):
        fit(tmp_path, epochs=3, callbacks=[_Raises()])
    fit(tmp_path, epochs=3)  # and that of a run that ended with an error


class _Raises(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise ZeroDivisionError


def test_a_full_disk_leaves_the_last_state(tmp_path, monkeypatch):
    fit(tmp_path)
    before = (tmp_path / PATH).read_bytes()

    def full(self, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pathlib.Path, "write_bytes", full)
    with pytest.raises(OSError, match=f"{PATH}' needs .* bytes: No space left"):
        fit(tmp_path, epochs=3)
    assert (tmp_path / PATH).read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [PATH]


def test_weights_that_do_not_fit_change_nothing(tmp_path):
    narrow = compiled()
    narrow.fit(dataset(), verbose=0)
    narrow.save_weights(tmp_path / "narrow.weights.h5")
    wide = kc.SimCLR(tiny_encoder(), kc.layers.ProjectionHead(5, hidden_units=8))
    wide.compile(sgd(), jit_compile=False)
    wide.build_optimizer()
    state = [*wide.weights, *wide.optimizer.variables]
    before = [np.array(v) for v in state]
    with pytest.raises(ValueError):
        wide.load_weights(tmp_path / "narrow.weights.h5")
    for a, b in zip(before, state, strict=True):
        np.testing.assert_array_equal(a, b)


def test_data_that_raises_is_quoted_and_the_checkpoint_stands(tmp_path):
    def images(fails):
        for i in range(32):
            if i == fails:
                raise OSError(f"cannot open photo-{i}.jpg")
            yield np.full((8, 8, 3), 8 * i, "float32")

    def views(fails):
        spec = tf.TensorSpec((8, 8, 3), tf.float32)
        data = tf.data.Dataset.from_generator(
            lambda: images(fails), output_signature=spec
        )
        data = data.map(lambda x: ((x, x[::-1]),)).batch(8, drop_remainder=True)
        return data.apply(tf.data.experimental.assert_cardinality(4))

    fit(tmp_path, epochs=1, data=views(None))
    message = (
        "ended with an error in epoch 2, after step 2: OSError: cannot open "
        r"photo-20.jpg .*test_resume.py, line \d+, in images.*run.weights.h5 holds the "
        "state after epoch 1"
    )
    with pytest.raises(RuntimeError, match=message):
        fit(tmp_path, epochs=2, data=views(20))

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 4

        def __getitem__(self, index):
            batch = np.stack(
                list(itertools.islice(images(20), 8 * index, 8 * index + 8))
            )
            return ((batch, batch),)

    message = r"epoch 1, after step 4: OSError: cannot open photo-20.jpg \(.*No state"
    with pytest.raises(RuntimeError, match=message):
        compiled().fit(dataset(), validation_data=Batches(), verbose=0)
    with pytest.raises(RuntimeError, match="error: OSError: cannot open photo-20.jpg "):
        compiled().evaluate(Batches(), verbose=0)

    path = str(tmp_path / "own.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        for image in images(None):
            writer.write(image.tobytes())
    content = bytearray(pathlib.Path(path).read_bytes())
    content[len(content) * 2 // 3] ^= 4
    pathlib.Path(path).write_bytes(content)
    data = tf.data.TFRecordDataset([path])
    data = data.map(lambda x: tf.reshape(tf.io.decode_raw(x, tf.float32), (8, 8, 3)))
    data = data.map(lambda x: ((x, x[::-1]),)).batch(8, drop_remainder=True)
    message = "corrupted record at .*own.tfrecord.*No state was saved"
    with pytest.raises(RuntimeError, match=message):
        compiled().fit(data, verbose=0)

    folder = tmp_path / "photos"
    folder.mkdir()
    for i, image in enumerate(images(None)):
        keras.utils.save_img(folder / f"{i:02}.png", image, scale=False)
    (folder / "20.png").write_bytes(b"no image")
    data = kc.data.views_from_directory(
        folder,
        augmentation=kc.layers.Views([[kc.layers.RandomResizedCrop(8)]] * 2),
        batch_size=8,
        on_error="raise",
        shuffle=False,
    )
    with pytest.raises(RuntimeError, match="Cannot read an image of .*20.png: "):
        compiled().fit(data, verbose=0)

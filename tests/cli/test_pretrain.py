"""`pretrain`, small: it trains, goes on, and refuses another run's folder."""

import csv
import json
import pathlib
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

import keras_contrastive as kc
from keras_contrastive.cli import pretrain
from keras_contrastive.cli.main import UsageError, run
from keras_contrastive.cli.run_folder import History, start_or_go_on

FLAGS = ("--dataset=photos", "--size=16", "--width=4", "--batch_size=8", "--crop=12")


def tiny_encoder(depth, width, input_shape, norm=None):
    """One convolution in the place of a ResNet, which is traced and saved slowly."""
    images = keras.Input(input_shape, name="images")
    x = keras.layers.Rescaling(1 / 255, name="rescaling")(images)
    x = keras.layers.Conv2D(width, 4, strides=4, name="conv")(x)
    x = kc.layers.SyncBatchNormalization(name="norm")(x)
    x = keras.layers.ReLU(name="relu")(x)
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(images, x, name="tiny")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretrain")
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 16, 3), "uint8")
    for kind in ("photos/a", "photos/b", "flat"):
        (folder / kind).mkdir(parents=True)
    for i, image in enumerate(pixels):
        keras.utils.save_img(
            folder / "photos" / "ab"[i % 2] / f"{i}.png", image, scale=False
        )
    keras.utils.save_img(folder / "flat" / "0.png", pixels[0], scale=False)
    tfds.dataset_builders.TfDataBuilder(
        name="tiny",
        version="1.0.0",
        split_datasets={
            "train": tf.data.Dataset.from_tensor_slices(
                {"image": pixels, "label": np.arange(16) % 2}
            )
        },
        features=tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(16, 16, 3)),
                "label": tfds.features.ClassLabel(num_classes=2),
            }
        ),
        data_dir=folder / "tfds",
    ).download_and_prepare()
    return folder


@pytest.fixture
def main(folder, monkeypatch):
    """A function: run the command within this process."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(folder / "tfds"))
    monkeypatch.setattr(kc.encoders, "resnet", tiny_encoder)
    return lambda *arguments: run(["pretrain", *FLAGS, *arguments])


def parse(*arguments):
    """Give the command its flags, and do nothing."""
    pretrain.FLAGS.unparse_flags()
    pretrain.FLAGS(["pretrain", *arguments])


def test_a_run_goes_on_and_ends_as_a_preset(folder, main, monkeypatch, capsys):
    flags = ("--recipe=byol_small", "--epochs=2")
    main(*flags)
    # Its own labelled images, and no others.
    assert "photos: kNN" in capsys.readouterr().out
    output = folder / "runs" / "byol_resnet10_photos"
    preset = kc.from_preset(output / output.name)
    encoder = keras.models.load_model(output / "encoder.keras")
    images = np.zeros((1, 16, 16, 3), "uint8")
    # The preset's kernels are float16 on disk.
    np.testing.assert_allclose(preset(images), encoder(images), rtol=0.05, atol=0.05)
    metrics = kc.zoo.describe(output / output.name)["metrics"]
    assert {*metrics} == {"photos"}
    assert metrics["photos"]["protocol"]["train_images"] == 14
    assert metrics["photos"]["protocol"]["test_images"] == 2
    again = kc.zoo.measure(preset, folder / "photos")
    assert again["knn"] == metrics["photos"]["knn"]
    # As if it had been killed after the last epoch.
    (output / "encoder.keras").unlink()
    sample = [(x[:300], y[:300]) for x, y in kc.data.load_sample()]
    monkeypatch.setitem(kc.zoo.measure.__globals__, "load_sample", lambda: sample)
    main(*flags, "--note=Twice", "--measure=flat,sample")
    said = capsys.readouterr().out
    assert "flat: no accuracy. A folder to measure on must" in said
    with (output / "history.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2"]
    again = keras.models.load_model(output / "encoder.keras")
    np.testing.assert_array_equal(again(images), encoder(images))
    about = kc.zoo.describe(output / output.name)
    assert about["note"] == "Twice" and about["minutes"] >= 0
    assert {*about["metrics"]} == {"sample", "photos"}  # the weights are the same


def test_a_run_that_diverges_goes_on_with_a_lower_learning_rate(folder, main, capsys):
    flags = ("--epochs=3", "--output=diverged", "--measure=")
    with pytest.raises(FloatingPointError) as refused:
        main("--learning_rate=1e12", *flags)
    last = str(refused.value)
    assert "of epoch" in last and "has diverged" in last and "learning rate" in last
    # Huge weights are as bad: with them no learning rate would help.
    assert "checkpoint.weights.h5 holds no state of this run yet" in last
    assert "Lower --learning_rate to go on from there, or give another --out" in last
    output = folder / "diverged"
    left = {path.name for path in output.iterdir()}
    assert left <= {"run.json", "history.csv", "checkpoint.weights.h5"}
    main("--learning_rate=1e-3", *flags)
    said = capsys.readouterr().out
    assert "other flags: learning_rate: 1000000000000.0 -> 0.001." in said
    with (output / "history.csv").open() as file:
        epochs = [row["epoch"] for row in csv.DictReader(file)]
    assert epochs == ["1", "2", "3"]
    command = kc.zoo.describe(output / "simclr_resnet10_photos")["command"]
    assert re.fullmatch(
        ".* pretrain .*rate=1000000000000.0.*, then .* pretrain .*rate=0.001.*", command
    )


def test_flags_of_a_run_that_is_there(tmp_path, capsys):
    def start(*flags):
        parse("--epochs=5", *flags)
        now = pretrain.FLAGS.flag_values_dict()
        defaults = {name: pretrain.FLAGS[name].default for name in pretrain.FLAGS}
        return start_or_go_on(tmp_path, pretrain.command(), now, defaults)

    first = start("--learning_rate=0.1")
    assert start("--learning_rate=0.1", "--note=Twice") == first
    assert capsys.readouterr().out == ""
    longer = start("--learning_rate=0.2", "--epochs=7")
    assert (
        "flags: epochs: 5 -> 7; learning_rate: 0.1 -> 0.2." in capsys.readouterr().out
    )
    for given, words in {
        ("--epochs=7",): "learning_rate: 0.2 -> None",
        ("--learning_rate=0.2", "--epochs=7", "--model=temperature=0.3"): "model: ",
        ("--learning_rate=0.2", "--epochs=6"): "epochs: 7 -> 6",
    }.items():
        with pytest.raises(ValueError, match=f"{words}.*another --output"):
            start(*given)
    assert start("--learning_rate=0.2", "--epochs=7") == longer
    del longer["flags"]["head"]  # of a version that had no such flag
    (tmp_path / "run.json").write_text(json.dumps(longer))
    assert start("--learning_rate=0.2", "--epochs=7") == longer


def test_history_after_a_kill(tmp_path, capsys):
    history = History(tmp_path / "history.csv", images=10)
    history.set_params({"epochs": 6})

    def rows(epochs, **logs):
        for epoch in epochs:
            history.on_epoch_begin(epoch)
            history.on_epoch_end(epoch, {"loss": 1.5, **logs})
        with history.path.open(newline="") as file:
            return list(csv.DictReader(file))

    rows(range(4))
    with history.path.open("a") as file:
        file.write("5,0.")  # as one was torn by a kill
    # The checkpoint holds two epochs.
    found = rows([2, 3, 4], val_loss=2.5)
    assert [row["epoch"] for row in found] == ["1", "2", "3", "4", "5"]
    assert [row["val_loss"] for row in found] == ["", "", "2.5", "2.5", "2.5"]
    assert history.minutes(epochs=600) == 0
    assert " images/s, 0.0 min to go" in capsys.readouterr().out


def test_what_is_measured_on(folder, main, capsys):
    def measured_on(*arguments):
        parse(*arguments)
        return pretrain.measured_on()

    photos = pathlib.Path("photos")
    assert measured_on() == ["sample"]
    assert measured_on("--dataset=tiny") == ["tiny"]
    assert measured_on("--dataset=photos/") == [photos]
    assert measured_on("--dataset=photos", "--measure=") == []
    assert capsys.readouterr().out == ""
    # What a method has learned by heart is no test of it.
    labelled = ("--recipe=supcon_small", "--dataset=photos")
    assert measured_on(*labelled) == []
    assert "photos: no accuracy. --recipe=supcon" in capsys.readouterr().out
    assert measured_on(*labelled, "--measure=flat") == [pathlib.Path("flat")]
    for part in ("train", "test"):
        (folder / "parts" / part).mkdir(parents=True)
    assert measured_on("--recipe=supcon_small", "--dataset=parts") == [
        pathlib.Path("parts")
    ]


@pytest.mark.parametrize(
    "flag, message",
    [("--model=temperature", "NAME=VALUE"), ("--policy=blur=a b", "NAME=VALUE")],
)
def test_flags_that_are_no_arguments(flag, message):
    parse(flag)
    with pytest.raises(UsageError, match=message):
        pretrain.changes(pretrain._MODEL), pretrain.changes(pretrain._POLICY)


def test_micro_batches_fill_a_batch(folder, main):
    with pytest.raises(ValueError, match="`micro_batch_size` must divide the batch"):
        main("--recipe=vicreg_small", "--micro_batch_size=3")
    assert not (folder / "runs" / "vicreg_resnet10_photos").exists()


def test_supervised_needs_the_number_of_classes(folder, main):
    with pytest.raises(UsageError, match="Give --num_classes=N"):
        main("--recipe=supervised")
    # What is refused is no run: the flags may be mended.
    assert not (folder / "runs" / "supervised_resnet10_photos").exists()


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(
            ("--recipe=sce_small", "--policy=blur=0.1", "--model=symmetric=True"),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ("--recipe=supervised", "--num_classes=2", "--encoder=vit", "--depth=1"),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ("--recipe=pirl_small", "--model=num_negatives=4", "--crop=16"),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ("--recipe=cmc_small", "--model=num_negatives=4"), marks=pytest.mark.slow
        ),
        (
            *("--recipe=cpc_small", "--model=offsets=[1]", "--labelled=photos"),
            "--micro_batch_size=4",
        ),
    ],
)
def test_methods_on_a_data_set_of_tfds(folder, main, flags):
    main("--dataset=tiny", "--cache", "--epochs=1", "--measure=", "--patch=4", *flags)
    short = flags[0].removeprefix("--recipe=").rsplit("_", 1)[0]
    networks = {"supervised": "vit1", "cmc": "color10", "cpc": "patches10"}
    name = f"{short}_{networks.get(short, 'resnet10')}_tiny"
    about = kc.zoo.describe(folder / "runs" / name / name)
    assert about["data"] == "tiny, train"
    best = folder / "runs" / name / "best.keras"
    assert best.exists() == ("--labelled=photos" in flags)
    assert about["command"].startswith("keras-contrastive pretrain ")
    assert all(flag in about["command"] for flag in flags)

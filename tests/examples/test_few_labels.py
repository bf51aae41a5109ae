"""The examples of the zoo, small, within this process."""

import json
import pathlib

import keras
import pytest
import tensorflow as tf

import keras_contrastive as kc

pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")
EXAMPLES = pathlib.Path(__file__).parent.parent.parent / "examples"


@pytest.fixture
def run(tmp_path, load_script):
    """A function: run an example with flags of its own, for this call only."""
    images = keras.Input((28, 28, 1))
    x = keras.layers.Conv2D(4, 5, strides=4, activation="relu")(images)
    features = keras.layers.GlobalAveragePooling2D()(x)
    keras.Model(images, features).save(tmp_path / "encoder.keras")

    def run(name, *arguments):
        script, parse = load_script(EXAMPLES / f"{name}.py")
        parse(*arguments, f"--output={tmp_path / 'run'}")
        script.main([name])
        return tmp_path / "run"

    return run


def test_few_labels_prints_saves_and_plots(run, tmp_path, capsys):
    output = run(
        "few_labels",
        f"--encoder={tmp_path / 'encoder.keras'}",
        "--fractions=0.001,0.002",
        "--fine_tune=0.001",  # one label of each class: no learning rate to choose
        "--draws=2",
        "--steps=2",
        "--epochs=0.01",
        "--noflip",
    )
    table = json.loads((output / "few_labels.json").read_text())
    assert [s["labels"] for s in table["scores"]] == [10] * 4 + [20] * 2
    assert all(len(s["accuracies"]) == 2 for s in table["scores"])
    crop = table["protocol"]["fine_tuning"]["augmentation"]
    assert crop.startswith("RandomResizedCrop(")
    assert crop.endswith("flip_probability=0)")
    assert (output / "few_labels.png").stat().st_size > 5_000
    assert "0.1 % (10)" in capsys.readouterr().out


@pytest.mark.slow
def test_few_labels_of_a_folder(run, tmp_path):
    (images, labels), _ = kc.data.load_sample()
    for part, first in (("train", 0), ("test", 60)):
        for i in range(first, first + 60):
            path = tmp_path / part / f"{labels[i]}" / f"{i}.png"
            tf.io.write_file(str(path), tf.io.encode_png(images[i]))
    flags = (f"--encoder={tmp_path / 'encoder.keras'}", "--fractions=1", "--fine_tune=")
    # A fifth of each class folder is held out, or the folder test is taken.
    for folder, test_images in ((tmp_path / "train", 10), (tmp_path, 60)):
        output = run("few_labels", *flags, f"--dataset={folder}")
        protocol = json.loads((output / "few_labels.json").read_text())["protocol"]
        assert protocol["test_images"] == test_images
    tf.io.write_file(str(tmp_path / "flat" / "0.png"), tf.io.encode_png(images[0]))
    with pytest.raises(SystemExit, match="must hold one folder of images for each"):
        run("few_labels", *flags, f"--dataset={tmp_path / 'flat'}")


def test_few_labels_are_recorded_in_a_preset(run, tmp_path):
    encoder = keras.models.load_model(tmp_path / "encoder.keras")
    preset = kc.save_to_preset(encoder, tmp_path / "preset", metrics={"sample": {}})
    few = ("--fractions=0.001,0.01", "--draws=2", "--fine_tune=")
    flags = (f"--encoder={preset}", *few)
    output = run("few_labels", *flags, f"--into={preset}")
    table = json.loads((output / "few_labels.json").read_text())
    assert [s["measure"] for s in table["scores"]] == ["raw pixels", "linear"] * 2
    assert kc.zoo.describe(preset)["metrics"]["sample"]["few_labels"] == table
    file = output / "few_labels.json"
    table["scores"][0]["accuracies"] = [0.0] * 2
    file.write_text(json.dumps(table))
    again = run("few_labels", *flags, f"--baseline={file}")
    table = json.loads((again / "few_labels.json").read_text())
    assert table["scores"][0]["accuracies"] == [0.0] * 2


def test_fine_tuned_classifier_is_kept(run, tmp_path, capsys):
    output = run(
        "fine_tune_from_zoo",
        f"--preset={tmp_path / 'encoder.keras'}",
        "--labels=10",
        "--steps=2",
    )
    said = capsys.readouterr().out
    assert "fine-tuned" in said and "from scratch" in said
    classifier = keras.models.load_model(output / "classifier.keras")
    assert classifier.output_shape == (None, 10)

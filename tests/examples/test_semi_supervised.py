"""`examples/semi_supervised.py`, small: all stages, and the same command again."""

import json
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_contrastive as kc

EXAMPLE = pathlib.Path(__file__).parents[2] / "examples" / "semi_supervised.py"
SMALL = ("--labels=0.1", "--epochs=1", "--distil_epochs=1", "--steps=2")


def tiny_encoder(depth, width, input_shape):
    images = keras.Input(input_shape)
    x = keras.layers.Rescaling(1 / 255)(images)
    x = keras.layers.Conv2D(width, 7, strides=7)(x)
    return keras.Model(images, keras.layers.GlobalMaxPooling2D()(x))


def test_all_stages_and_the_same_command_again(
    tmp_path, monkeypatch, capsys, load_script
):
    sample = [tuple(part[:128] for part in split) for split in kc.data.load_sample()]
    exported = []

    def to_tflite(model, path, variant, representative_images):
        exported.append((model, variant, representative_images))
        path.write_bytes(b"file")
        return path

    monkeypatch.setattr(kc.data, "load_sample", lambda: sample)
    monkeypatch.setattr(kc.encoders, "resnet", tiny_encoder)
    monkeypatch.setattr(kc.export, "to_tflite", to_tflite)
    monkeypatch.setattr(keras.Model, "compile", eager(keras.Model.compile))
    monkeypatch.setattr(kc.evaluation, "extract_features", lambda m, x: np.array(m(x)))
    monkeypatch.setattr(kc.evaluation.FineTuning, "fit", untrained)
    monkeypatch.setattr(kc.data, "views_from_arrays", pairs)
    script, parse = load_script(EXAMPLE)
    flags = (*SMALL, "--learning_rates=0.01", f"--output={tmp_path}")
    parse(*flags)
    script.main([])
    said = capsys.readouterr().out
    assert "13 of 128 images have a label" in said
    rows = json.loads((tmp_path / "result.json").read_text())["stages"]
    assert [row["stage"] for row in rows] == [
        "small network, from scratch",
        "from scratch",
        "fine-tuned from the feature",
        "fine-tuned mid-head",
        "self-distilled",
        "distilled, small",
    ]
    sizes = {row["stage"]: row["parameters"] for row in rows}
    assert sizes["fine-tuned mid-head"] == sizes["self-distilled"]
    assert sizes["distilled, small"] == sizes["small network, from scratch"]
    assert sizes["distilled, small"] < sizes["from scratch"]
    # What is exported is the student, for images of one size.
    ((model, variant, images),) = exported
    assert variant == "int8" and len(images) > 100
    student = keras.models.load_model(tmp_path / "distilled_small.keras")
    assert model.input_shape == (None, 28, 28, 1)
    np.testing.assert_array_equal(model(images[:3]), student(images[:3]))
    # Nothing is trained again, and a run with other flags is not mixed with this one.
    monkeypatch.setattr(kc.evaluation.FineTuning, "fit", None)
    script.main([])
    assert json.loads((tmp_path / "result.json").read_text())["stages"] == rows
    parse(*flags, "--epochs=2")
    with pytest.raises(SystemExit, match="another --output"):
        script.main([])


# What takes long and is tested elsewhere: tracing, the protocol, the augmentation.


def eager(compile):
    return lambda self, *args, **kwargs: compile(
        self, *args, **{**kwargs, "run_eagerly": True}
    )


def untrained(
    protocol, network, images, labels, from_scratch=False, seed=0, head_layers=0
):
    assert protocol.steps == 2 and len(images) == len(labels) == 13
    return kc.evaluation.build_classifier(network, 10, head_layers=head_layers)


def pairs(images, augmentation, batch_size, seed):
    assert len(augmentation(images[:2])) in (1, 2)
    views = (images.astype("float32"),) * 2
    return tf.data.Dataset.from_tensor_slices((views,)).batch(batch_size)

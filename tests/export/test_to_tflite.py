import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_contrastive import encoders, export
from keras_contrastive.data import load_sample

pytest.importorskip("ai_edge_litert", reason="needs ai-edge-litert")

SIZES = {"float32": 1.05, "float16": 0.6, "dynamic": 0.4, "int8": 0.4}


@pytest.fixture(scope="module")
def representative():
    return load_sample()[0][0][:100]


@pytest.fixture(scope="module")
def folder(encoder, representative, tmp_path_factory):
    """All four variants."""
    folder = tmp_path_factory.mktemp("lite")
    for variant in SIZES:
        given = representative if variant == "int8" else None
        path = export.to_tflite(encoder, folder, variant, given)
        assert path.name == f"{encoder.name}_{variant}.tflite"
    return folder


def path_of(folder, encoder, variant):
    return folder / f"{encoder.name}_{variant}.tflite"


def test_variants(folder, encoder, images):
    for variant, size in SIZES.items():
        path = path_of(folder, encoder, variant)
        report = export.verify(path, encoder, images, repeats=0)
        assert report.kind == variant
        assert report.passed, str(report)
        # A file of this small network is a tenth structure; the README has a real one.
        assert report.size_bytes < (size + 0.1) * 4 * encoder.count_params()
        if variant != "float32":
            error = report.differences["features"]["mean_error"]
            assert error > 1e-6  # it is quantised


def test_an_encoder_of_patches(images, tmp_path):
    patch = encoders.resnet(
        10, 4, input_shape=(8, 8, 1), norm=keras.layers.LayerNormalization
    )
    encoder = encoders.of_patches(patch, 4, (28, 28, 1))
    path = export.to_tflite(encoder, tmp_path)
    report = export.verify(path, encoder, images[:32], repeats=0)
    assert report.passed, str(report)


def test_manifest(folder, encoder):
    artefacts = json.loads((folder / "manifest.json").read_text())["artefacts"]
    assert len(artefacts) == 4
    assert sorted(x.name for x in folder.iterdir()) == sorted(
        [*artefacts, "manifest.json"]
    )
    int8 = artefacts[f"{encoder.name}_int8.tflite"]
    assert int8["input"]["dtype"] == "uint8" and int8["output"]["dtype"] == "int8"
    assert int8["input"]["scale"] == 1 and int8["input"]["zero_point"] == 0
    assert int8["output"]["scale"] > 0
    float32 = artefacts[f"{encoder.name}_float32.tflite"]
    assert float32["input"]["shape"] == ["batch", 28, 28, 1]
    assert float32["output"]["shape"] == ["batch", 64]
    for entry in artefacts.values():
        assert not any("Flex" in x or "CUSTOM" in x for x in entry["operations"])


def test_fixed_batch_and_int8_input(encoder, images, representative, tmp_path):
    path = tmp_path / "fixed.tflite"
    export.to_tflite(
        encoder, path, "int8", representative, batch_size=1, input_dtype="int8"
    )
    entry = json.loads((tmp_path / "manifest.json").read_text())["artefacts"][path.name]
    assert entry["input"]["shape"] == [1, 28, 28, 1]
    assert entry["input"]["dtype"] == "int8" and entry["input"]["zero_point"] == -128
    assert export.verify(path, encoder, images[:64], repeats=0).passed


def test_of_another_encoder_fails_its_gate(folder, encoder, make_encoder, images):
    report = export.verify(
        path_of(folder, encoder, "float32"), make_encoder(1), images, repeats=2
    )
    assert not report.passed
    assert "mean cosine" in report.failures[0]
    assert [(x["batch_size"], x["threads"]) for x in report.latency] == [
        (1, 1),
        (32, 1),
        (1, 2),
        (32, 2),
    ]
    assert "FAILED" in str(report)
    assert json.loads(report.to_json())["passed"] is False


@pytest.mark.parametrize(
    "change, error, message",
    [
        (lambda x: None, ValueError, "are required for variant=.int8."),
        (lambda x: x * 0 + 7, ValueError, "constant ones, every pixel is 7"),
        (lambda x: x / 255, ValueError, "scaled to .0, 1.. Multiply by 255"),
        (lambda x: x / 64 - 2, ValueError, "must be in .0, 255..*from -2"),
        (lambda x: x[..., 0], ValueError, "Received: images of shape .100, 28, 28"),
        # In range and too dark: the parity gate finds it.
        (lambda x: x // 20, RuntimeError, "values from 0 to 12; they must be like"),
    ],
)
def test_bad_representative_images(
    encoder, representative, tmp_path, change, error, message
):
    with pytest.raises(error, match=message):
        export.to_tflite(encoder, tmp_path / "x.tflite", "int8", change(representative))
    assert list(tmp_path.iterdir()) == []


def test_wrong_arguments(encoder, tmp_path):
    with pytest.raises(ValueError, match="`variant` must be one of.*variant='int4'"):
        export.to_tflite(encoder, tmp_path, "int4")
    with pytest.raises(ValueError, match="`input_dtype` must be.*'float32'"):
        export.to_tflite(encoder, tmp_path, input_dtype="float32")


def test_built_in_operations_only(tmp_path):
    @keras.saving.register_keras_serializable(package="test_to_tflite")
    class Erfinv(keras.layers.Layer):  # TF-Lite has no such operation
        def call(self, x):
            return tf.math.erfinv(tf.tanh(x))

    inputs = keras.Input((8, 8, 1))
    x = Erfinv()(keras.layers.GlobalAveragePooling2D()(inputs))
    with pytest.raises(ValueError, match="built-in operations alone"):
        export.to_tflite(keras.Model(inputs, x), tmp_path / "x.tflite")
    assert list(tmp_path.iterdir()) == []


def test_constant_images_are_left_out_of_the_stretched():
    from importlib import import_module

    module = import_module("keras_contrastive.export.to_tflite")
    images = np.zeros((2, 2, 2, 1))
    images[1, 0] = 10
    stretched = module._stretched(images)
    assert stretched.shape == (1, 2, 2, 1)
    assert stretched.min() == 0 and stretched.max() == 255

"""Encoder to OpenVINO's format, where its package is installed."""

import pathlib

import keras

from keras_contrastive import files
from keras_contrastive.distribute import outside_strategy
from keras_contrastive.export import clean_process, parity, reference, version_folder
from keras_contrastive.export.description import input_and_output
from keras_contrastive.export.file_manifest import describe_file
from keras_contrastive.export.output import kind, output_name
from keras_contrastive.export.rebuild import float32_encoder

MODEL = "model.xml"


def to_openvino(
    encoder: keras.Model, path, images=None, version: int | None = None
) -> pathlib.Path:
    """Export an encoder for OpenVINO, by `model.export(format="openvino")`.

    Input `images`, float32 in [0, 255] with any batch size; output `features` (of a
    classifier `logits` or `probabilities`, see `to_saved_model`). Weights stay float32.
    `path` is a base folder of numbered versions, as OpenVINO Model Server reads it:
    `path/1/model.xml` and `model.bin`. Both are run by OpenVINO alone in a new process
    and compared with the encoder before they are put in place; `manifest.json` beside
    them describes them.

    Image files are the caller's to decode, as with `to_onnx`. On CPUs with bfloat16
    OpenVINO computes in it unless a model is compiled with
    `{"INFERENCE_PRECISION_HINT": "f32"}`, as it is here to be compared.

    Args:
        encoder: An encoder as for `to_saved_model`, with a fixed image size.
        path: The base folder, new or with versions.
        images: Real images to compare on; by default synthetic ones.
        version: Number of the version folder; by default one more than the highest.

    Returns:
        `path/<version>`.

    Raises:
        TypeError: `encoder` is not a model.
        ValueError: It is not an encoder, or its image size is open; `path` is no base
            folder; `version` is taken.
        RuntimeError: The features differ from the encoder's; nothing is left behind.
        ImportError: openvino is missing.

    Example:
        kc.export.to_openvino(encoder, "models/birds")  # models/birds/1
    """
    try:
        import openvino
    except ImportError as error:
        raise ImportError(
            "The OpenVINO export needs openvino: "
            'pip install "keras-contrastive[openvino]"'
        ) from error
    base = version_folder.check_base(path)
    version_folder.check_version(base, version)
    encoder = float32_encoder(encoder)
    shape = tuple(encoder.inputs[0].shape[1:])
    if None in shape:
        raise ValueError(
            "The OpenVINO export wants a fixed image size. Received: an encoder with "
            f"input {shape}. Build it with a fixed `input_shape` and copy the weights."
        )
    if images is None:
        images = reference.synthetic_images(shape)
    images = reference.check_images(encoder, images)
    expected = reference.reference_features(encoder, images)
    num_bytes = 4 * encoder.count_params()
    with files.scratch_folder(num_bytes) as scratch:
        file = f"{scratch}/{MODEL}"
        outside_strategy(lambda: encoder.export(file, format="openvino", verbose=False))
        model = openvino.Core().read_model(file)
        model.inputs[0].get_tensor().set_names({"images"})
        model.outputs[0].get_tensor().set_names({output_name(encoder)})
        with files.full_disk(base, num_bytes), files.temporary_sibling(base) as folder:
            openvino.save_model(model, folder / MODEL, compress_to_fp16=False)
            del model  # it maps the weights' file
            outputs, facts = clean_process.run("openvino", folder / MODEL, images)
            differences = parity.compare(expected, outputs["features"])
            failures = parity.file_failures("openvino", differences)
            if failures:
                raise RuntimeError(
                    f"The OpenVINO model does not give the {kind(encoder)}'s "
                    f"{output_name(encoder)} and is not kept: {'; '.join(failures)}."
                )
            facts.pop("latency")
            about = input_and_output(encoder, shape[:2])
            about = {"format": "openvino", **about, **facts, "parity": differences}
            describe_file(folder / MODEL, about, "openvino")
            return version_folder.publish(folder, base, version)

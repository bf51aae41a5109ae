"""Encoder to ONNX, where its packages are installed."""

import pathlib

import keras
import numpy as np

from keras_contrastive import files
from keras_contrastive.distribute import outside_strategy
from keras_contrastive.export import clean_process, parity, reference
from keras_contrastive.export.description import input_and_output
from keras_contrastive.export.file_manifest import describe_file
from keras_contrastive.export.output import kind, output_name
from keras_contrastive.export.rebuild import float32_encoder


def to_onnx(encoder: keras.Model, path, images=None) -> pathlib.Path:
    """Export an encoder as an ONNX file, by `model.export(format="onnx")`.

    Input `images`, float32 in [0, 255] with any batch size; output `features` (of a
    classifier `logits` or `probabilities`, see `to_saved_model`). The file is run by
    onnxruntime alone in a new process and compared with the encoder before it is put
    in place; `manifest.json` beside it describes it.

    ONNX reads no image files. The program in front of it decodes them, applies EXIF
    orientation and brings them to the input's size: the largest centred part with its
    aspect ratio, resized with antialias, as the signature `serve_bytes` of
    `to_saved_model` does by itself.

    Args:
        encoder: An encoder as for `to_saved_model`, with a fixed image size.
        path: A file that ends in `.onnx`, or a folder, in which the file is named
            `<encoder.name>.onnx`.
        images: Real images to compare on; by default synthetic ones.

    Returns:
        The path of the file.

    Raises:
        TypeError: `encoder` is not a model.
        ValueError: It is not an encoder, or its image size is open.
        RuntimeError: The features differ from the encoder's; nothing is left behind.
        ImportError: onnx, onnxruntime or tf2onnx is missing.

    Example:
    >>> encoder = kc.encoders.resnet(depth=10, width=4)
    >>> kc.export.to_onnx(encoder, "birds.onnx")
    PosixPath('birds.onnx')
    """
    try:
        import onnx
        import onnxruntime  # noqa: F401
        import tf2onnx  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "The ONNX export needs onnx, onnxruntime and tf2onnx: "
            'pip install "keras-contrastive[onnx]"'
        ) from error
    encoder = float32_encoder(encoder)
    shape = tuple(encoder.inputs[0].shape[1:])
    if None in shape:
        raise ValueError(
            "The ONNX export wants a fixed image size. Received: an encoder with "
            f"input {shape}. Build it with a fixed `input_shape` and copy the weights."
        )
    if images is None:
        images = reference.synthetic_images(shape)
    images = reference.check_images(encoder, images)

    # Before the export: Keras refuses a model that was never called.
    expected = reference.reference_features(encoder, images)

    target = pathlib.Path(path)
    if target.suffix != ".onnx":
        target = target / f"{encoder.name}.onnx"
    target.parent.mkdir(parents=True, exist_ok=True)
    with files.scratch_folder(4 * encoder.count_params()) as folder:
        file = f"{folder}/encoder.onnx"
        outside_strategy(lambda: encoder.export(file, format="onnx", verbose=False))
        model = onnx.load(file)
    _rename(model.graph, output_name(encoder))
    _without_erfc(model.graph)
    onnx.checker.check_model(model)
    content = model.SerializeToString()
    with (
        files.full_disk(target, len(content)),
        files.temporary_file(target) as temporary,
    ):
        temporary.write_bytes(content)
        outputs, facts = clean_process.run("onnx", temporary, images)
        differences = parity.compare(expected, outputs["features"])
        failures = parity.file_failures("onnx", differences)
        if failures:
            raise RuntimeError(
                f"The ONNX file does not give the {kind(encoder)}'s "
                f"{output_name(encoder)} and is not kept: {'; '.join(failures)}."
            )
    facts.pop("latency")
    about = {**input_and_output(encoder, shape[:2]), **facts, "parity": differences}
    describe_file(target, {"format": "onnx", **about}, "onnx", "onnxruntime", "tf2onnx")
    return target


def _rename(graph, output):
    """Call the input `images` and the output what it is, whatever Keras called them."""
    names = {graph.input[0].name: "images", graph.output[0].name: output}
    for value in (graph.input[0], graph.output[0]):
        value.name = names[value.name]
    for node in graph.node:
        for names_of_node in (node.input, node.output):
            for index, name in enumerate(names_of_node):
                names_of_node[index] = names.get(name, name)


def _without_erfc(graph):
    """Write `Erfc(x)`, Keras's exact GELU that ONNX has not, as `1 - Erf(x)`."""
    from onnx import helper, numpy_helper

    nodes = list(graph.node)
    if all(node.op_type != "Erfc" for node in nodes):
        return
    one = numpy_helper.from_array(np.float32(1), "one_of_erfc")
    graph.initializer.append(one)
    del graph.node[:]
    for node in nodes:
        if node.op_type == "Erfc":
            [erf] = names = [f"{node.output[0]}_erf"]
            graph.node.append(helper.make_node("Erf", node.input, names))
            node = helper.make_node("Sub", [one.name, erf], node.output)
        graph.node.append(node)

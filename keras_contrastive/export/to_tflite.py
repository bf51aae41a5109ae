"""Encoder to TF-Lite (LiteRT), in four variants that are checked before they appear."""

import pathlib

import keras
import numpy as np
import tensorflow as tf

from keras_contrastive import files
from keras_contrastive.distribute import outside_strategy
from keras_contrastive.export import clean_process, parity, reference
from keras_contrastive.export.description import input_and_output
from keras_contrastive.export.file_manifest import describe_file
from keras_contrastive.export.output import output_name
from keras_contrastive.export.rebuild import float32_encoder

VARIANTS = ("float32", "float16", "dynamic", "int8")


def to_tflite(
    encoder: keras.Model,
    path,
    variant: str = "float32",
    representative_images=None,
    images=None,
    batch_size: int | None = None,
    input_dtype: str = "uint8",
) -> pathlib.Path:
    """Export an encoder as one TF-Lite file of built-in operations.

    | variant | weights | arithmetic | input | size |
    | --- | --- | --- | --- | --- |
    | `float32` | float32 | float32 | float32 in [0, 255] | 1 |
    | `float16` | float16 | float32 | float32 in [0, 255] | 0.5 |
    | `dynamic` | int8 | int8 and float32 | float32 in [0, 255] | 0.27 |
    | `int8` | int8 | int8 | uint8 (or int8) | 0.27 |

    The input of `int8` has scale 1 and, as uint8, zero point 0: give it pixels as they
    are. Its output is int8 with a scale and a zero point, which stand in
    `manifest.json` beside the file, as does everything else about input and output.

    TF-Lite reads no image files. The app in front of it decodes them, applies EXIF
    orientation and brings them to the input's size: the largest centred part with its
    aspect ratio, resized with antialias, as the signature `serve_bytes` of
    `to_saved_model` does by itself.

    The file is converted from a SavedModel, run by ai-edge-litert alone in a new
    process, compared with the encoder, and only then put in place. The output is
    named `features`, or `logits` or `probabilities` of a classifier, see
    `to_saved_model`.

    Args:
        encoder: An encoder as for `to_saved_model`, with a fixed image size.
        path: A file that ends in `.tflite`, or a folder, in which the file is named
            `<encoder.name>_<variant>.tflite`.
        variant: `"float32"`, `"float16"`, `"dynamic"` or `"int8"`.
        representative_images: Required for `"int8"`: 100 to 500 real images
            `(n, height, width, channels)` in [0, 255], whose activations set the
            scales.
        images: Real images to compare on; by default the representative ones, or
            synthetic ones.
        batch_size: None for a dynamic batch, or a fixed one such as 1, which some
            delegates need.
        input_dtype: `"uint8"` or `"int8"`, for the variant `"int8"`.

    Returns:
        The path of the file.

    Raises:
        TypeError: `encoder` is not a model.
        ValueError: An unknown variant; representative images that are missing,
            constant or not in [0, 255]; an encoder that cannot be converted.
        RuntimeError: The features differ from the encoder's by more than the variant
            may; nothing is left behind.
        ImportError: ai-edge-litert, which checks the file, is missing.

    Example:
    >>> encoder = kc.encoders.resnet(depth=10, width=4)
    >>> kc.export.to_tflite(encoder, "birds.tflite", variant="dynamic")
    PosixPath('birds.tflite')
    """
    if variant not in VARIANTS:
        raise ValueError(f"`variant` must be one of {VARIANTS}. Received: {variant=}")
    if input_dtype not in ("uint8", "int8"):
        raise ValueError(
            f'`input_dtype` must be "uint8" or "int8". Received: {input_dtype=}'
        )
    _need_litert()
    encoder = float32_encoder(encoder)
    shape = tuple(encoder.inputs[0].shape[1:])
    if None in shape:
        raise ValueError(
            "A TF-Lite file has a fixed image size. Received: an encoder with input "
            f"{shape}. Build it with a fixed `input_shape` and copy the weights."
        )
    if variant == "int8":
        representative_images = _check_representative(encoder, representative_images)
    if images is not None:
        images = reference.check_images(encoder, images)
    elif variant == "int8":
        # Stretched ones too: if the scales were set by images that are too dark or
        # of another range, ordinary ones saturate, and the gate sees it.
        some = representative_images[:: max(1, len(representative_images) // 32)]
        images = np.concatenate([some, _stretched(some)])
    else:
        images = reference.synthetic_images(shape)

    target = pathlib.Path(path)
    if target.suffix != ".tflite":
        target = target / f"{encoder.name}_{variant}.tflite"
    target.parent.mkdir(parents=True, exist_ok=True)
    content = outside_strategy(
        lambda: _convert(
            encoder, variant, representative_images, batch_size, input_dtype
        )
    )
    with (
        files.full_disk(target, len(content)),
        files.temporary_file(target) as temporary,
    ):
        temporary.write_bytes(content)
        outputs, facts = clean_process.run("tflite", temporary, images)
        expected = reference.reference_features(encoder, images)
        differences = parity.compare(expected, outputs["features"])
        failures = parity.file_failures(variant, differences)
        if failures:
            raise RuntimeError(_refusal(failures, variant, representative_images))
    facts.pop("latency")
    about = {**input_and_output(encoder, shape[:2]), **facts, "parity": differences}
    describe_file(target, {"format": "tflite", **about}, "ai-edge-litert")
    return target


def _need_litert():
    try:
        import ai_edge_litert  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "TF-Lite files are checked with ai-edge-litert, which is missing: "
            'pip install "keras-contrastive[tflite]"'
        ) from error


def _check_representative(encoder, images):
    if images is None:
        raise ValueError(
            '`representative_images` are required for variant="int8": 100 to 500 real '
            "images in [0, 255]. Received: None."
        )
    images = reference.check_images(encoder, images)
    low, high = float(images.min()), float(images.max())
    if low == high:
        raise ValueError(
            "`representative_images` must be real images. Received: constant ones, "
            f"every pixel is {low:g}."
        )
    if high <= 1:
        raise ValueError(
            "`representative_images` must be in [0, 255]. Received: values from "
            f"{low:.3g} to {high:.3g}, as if they had been scaled to [0, 1]. Multiply "
            "by 255."
        )
    return images


def _stretched(images):
    """Each image with its values stretched to [0, 255]; constant ones left out."""
    images = images.astype("float32")
    low = images.min(axis=(1, 2, 3), keepdims=True)
    span = images.max(axis=(1, 2, 3), keepdims=True) - low
    varied = span.ravel() > 0
    return (255 * (images - low)[varied] / span[varied]).round()


def _refusal(failures, variant, representative_images):
    text = (
        "The TF-Lite file does not give the model's output and is not kept: "
        f"{'; '.join(failures)}."
    )
    if variant != "int8":
        return text
    low, high = representative_images.min(), representative_images.max()
    return (
        f"{text} The {len(representative_images)} representative images have values "
        f"from {low:g} to {high:g}; they must be like the images the encoder will "
        "see, in [0, 255], and 100 or more. If they are, use variant='dynamic'."
    )


def _convert(encoder, variant, representative_images, batch_size, input_dtype):
    """Write a SavedModel of one signature and convert it; return the file's bytes."""
    shape = (batch_size, *encoder.inputs[0].shape[1:])
    images = tf.TensorSpec(shape, tf.float32, "images")

    @tf.function(input_signature=[images], autograph=False)
    def features(images):
        if variant == "int8":
            # The input's scale is then exactly 1, whatever the images' range.
            images = tf.quantization.fake_quant_with_min_max_args(images, 0.0, 255.0)
        images = tf.cast(images, encoder.inputs[0].dtype)
        return {output_name(encoder): encoder(images, training=False)}

    with files.scratch_folder(4 * encoder.count_params()) as folder:
        module = tf.Module()
        module.weights = [variable.value for variable in encoder.variables]
        module.features = features
        tf.saved_model.save(module, str(folder), {"serving_default": features})
        converter = tf.lite.TFLiteConverter.from_saved_model(
            str(folder), signature_keys=["serving_default"]
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if variant != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if variant == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if variant == "int8":
            size = batch_size or 1

            def representative_dataset():
                for start in range(0, len(representative_images) - size + 1, size):
                    batch = representative_images[start : start + size]
                    yield [batch.astype("float32")]

            converter.representative_dataset = representative_dataset
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = tf.as_dtype(input_dtype)
            converter.inference_output_type = tf.int8
        try:
            return converter.convert()
        except Exception as error:  # the converter raises its own and bare ones
            raise ValueError(
                f"The encoder {encoder.name!r} cannot be converted to TF-Lite with "
                f"built-in operations alone: {error}"
            ) from error

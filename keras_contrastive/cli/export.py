r"""keras-contrastive export ENCODER OUTPUT: files for serving, each one checked.

    keras-contrastive export runs/simclr_resnet10_photos models/photos
    keras-contrastive export runs/simclr_resnet10_photos models/photos \
        --formats=saved_model,int8,onnx --images=photos/

ENCODER is a preset, the folder of a run, or a .keras file. Each format is run without
Keras in a new process, compared with the encoder, and kept only if both agree. Into
OUTPUT go `saved_model/1`, which TensorFlow Serving takes, `openvino/1`, and
`NAME.tflite` or `NAME.onnx`.
"""

import itertools
import pathlib

import numpy as np
from absl import flags

from keras_contrastive import export
from keras_contrastive.cli.image_source import open_source
from keras_contrastive.cli.main import UsageError, near
from keras_contrastive.cli.networks import define_range, load_encoder, range_of
from keras_contrastive.export.to_tflite import VARIANTS

FLAGS = flags.FlagValues()
FORMATS = ("saved_model", *VARIANTS, "onnx", "openvino")
_FORMATS = flags.DEFINE_list(
    "formats",
    ["saved_model", "float16"],
    f"Some of {', '.join(FORMATS)}; {' to '.join(VARIANTS[::3])} are TF-Lite's.",
    flag_values=FLAGS,
)
_IMAGES = flags.DEFINE_string(
    "images",
    None,
    "Images like those to come: to compare on, and for int8 to calibrate with. Data as "
    "for `pretrain`.",
    flag_values=FLAGS,
)
_RANGE = define_range(FLAGS)


def run(arguments: list[str]) -> None:
    """Export, and print what was written."""
    if len(arguments) != 2:
        raise UsageError("Expected ENCODER and OUTPUT.")
    unknown = [name for name in _FORMATS.value if name not in FORMATS]
    if unknown:
        raise UsageError(f"--formats: no {unknown[0]!r}. {near(unknown[0], FORMATS)}")
    if "int8" in _FORMATS.value and not _IMAGES.value:
        raise UsageError(
            "--formats=int8 is calibrated: give --images=FOLDER, or sample"
        )
    encoder, output = load_encoder(arguments[0]), pathlib.Path(arguments[1])
    value_range = range_of(_RANGE, arguments[0])
    images = _IMAGES.value and some_images(_IMAGES.value, encoder, 256, value_range)
    output.mkdir(parents=True, exist_ok=True)
    for name in _FORMATS.value:
        print(write(name, encoder, output, images))
    if value_range:
        low, high = value_range
        print(
            f"The encoder was trained on pixels from {low:g} to {high:g}, spread over "
            "[0, 255]. Do the same to what you send, as kc.data.to_255 does: a server "
            "does not know of it, nor does serve_bytes."
        )


def write(name, encoder, output, images) -> pathlib.Path:
    """Write one format; return its path."""
    few = None if images is None else images[:64]
    if name == "saved_model":
        return export.to_saved_model(encoder, output / name, images=few)
    if name == "openvino":
        return export.to_openvino(encoder, output / name, images=few)
    if name == "onnx":
        return export.to_onnx(encoder, output / f"{encoder.name}.onnx", images=few)
    return export.to_tflite(
        *(encoder, output / f"{encoder.name}_{name}.tflite", name),
        representative_images=images if name == "int8" else None,
        images=few,
    )


def some_images(name, encoder, count, value_range=None):
    """Return the first `count` images of a data set, as the encoder takes them."""
    *size, channels = encoder.input_shape[1:]
    source = open_source(name, value_range=value_range)
    batches = source.in_order(tuple(size), channels)
    found = itertools.chain.from_iterable(map(np.asarray, _first(batches)))
    return np.stack(list(itertools.islice(found, count)))


def _first(batches):
    """The images of batches, with or without labels."""
    for batch in batches:
        yield batch[0] if isinstance(batch, tuple) else batch

"""What the attacks write and read: a writer and a check for each kind of artefact.

`write(folder, n)` writes the artefact so that all of it says `n`; `check(folder)` reads
it and returns that `n`, or raises if it is not whole. `None`: there is none.
"""

import json
import pathlib

import keras
import numpy as np

import keras_contrastive as kc
from keras_contrastive import files
from keras_contrastive.export import version_folder
from keras_contrastive.export.file_manifest import describe_file

_INPUTS = keras.Input((28, 28, 1))
_FLAT = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(_INPUTS))
ENCODER = keras.Model(_INPUTS, keras.layers.Dense(256)(_FLAT))  # 800 kB, made at once
IMAGES = np.random.default_rng(0).integers(0, 256, (32, 28, 28, 1), "uint8")


def filled(n):
    """The encoder with every weight at `n`, small enough to give finite features."""
    ENCODER.set_weights([np.full(w.shape, n / 1000) for w in ENCODER.get_weights()])
    return ENCODER


def number(model):
    """The `n` of a model of `filled`."""
    (value,) = {float(x) for w in model.get_weights() for x in np.unique(w)}
    return round(1000 * value)


def write_preset(folder, n):
    kc.save_to_preset(filled(n), folder / "preset", {"note": n}, overwrite=True)


def check_preset(folder):
    try:
        return number(kc.from_preset(folder / "preset"))
    except ValueError as error:
        if "no folder" in str(error):
            return None
        raise


def write_numbers(folder, n):
    if not (folder / "preset").exists():
        kc.save_to_preset(filled(0), folder / "preset", {"note": 0})
    kc.zoo.add_metrics(folder / "preset", {f"n{n}": {"knn": n}})


def check_numbers(folder):
    """How many there are: those of all writers."""
    if not (folder / "preset").exists():
        return None
    numbers = kc.zoo.describe(folder / "preset")["metrics"]
    assert all(name == f"n{x['knn']}" for name, x in numbers.items())
    return len(numbers)


def write_saved_model(folder, n):
    kc.export.to_saved_model(filled(n), folder / "model", images=IMAGES[:2])


def check_saved_model(folder):
    """Of the last version: its SavedModel, its Keras file and its manifest."""
    import tensorflow as tf

    found = list((folder / "model").glob("[0-9]*"))
    if not found:
        return None
    last = max(found, key=lambda path: int(path.name))
    encoder = keras.models.load_model(last / "encoder.keras")
    served = tf.saved_model.load(str(last)).signatures["serving_default"]
    answer = served(images=tf.constant(IMAGES, "float32"))["features"]
    np.testing.assert_allclose(answer, encoder(IMAGES), rtol=1e-4, atol=1e-4)
    manifest = json.loads((last / "manifest.json").read_text())
    for name, about in manifest["files"].items():
        assert files.sha256(last / name) == about["sha256"], name
    return number(encoder)


def write_tflite(folder, n):
    kc.export.to_tflite(filled(n), folder / "model.tflite", images=IMAGES[:2])


def check_tflite(folder):
    """The file and its entry in `manifest.json`, which may be of the one before."""
    path = folder / "model.tflite"
    if not path.exists():
        return None
    kc.export.verify(path, filled(1), IMAGES, repeats=0)  # it runs
    if (folder / "manifest.json").exists():
        json.loads((folder / "manifest.json").read_text())
    return files.sha256(path)


def write_version(folder, n):
    """As `to_saved_model` does, without the model."""
    base = version_folder.check_base(folder / "versions")
    with files.temporary_sibling(base) as temporary:
        for name in ("a", "b", "c"):
            (temporary / name).write_text(str(n))
        version_folder.publish(temporary, base)


def check_versions(folder):
    found = version_folder.versions(folder / "versions")
    for version in found[-1:]:
        path = folder / "versions" / str(version)
        (_,) = {(path / name).read_text() for name in ("a", "b", "c")}
    return len(found)


def write_entry(folder, n):
    (folder / f"{n}.onnx").write_bytes(b"")
    describe_file(folder / f"{n}.onnx", {"n": n})


def check_entries(folder):
    if not (folder / "manifest.json").exists():
        return None
    entries = json.loads((folder / "manifest.json").read_text())["artefacts"]
    assert all(f"{x['n']}.onnx" == name for name, x in entries.items())
    return len(entries)


def write_model(folder, n):
    files.write_model(folder / "encoder.keras", filled(n))


def check_model(folder):
    path = folder / "encoder.keras"
    return number(keras.models.load_model(path)) if path.exists() else None


def write_checkpoint(folder, n):
    checkpoint = kc.callbacks.Checkpoint(folder / "run.weights.h5")
    checkpoint.set_model(_trained(n))
    checkpoint.save(n)


def check_checkpoint(folder):
    if not (folder / "run.weights.h5").exists():
        return None
    checkpoint = kc.callbacks.Checkpoint(folder / "run.weights.h5")
    checkpoint.set_model(_trained(0))
    checkpoint.restore()
    return number(ENCODER)


def _trained(n):
    model = kc.SimCLR(filled(n))
    model.compile()
    model.build_optimizer()
    return model


def write_figure(folder, n):
    figure = kc.report.plot_curves({"loss": [n] * 2})
    files.write_figure(folder / "curves.png", figure)


def check_figure(folder):
    import tensorflow as tf

    path = folder / "curves.png"
    if not path.exists():
        return None
    return int(tf.reduce_sum(tf.cast(tf.io.decode_png(path.read_bytes()), "int64")))


ALL = {
    "preset": (write_preset, check_preset),
    "numbers": (write_numbers, check_numbers),
    "saved_model": (write_saved_model, check_saved_model),
    "tflite": (write_tflite, check_tflite),
    "versions": (write_version, check_versions),
    "entries": (write_entry, check_entries),
    "model": (write_model, check_model),
    "checkpoint": (write_checkpoint, check_checkpoint),
    "figure": (write_figure, check_figure),
}


def leftovers(folder):
    """Temporary files of any kind, anywhere below `folder`."""
    return [str(x) for x in pathlib.Path(folder).rglob(".*")]

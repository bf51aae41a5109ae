"""How many labels does an encoder save? A table, a plot and a JSON file.

    python examples/few_labels.py --fine_tune=         # no networks trained: a minute
    python examples/few_labels.py --encoder=runs/quickstart/encoder.keras
    python examples/few_labels.py --dataset=fashion_mnist --fine_tune=0.01
    python examples/few_labels.py --dataset=photos/ --encoder=runs/photos/encoder.keras

Compares linear classifiers on raw pixels and on the encoder's features, the encoder
fine-tuned, and the same network from scratch, all on the same class-balanced draws of
labels: see `kc.evaluation.few_label_evaluation`. Of a folder with one folder for each
class, a fifth of each class is the test set; a folder that holds `train` and `test` is
split already. Writes few_labels.json and .png.
"""

import json
import pathlib
import sys

import keras
import numpy as np
from absl import app, flags, logging

import keras_contrastive as kc
from keras_contrastive.files import write_figure

_ENCODER = flags.DEFINE_string(
    "encoder",
    "sce_resnet10_fashion_mnist",
    "Name, folder or URL of a preset, or a .keras file.",
)
_DATASET = flags.DEFINE_string(
    "dataset",
    "sample",
    "`sample`, a folder, or a name of TensorFlow Datasets.",
)
_TRAIN = flags.DEFINE_string("train_split", "train", "Of TensorFlow Datasets.")
_TEST = flags.DEFINE_string("test_split", "test", "Of TensorFlow Datasets.")
_FRACTIONS = flags.DEFINE_list("fractions", ["0.01", "0.1", "1"], "Shares of labels.")
_DRAWS = flags.DEFINE_integer("draws", 5, "Label draws of each share below 1.")
_FINE_TUNE = flags.DEFINE_list(
    "fine_tune", None, "Shares at which networks are trained too; by default all."
)
_STEPS = flags.DEFINE_integer("steps", 1000, "Least steps of each training.")
_EPOCHS = flags.DEFINE_float("epochs", 10, "Least epochs of each training.")
_FLIP = flags.DEFINE_bool("flip", True, "Whether a mirrored image has the same label.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the first draw.")
_BASELINE = flags.DEFINE_string(
    "baseline", None, "few_labels.json of an encoder of the same network and protocol."
)
_INTO = flags.DEFINE_string("into", None, "Folder of a preset to record it in.")
_OUTPUT = flags.DEFINE_string("output", "runs/few_labels", "Folder to write to.")


def main(argv):
    """Evaluate, print, save."""
    logging.set_verbosity(logging.WARNING)
    output = pathlib.Path(_OUTPUT.value)
    output.mkdir(parents=True, exist_ok=True)
    encoder = load_encoder(_ENCODER.value)
    if _INTO.value:
        kc.zoo.describe(pathlib.Path(_INTO.value))  # it refuses what is no preset
    try:
        train, test = load_images(_DATASET.value, encoder)
    except ValueError as error:
        sys.exit(str(error))
    result = kc.evaluation.few_label_evaluation(
        encoder,
        *train,
        *test,
        fractions=tuple(map(float, _FRACTIONS.value)),
        draws=_DRAWS.value,
        fine_tune=_FINE_TUNE.value is None or tuple(map(float, _FINE_TUNE.value)),
        fine_tuning=kc.evaluation.FineTuning(
            steps=_STEPS.value,
            epochs=_EPOCHS.value,
            augmentation=kc.layers.RandomResizedCrop(
                train[0].shape[1:3],
                area=(0.6, 1.0),
                flip_probability=0.5 if _FLIP.value else 0.0,
            ),
        ),
        seed=_SEED.value,
        baseline=baseline(_BASELINE.value),
        verbose=True,
    )
    print(f"\n{_ENCODER.value} on {_DATASET.value}, {len(test[0]):,} test images\n")
    print(result)
    result.save(output / "few_labels.json")
    if _INTO.value:
        kc.zoo.add_metrics(
            _INTO.value, {_DATASET.value: {"few_labels": result.to_dict()}}
        )
    write_figure(output / "few_labels.png", plot(result))
    print(f"\n{output}/ holds few_labels.json and few_labels.png")


def load_encoder(name):
    """Return the encoder of a preset or of a .keras file."""
    if name.endswith(".keras"):
        return keras.models.load_model(name)
    return kc.from_preset(name)


def load_images(name, encoder):
    """Return (images, labels) to train and to test, as large as the encoder's."""
    *size, channels = encoder.inputs[0].shape[1:]
    fit = {"image_size": None if None in size else tuple(size), "channels": channels}
    if name == "sample":
        return [
            arrays(kc.data.images_from_arrays(*part, **fit))
            for part in kc.data.load_sample()
        ]
    if not pathlib.Path(name).is_dir():
        return [
            arrays(kc.data.images_from_tfds(name, split, **fit))
            for split in (_TRAIN.value, _TEST.value)
        ]
    parts = [pathlib.Path(name, part) for part in ("train", "test")]
    if not all(part.is_dir() for part in parts):
        parts = [pathlib.Path(name)]
    parts = [
        kc.data.images_from_directory(part, on_error="skip", **fit) for part in parts
    ]
    classes = [part.class_names for part in parts]
    if classes[0] is None or classes[0] != classes[-1]:
        sys.exit(
            f"{name} must hold one folder of images for each class, the same ones in "
            f"train and test if it has these. Received: {classes}"
        )
    loaded = [arrays(part) for part in parts]
    if len(loaded) == 2:
        return loaded
    ((images, labels),) = loaded
    return [
        (images[part], labels[part]) for part in kc.evaluation.split_by_class(labels)
    ]


def arrays(dataset):
    """Return images and labels of all batches, those that have a label."""
    parts = zip(*dataset.as_numpy_iterator(), strict=True)
    images, labels = (np.concatenate(part) for part in parts)
    return images[labels >= 0], labels[labels >= 0]


def baseline(path):
    """Return the result in a file, if there is one."""
    if path is None:
        return None
    return kc.evaluation.FewLabelResult(**json.loads(pathlib.Path(path).read_text()))


def plot(result):
    """Return a figure: accuracy by the number of labels, one line for each measure."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    for measure in result.measures:
        # Networks may have been trained at some of the fractions only.
        scores = [score for score in result.scores if score["measure"] == measure]
        fractions = [score["fraction"] for score in scores]
        axes.errorbar(
            [score["labels"] for score in scores],
            [100 * result.mean(measure, f) for f in fractions],
            [100 * (result.deviation(measure, f) or 0) for f in fractions],
            label=measure,
            marker="o",
            capsize=3,
        )
    axes.set(xscale="log", xlabel="labels", ylabel="test accuracy in %")
    counts = sorted({score["labels"] for score in result.scores})
    axes.set_xticks(counts, [f"{count:,}" for count in counts])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


if __name__ == "__main__":
    app.run(main)

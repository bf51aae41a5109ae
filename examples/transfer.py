"""What transfers? Pre-train with and without labels, evaluate on other images.

    python examples/transfer.py   # five classes of the bundled sample, for the others
    python examples/transfer.py --source=cifar10_jpeg --target=fashion_mnist --seeds=3
    python examples/transfer.py --source=fashion_mnist --target=cifar10_jpeg --seeds=3

The study of Zhao et al. (2020, https://arxiv.org/abs/2006.06606) in small. SimCLR and
MoCo see no labels, SupCon and a classifier (cross-entropy) learn from them, Exemplar is
told by them what not to push away. Each learns from weak and from strong views, each
seed is a network. Prints kNN and linear accuracy on source and target, and linear
accuracy with few labels of the target, mean and standard deviation over the seeds;
writes every run as JSON. Images of the target are brought to the encoder's size.
"""

import pathlib

import keras
import numpy as np
from absl import app, flags

import keras_contrastive as kc
from keras_contrastive.files import write_json
from keras_contrastive.zoo.measure import labelled_features

_SOURCE = flags.DEFINE_string("source", "sample", "To learn from; a name of TFDS.")
_TARGET = flags.DEFINE_string("target", "sample", "To evaluate on; a name of TFDS.")
_IMAGES = flags.DEFINE_integer("images", 50_000, "Images of the source, at most.")
_METHODS = flags.DEFINE_list(
    "methods", "SimCLR,MoCo,SupCon,Exemplar,cross-entropy", "What is compared."
)
_POLICIES = flags.DEFINE_list("policies", "weak,strong", "Views.")
_EPOCHS = flags.DEFINE_integer("epochs", 10, "Length of each run.")
_BATCH = flags.DEFINE_integer("batch_size", 256, "Images of a step.")
_WIDTH = flags.DEFINE_integer("width", 16, "Of the ResNet-10.")
_FEW = flags.DEFINE_integer("labels", 100, "Few labels of the target.", lower_bound=10)
_SEEDS = flags.DEFINE_integer("seeds", 1, "Runs of each.", lower_bound=1)
_OUTPUT = flags.DEFINE_string("output", "runs/transfer", "Folder.")
POLICIES = {
    "weak": {"strength": 0.25, "area": (0.6, 1.0)},
    "strong": {"strength": 0.5, "area": (0.2, 1.0)},
}
COLUMNS = ("source kNN", "source linear", "kNN", "linear", "few labels")


def main(argv):
    """Train each, evaluate on both."""
    source, target = load()
    rows = []
    print(f"{'':26}" + "".join(f"{column:>16}" for column in COLUMNS))
    for policy in _POLICIES.value:
        for method in _METHODS.value:
            runs = [
                one_run(method, POLICIES[policy], source, target, seed)
                for seed in range(_SEEDS.value)
            ]
            rows.append({"method": method, "policy": policy, "runs": runs})
            cells = "".join(f"{spread(runs, column):>16}" for column in COLUMNS)
            print(f"{method + ', ' + policy:26}{cells}", flush=True)
    best = max(rows, key=lambda row: np.mean([run["linear"] for run in row["runs"]]))
    print(f"\nBest linear accuracy on the target: {best['method']}, {best['policy']}")
    output = pathlib.Path(_OUTPUT.value)
    output.mkdir(parents=True, exist_ok=True)
    write_json(output / "transfer.json", rows)
    print(f"{output}/transfer.json holds every run")


def load():
    """Return source and target, each images and labels to train and to test on."""
    if _SOURCE.value == _TARGET.value == "sample":
        data = kc.data.load_sample()
        return [
            [classes_of(*part, first) for part in data]
            for first in (range(5), range(5, 10))
        ]
    return [arrays(name) for name in (_SOURCE.value, _TARGET.value)]


def classes_of(images, labels, classes):
    """Return the images of some classes, with labels from 0 on."""
    chosen = np.isin(labels, classes)
    return images[chosen], labels[chosen] - classes[0]


def arrays(name):
    """Return images and labels of a prepared data set."""
    if name == "sample":
        return kc.data.load_sample()
    import tensorflow_datasets as tfds

    splits = tfds.load(name, split=("train", "test"), as_supervised=True)
    splits = [list(split.as_numpy_iterator()) for split in splits]
    return [tuple(np.stack(x) for x in zip(*split, strict=True)) for split in splits]


def one_run(method, policy, source, target, seed):
    """Train one network; return its accuracies."""
    keras.utils.set_random_seed(seed)
    x, y = (part[: _IMAGES.value] for part in source[0])
    views = kc.data.views_from_arrays(
        *(x, y),
        augmentation=kc.augmentations.simclr(x.shape[1:3], blur=0.0, **policy),
        batch_size=min(_BATCH.value, len(x)),
        seed=seed,
    )
    encoder = kc.encoders.resnet(10, _WIDTH.value, input_shape=x.shape[1:])
    if method == "cross-entropy":
        classify(encoder, views)
    else:
        recipe = getattr(kc.recipes, f"{method.upper()}_SMALL")
        recipe.model(encoder).fit(views, epochs=_EPOCHS.value, verbose=0)
    known = kc.zoo.measure(encoder, source)
    (features, labels), test = labelled_features(encoder, target)
    few = kc.evaluation.class_balanced_subset(labels, _FEW.value, seed)
    return {
        "source kNN": known["knn"],
        "source linear": known["linear"],
        "kNN": kc.evaluation.knn_accuracy(features, labels, *test, k=20),
        "linear": kc.evaluation.linear_probe(features, labels, *test),
        "few labels": kc.evaluation.linear_probe(features[few], labels[few], *test),
    }


def classify(encoder, views):
    """Train a classifier of one view, whose encoder is kept."""
    num_classes = 1 + max(int(labels.max()) for _, labels in views.as_numpy_iterator())
    logits = keras.layers.Dense(num_classes, dtype="float32")(encoder.output)
    model = keras.Model(encoder.input, logits)
    rate = keras.optimizers.schedules.CosineDecay(0.1, _EPOCHS.value * len(views))
    model.compile(
        keras.optimizers.SGD(rate, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    one_view = views.map(lambda views, labels: (views[0], labels))
    model.fit(one_view, epochs=_EPOCHS.value, shuffle=False, verbose=0)


def spread(runs, column):
    """Return mean and standard deviation in percent."""
    values = [100 * run[column] for run in runs]
    return f"{np.mean(values):.1f} +- {np.std(values):.1f}"


if __name__ == "__main__":
    app.run(main)

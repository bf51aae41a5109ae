"""SupCon with wrong labels: what do features keep, and can they mend the labels?

    python examples/label_noise.py                         # on the bundled sample
    python examples/label_noise.py --data=cifar10_jpeg --images=50000 --seeds=3

A share of the training labels becomes another class at random, 0 to 80 %. SupCon and a
classifier (cross-entropy) learn from such labels, SimCLR from none. Their features are
clustered without labels, each image gets the most frequent label of its cluster, and a
linear probe learns from the labels before and after. Prints, and writes as JSON:
how many training labels are right, how far the clusters are the true classes
(`kc.evaluation.cluster_accuracy`), and the probe's accuracy on clean test labels.
"""

import pathlib

import keras
import numpy as np
from absl import app, flags

import keras_contrastive as kc
from keras_contrastive.files import write_json

_DATA = flags.DEFINE_string("data", "sample", "Or a data set of TFDS.")
_IMAGES = flags.DEFINE_integer("images", 10_000, "Training images used.")
_NOISE = flags.DEFINE_list("noise", "0,0.2,0.4,0.6,0.8", "Shares of wrong labels.")
_EPOCHS = flags.DEFINE_integer("epochs", 10, "Length of each run.")
_BATCH = flags.DEFINE_integer("batch_size", 256, "Images of a step.")
_WIDTH = flags.DEFINE_integer("width", 16, "Of the ResNet-10.")
_CLUSTERS = flags.DEFINE_integer("clusters", 5, "Clusters for each class.")
_SEEDS = flags.DEFINE_integer("seeds", 1, "Runs of each.", lower_bound=1)
_OUTPUT = flags.DEFINE_string("output", "runs/label_noise", "Folder.")
COLUMNS = {
    "labels_right": "labels right, %",
    "mended_right": "after, %",
    "cluster_nmi": "clusters, NMI %",
    "accuracy": "probe, %",
    "mended_accuracy": "after, %",
}


def main(argv):
    """Train, cluster, mend, measure."""
    (x, y), test = load()
    x, y = x[: _IMAGES.value], y[: _IMAGES.value]
    rows = []
    heads = "".join(f"{head:>20}" for head in COLUMNS.values())
    print(f"{'noise':>6} {'method':14}{heads}")
    for noise in map(float, _NOISE.value):
        for name, train in (
            ("SupCon", supcon),
            ("cross-entropy", cross_entropy),
            ("SimCLR", simclr),
        ):
            runs = [
                one_run(train, x, y, noise, test, seed) for seed in range(_SEEDS.value)
            ]
            rows.append({"noise": noise, "method": name, "runs": runs})
            cells = "".join(f"{spread(runs, key):>20}" for key in COLUMNS)
            print(f"{noise:6.0%} {name:14}{cells}", flush=True)
    output = pathlib.Path(_OUTPUT.value)
    output.mkdir(parents=True, exist_ok=True)
    write_json(output / "label_noise.json", rows)
    print(f"{output}/label_noise.json holds every run")


def load():
    """Return training and test images with labels, uint8."""
    if _DATA.value == "sample":
        return kc.data.load_sample()
    import tensorflow_datasets as tfds

    splits = tfds.load(_DATA.value, split=("train", "test"), as_supervised=True)
    splits = [list(split.as_numpy_iterator()) for split in splits]
    return [tuple(np.stack(x) for x in zip(*split, strict=True)) for split in splits]


def corrupt(labels, share, seed):
    """Return labels of which a share, drawn at random, is another class."""
    rng = np.random.default_rng(seed)
    classes = len(np.unique(labels))
    wrong = rng.permutation(len(labels))[: round(share * len(labels))]
    labels = labels.copy()
    labels[wrong] += rng.integers(1, classes, len(wrong)).astype(labels.dtype)
    labels[wrong] %= classes
    return labels


def mend(clusters, labels):
    """Return for each image the most frequent label of its cluster."""
    counts = np.zeros((clusters.max() + 1, labels.max() + 1), "int64")
    np.add.at(counts, (clusters, labels), 1)
    return counts.argmax(axis=1)[clusters].astype(labels.dtype)


def one_run(train, x, y, noise, test, seed):
    """Train on wrong labels; return what the table shows."""
    keras.utils.set_random_seed(seed)
    noisy = corrupt(y, noise, seed)
    encoder = kc.encoders.resnet(10, _WIDTH.value, input_shape=x.shape[1:])
    train(encoder, views(x, noisy, seed))
    features, test_features = (
        kc.evaluation.extract_features(encoder, images) for images in (x, test[0])
    )
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    classes = len(np.unique(y))
    found = kc.evaluation.cluster_accuracy(
        unit, y, _CLUSTERS.value * classes, seed, restarts=3
    )
    mended = mend(found.clusters, noisy)

    def probe(labels):
        return kc.evaluation.linear_probe(features, labels, test_features, test[1])

    return {
        "labels_right": float(np.mean(noisy == y)),
        "mended_right": float(np.mean(mended == y)),
        "cluster_nmi": found.nmi,
        "accuracy": probe(noisy),
        "mended_accuracy": probe(mended),
    }


def views(x, labels, seed):
    """Return two views of each image, with its label right or wrong."""
    policy = kc.augmentations.simclr(x.shape[1:3], 0.5, blur=0.0, area=(0.2, 1.0))
    batch_size = min(_BATCH.value, len(x))
    return kc.data.views_from_arrays(
        x, labels, augmentation=policy, batch_size=batch_size, seed=seed
    )


def supcon(encoder, data):
    """Images of a class, as the labels have it, attract each other."""
    model = kc.recipes.SUPCON_SMALL.model(encoder)
    model.fit(data, epochs=_EPOCHS.value, verbose=0)


def simclr(encoder, data):
    """No label is looked at."""
    model = kc.recipes.SIMCLR_SMALL.model(encoder)
    model.fit(data, epochs=_EPOCHS.value, verbose=0)


def cross_entropy(encoder, data):
    """A classifier of one view; its encoder is kept."""
    num_classes = 1 + max(int(labels.max()) for _, labels in data.as_numpy_iterator())
    logits = keras.layers.Dense(num_classes, dtype="float32")(encoder.output)
    model = keras.Model(encoder.input, logits)
    steps = _EPOCHS.value * len(data)
    rate = keras.optimizers.schedules.CosineDecay(0.1, steps)
    model.compile(
        keras.optimizers.SGD(rate, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    one_view = data.map(lambda views, labels: (views[0], labels))
    model.fit(one_view, epochs=_EPOCHS.value, shuffle=False, verbose=0)


def spread(runs, key):
    """Return mean and standard deviation in percent."""
    values = [100 * run[key] for run in runs]
    return f"{np.mean(values):.1f} +- {np.std(values):.1f}"


if __name__ == "__main__":
    app.run(main)

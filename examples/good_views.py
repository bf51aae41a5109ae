"""What makes good views? What two views share against accuracy, from weak to strong.

    python examples/good_views.py                    # crop area, on the bundled sample
    python examples/good_views.py --vary=strength --data=cifar10_jpeg --seeds=3
    python examples/good_views.py --vary=distance --data=photos/ --size=64

Too little shared, and there is nothing to learn; too much, and a network may use what
does not matter: an inverted U (Tian et al., 2020, https://arxiv.org/abs/2005.10243,
figures 3 to 5). Each value of what is varied trains SimCLR for a few epochs, each seed
a network. The information is InfoNCE's bound of `kc.evaluation.view_information` on
views of test images by the network trained on such views, the accuracy a linear
probe's. Says which value it would choose; writes the table as JSON, and the figure.
"""

import pathlib

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags

import keras_contrastive as kc
from keras_contrastive.files import write_figure, write_json

_VARY = flags.DEFINE_enum(
    "vary", "area", ["area", "strength", "distance"], "What is varied."
)
_DATA = flags.DEFINE_string("data", "sample", "Class folders, or a data set of TFDS.")
_SIZE = flags.DEFINE_integer("size", None, "Side of a folder's images in pixels.")
_IMAGES = flags.DEFINE_integer("images", 10_000, "Training images used.")
_EPOCHS = flags.DEFINE_integer("epochs", 5, "Length of each run.")
_BATCH = flags.DEFINE_integer("batch_size", 256, "Images of a step.")
_WIDTH = flags.DEFINE_integer("width", 16, "Of the ResNet-10.")
_SEEDS = flags.DEFINE_integer("seeds", 1, "Networks for each value.", lower_bound=1)
_VALUES = flags.DEFINE_list("values", None, "Other values than those of the figure.")
_OUTPUT = flags.DEFINE_string("output", "runs/good_views", "Folder.")
VALUES = {
    "area": (0.9, 0.6, 0.4, 0.2, 0.08, 0.02),  # the least share that a crop keeps
    "strength": (0.0, 0.25, 0.5, 1.0, 1.5, 2.0),  # of the colour jitter
    "distance": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5),  # of the crops, in sides of the image
}


class CropsApart(keras.layers.Layer):
    """Two crops of half the side whose places differ by a distance in both directions.

    As in section 4.1 of the paper: the first lies anywhere that leaves room, the second
    to the lower right of it, or the other way round.
    """

    def __init__(self, distance, **kwargs):
        super().__init__(**kwargs)
        self.distance = distance

    def call(self, images, seed):
        """Return the two crops of each image; `distance` is a share of the side."""
        height, width = images.shape[1:3]
        sides = tf.constant([height // 2, width // 2])
        offset = [round(self.distance * height), round(self.distance * width)]
        count = tf.shape(images)[0]
        room = tf.constant([height, width]) - sides - offset
        corner = tf.random.stateless_uniform((count, 2), seed) * tf.cast(
            room + 1, "float32"
        )
        first = tf.cast(corner, "int32")
        second = first + offset
        swap = tf.random.stateless_uniform((count, 1), seed + 1) < 0.5
        corners = tf.where(swap, second, first), tf.where(swap, first, second)
        return tuple(self._cut(images, corner, sides) for corner in corners)

    def _cut(self, images, corners, sides):
        rows = corners[:, :1] + tf.range(sides[0])
        columns = corners[:, 1:] + tf.range(sides[1])
        images = tf.gather(tf.cast(images, "float32"), rows, batch_dims=1)
        return tf.gather(images, columns, axis=2, batch_dims=1)


def main(argv):
    """Train, measure, choose, draw."""
    vary = _VARY.value
    values = tuple(map(float, _VALUES.value or VALUES[vary]))
    data = load()
    rows = []
    print(f"{vary:>10} {'nats':>16} {'linear accuracy':>22}")
    for value in values:
        found = [one_run(vary, value, data, seed) for seed in range(_SEEDS.value)]
        nats, linear = zip(*found, strict=True)
        rows.append({"value": value, "nats": nats, "linear": linear})
        print(f"{value:10g} {spread(nats)} {spread(linear, 100)} %", flush=True)
    print(f"\n{verdict(vary, rows)}")
    output = pathlib.Path(_OUTPUT.value) / vary
    output.mkdir(parents=True, exist_ok=True)
    write_json(output / "good_views.json", rows)
    write_figure(output / "good_views.png", plot(vary, rows), dpi=110)
    print(f"{output}/ holds good_views.json and good_views.png")


def load():
    """Return training and test images with labels, uint8."""
    if _DATA.value == "sample":
        return kc.data.load_sample()
    if pathlib.Path(_DATA.value).is_dir():
        if not _SIZE.value:
            raise app.UsageError("Images of a folder need one --size in pixels.")
        folder = kc.data.images_from_directory(_DATA.value, image_size=_SIZE.value)
        batches = list(folder.unbatch().as_numpy_iterator())
        images, labels = (np.stack(part) for part in zip(*batches, strict=True))
        train, test = kc.evaluation.split_by_class(labels, 0.2)
        return (images[train], labels[train]), (images[test], labels[test])
    import tensorflow_datasets as tfds

    splits = tfds.load(_DATA.value, split=("train", "test"), as_supervised=True)
    splits = [list(split.as_numpy_iterator()) for split in splits]
    return [tuple(np.stack(x) for x in zip(*split, strict=True)) for split in splits]


def policy(vary, value, size):
    """Return the two views at that value."""
    if vary == "area":
        return kc.augmentations.simclr(size, 0.5, blur=0.0, area=(value, 1.0))
    if vary == "strength":
        return kc.augmentations.simclr(size, value, blur=0.0, area=(0.2, 1.0))
    return CropsApart(value)


def one_run(vary, value, data, seed):
    """Train one network; return nats that the views share, and linear accuracy."""
    keras.utils.set_random_seed(seed)
    (x, y), (x_test, y_test) = data
    x, y = x[: _IMAGES.value], y[: _IMAGES.value]
    shape = x.shape[1:]
    augmentation = policy(vary, value, shape[:2])
    if vary == "distance":
        shape = (shape[0] // 2, shape[1] // 2, shape[2])

    def views(images, epoch_seed):
        return kc.data.views_from_arrays(
            images,
            augmentation=augmentation,
            batch_size=min(_BATCH.value, len(images)),
            seed=epoch_seed,
        )

    encoder = kc.encoders.resnet(10, _WIDTH.value, input_shape=(None, None, shape[2]))
    model = kc.recipes.SIMCLR_SMALL.model(encoder)
    model.fit(views(x, seed), epochs=_EPOCHS.value, verbose=0)
    shared = kc.evaluation.view_information(views(x_test, seed + 1), encoder, seed=seed)
    features, test_features = (
        kc.evaluation.extract_features(encoder, images) for images in (x, x_test)
    )
    linear = kc.evaluation.linear_probe(features, y, test_features, y_test)
    return shared.nats, linear


def spread(numbers, scale=1):
    """Return mean and standard deviation over the seeds."""
    return f"{scale * np.mean(numbers):8.2f} +- {scale * np.std(numbers):5.2f}"


def verdict(vary, rows):
    """Say which value to take, and which others are as good by these seeds."""
    best = max(rows, key=lambda row: np.mean(row["linear"]))
    limit = np.mean(best["linear"]) - np.std(best["linear"])
    near = [r["value"] for r in rows if r is not best and np.mean(r["linear"]) >= limit]
    text = f"Best linear accuracy: {vary} {best['value']:g}"
    if near:
        text += f"; within a standard deviation: {', '.join(f'{v:g}' for v in near)}"
    ends = best is rows[0] or best is rows[-1]
    return text + (". It is at an end: try values beyond it." if ends else ".")


def plot(vary, rows):
    """Return a figure: accuracy over shared information, values in their order."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 4), layout="constrained")
    axes = figure.subplots()
    nats = [np.mean(row["nats"]) for row in rows]
    linear = [100 * np.mean(row["linear"]) for row in rows]
    axes.errorbar(
        *(nats, linear),
        xerr=[np.std(row["nats"]) for row in rows],
        yerr=[100 * np.std(row["linear"]) for row in rows],
        **{"marker": "o", "color": "tab:blue", "ecolor": "tab:gray", "capsize": 2},
    )
    for x, y, row in zip(nats, linear, rows, strict=True):
        axes.annotate(f"{row['value']:g}", (x, y), (5, 6), textcoords="offset points")
    axes.set(
        xlabel="information that two views share, in nats (InfoNCE)",
        ylabel="linear accuracy in %",
        title=f"{vary}, {_EPOCHS.value} epochs of SimCLR",
    )
    return figure


if __name__ == "__main__":
    app.run(main)

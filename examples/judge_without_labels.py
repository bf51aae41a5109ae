"""Which measure without labels finds the encoder that labels would choose?

    python examples/judge_without_labels.py  # all presets, on the bundled sample
    python examples/judge_without_labels.py --dataset=cifar10_jpeg \
        runs/methods/*/*_cifar10_jpeg  # presets of benchmarks/methods.py

Every encoder is judged by `kc.evaluation.judge`, of 2,000 training images and one
policy, and measured with labels by `kc.zoo.measure`. Prints both, Spearman's rank
correlation of each measure with linear accuracy, also of the networks alone that saw no
labels, and the pair that it orders most wrongly. Each network comes untrained, too.
"""

import dataclasses
import pathlib

import keras
import numpy as np
from absl import app, flags

import keras_contrastive as kc
from keras_contrastive.files import write_json

_DATASET = flags.DEFINE_string("dataset", "sample", "Or one of TFDS, with labels.")
_IMAGES = flags.DEFINE_integer("num_images", 2000, "Images to judge by.")
_VIEWS = flags.DEFINE_integer("num_views", 10, "Views of each, for LiDAR.")
_SEED = flags.DEFINE_integer("seed", 0, "Of images, views, clusters, new networks.")
_OUTPUT = flags.DEFINE_string("output", "runs/judge_without_labels", "Folder.")
# What is good: more, or less.
SIGNS = {
    "effective_rank": 1,
    "rankme": 1,
    "lidar": 1,
    "alignment": -1,
    "uniformity": -1,
    "silhouette": 1,
    "spread": 1,
}


def main(argv):
    """Judge, measure, compare."""
    names = argv[1:] or kc.list_presets()
    if len(names) < 2:
        raise app.UsageError("Give two encoders or more: presets or folders of runs.")
    images = load_images(_DATASET.value)
    rows = {}
    print(f"{'':34}" + "".join(f"{key:>15}" for key in ("linear", *SIGNS)))
    for name, encoder, labels in with_untrained(names):
        found = judged(encoder, images)
        linear = kc.zoo.measure(encoder, _DATASET.value)["linear"]
        rows[name] = {"linear": linear, **found, "saw_labels": labels}
        print(f"{name:34}" + numbers(rows[name], ("linear", *SIGNS)), flush=True)
    table = {
        "all": correlations(rows),
        "without labels": correlations(
            {name: row for name, row in rows.items() if not row["saw_labels"]}
        ),
    }
    print("\nRank correlation with linear accuracy (1: the same order)")
    for kind, row in table.items():
        print(f"{kind:49}" + numbers(row, SIGNS))
    print("\nWhere each orders most wrongly")
    for key, sign in SIGNS.items():
        print(f"{key:16}{worst(rows, key, sign)}")
    output = pathlib.Path(_OUTPUT.value)
    output.mkdir(parents=True, exist_ok=True)
    write_json(output / "judge.json", {"encoders": rows, "correlations": table})


def load_images(dataset):
    """Return the training images, uint8."""
    if dataset == "sample":
        return kc.data.load_sample()[0][0]
    import tensorflow_datasets as tfds

    data = tfds.load(dataset, split="train", as_supervised=True)
    return np.stack([image for image, _ in data.take(10_000).as_numpy_iterator()])


def with_untrained(names):
    """Yield name, encoder and whether it saw labels, and each network untrained."""
    seen = set()
    for name in names:
        encoder = kc.from_preset(name)
        shape = str(encoder.input_shape[1:]) + str(encoder.count_params())
        if shape not in seen:
            seen.add(shape)
            yield (
                f"untrained, {encoder.count_params():,} weights",
                untrained(encoder),
                False,
            )
        labels = kc.zoo.describe(name)["method"] in ("SupCon", "supervised")
        yield pathlib.Path(name).name, encoder, labels


def untrained(encoder):
    """Return the same network with new weights."""
    keras.utils.set_random_seed(_SEED.value)
    return keras.models.clone_model(encoder)


def judged(encoder, images):
    """Return the numbers that need no label."""
    *size, channels = encoder.input_shape[1:]
    if channels == 3 and images.shape[-1] == 1:
        images = images.repeat(3, axis=-1)
    elif channels == 1 and images.shape[-1] == 3:
        images = images.mean(axis=-1, keepdims=True).round().astype("uint8")
    policy = kc.augmentations.simclr(tuple(size), strength=0.5, blur=0.0)
    found = kc.evaluation.judge(
        *(encoder, images, policy, _IMAGES.value, _VIEWS.value), seed=_SEED.value
    )
    return {key: dataclasses.asdict(found)[key] for key in SIGNS}


def correlations(rows):
    """Return Spearman's rank correlation of each measure, good counted up."""
    from scipy.stats import spearmanr

    linear = [row["linear"] for row in rows.values()]
    return {
        key: float(spearmanr(linear, [sign * row[key] for row in rows.values()])[0])
        for key, sign in SIGNS.items()
    }


def worst(rows, key, sign):
    """Say which better encoder is judged worse, by the most linear accuracy."""
    pairs = [
        (a["linear"] - b["linear"], better, other)
        for better, a in rows.items()
        for other, b in rows.items()
        if sign * a[key] < sign * b[key] and a["linear"] > b["linear"]
    ]
    if not pairs:
        return "nowhere"
    points, better, other = max(pairs)
    return f"{other} above {better}, which is {100 * points:.1f} points better"


def numbers(row, keys):
    """Return one line of the table."""
    return "".join(f"{row[key]:15.3f}" for key in keys)


if __name__ == "__main__":
    app.run(main)

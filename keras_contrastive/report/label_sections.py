"""What labels tell about features: accuracies, few labels, confusions."""

import dataclasses

import numpy as np
import tensorflow as tf

from keras_contrastive.evaluation.class_balanced_subset import class_balanced_subset
from keras_contrastive.evaluation.evaluate_features import evaluate_features
from keras_contrastive.evaluation.knn import knn_accuracy
from keras_contrastive.evaluation.split_by_class import split_by_class
from keras_contrastive.report.image_set import ImageSet
from keras_contrastive.report.section import Section
from keras_contrastive.report.svg import LINES

_TRAIN_ROWS, _TEST_ROWS = 10_000, 2_000
_PER_CLASS = (1, 2, 5, 10, 20, 50, 100)  # labels of the few-label curve
_DRAWS = 3
_SIDE = 32  # pixels, of raw images
_MOST_CLASSES = 20  # of a confusion matrix that is shown whole


@dataclasses.dataclass(frozen=True, eq=False)
class Labelled:
    """Labelled images to learn from, and others to be judged by.

    Args:
        train: Images, all with a label, of at least two classes.
        test: Images, all with a label.
        how: Where both came from, in words.
    """

    train: ImageSet
    test: ImageSet
    how: str


def split(images: ImageSet, test: ImageSet | None, seed: int) -> Labelled | None:
    """Return labelled training and test images, or None where there are too few.

    Without test images a fifth of each class is held out.
    """
    if test is None:
        rows, held_out = split_by_class(images.labels, seed=seed)
        train, test = images.take(rows), images.take(held_out)
        of = f"{len(test):,} held-out images (a fifth of each class, seed {seed})"
    else:
        train, test = images.take(images.labelled), test.take(test.labelled)
        of = f"{len(test):,} labelled test images"
    if len(np.unique(train.labels)) < 2 or not len(test):
        return None
    all_of, which = len(train), ""
    if len(train) > max(_TRAIN_ROWS, len(np.unique(train.labels))):
        chosen = class_balanced_subset(train.labels, _TRAIN_ROWS, seed)
        train = train.take(np.sort(chosen))
        which = f" of {all_of:,}, class-balanced, seed {seed}"
    how = f"{of}, learned from {len(train):,} labelled images{which}"
    return Labelled(train, test, how)


def scores(labelled, k: int, temperature: float, seed: int) -> Section | None:
    """Classify the test images, and say how well, class by class."""
    if labelled is None:
        return None
    train, test = labelled.train, labelled.test
    result = evaluate_features(
        train.features,
        train.labels,
        test.features,
        test.labels,
        class_names=train.class_names,
        k=k,
        temperature=temperature,
        seed=seed,
    )
    if train.class_names is None:
        names = [f"class {name}" for name in result.class_names]
        result = dataclasses.replace(result, class_names=names)
    matrix = result.confusion_matrix
    data = {
        "knn": result.knn_accuracy,
        "linear": result.accuracy,
        "classes": _classes(result),
        "names": result.class_names,
        "matrix": _cells(matrix) if len(matrix) <= _MOST_CLASSES else None,
        "confusions": _confusions(result),
    }
    protocol = (
        f"Accuracy on {labelled.how}. kNN: cosine, k = {min(k, len(train))}, "
        f"temperature {temperature:g} (kc.evaluation.knn_accuracy). Linear: logistic "
        "regression on standardised features, regularisation chosen on held-out "
        "training rows (kc.evaluation.linear_probe); the classes and confusions are "
        "of the linear classifier."
    )
    return Section("scores", "Accuracy and confusions", data, protocol)


def _classes(result):
    accuracies = result.per_class_accuracy.values()
    rows = result.confusion_matrix.sum(axis=1).tolist()
    return list(zip(result.class_names, rows, accuracies, strict=True))


def _cells(matrix):
    """Counts, and their share of the row's images."""
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    return [
        [(int(n), round(float(s), 3)) for n, s in zip(*row, strict=True)]
        for row in zip(matrix, share, strict=True)
    ]


def _confusions(result, most=8):
    """The most frequent mistakes: true class, given class, how often."""
    wrong = result.confusion_matrix.copy()
    np.fill_diagonal(wrong, 0)
    places = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = zip(*np.unravel_index(places, wrong.shape), strict=True)
    names = result.class_names
    return [(names[i], names[j], int(wrong[i, j])) for i, j in pairs if wrong[i, j]]


def few_labels(labelled, figures, temperature: float, seed: int) -> Section | None:
    """Compare the features with raw pixels, by the number of labels."""
    if labelled is None:
        return None
    train, test = labelled.train, labelled.test.draw(_TEST_ROWS, seed)
    classes, sizes = np.unique(train.labels, return_counts=True)
    counts = [n for n in _PER_CLASS if n <= sizes.min()]
    if not counts:
        return None
    test_pixels = _pixels(test.images)
    rows = []
    for per_class in counts:
        accuracies: dict[str, list[float]] = {"features": [], "raw pixels": []}
        for draw in range(_DRAWS):
            chosen = class_balanced_subset(
                train.labels, per_class * len(classes), seed + draw
            )
            labels = train.labels[chosen]
            for name, x, test_x in (
                ("features", train.features[chosen], test.features),
                ("raw pixels", _pixels(train.images[chosen]), test_pixels),
            ):
                accuracies[name].append(
                    knn_accuracy(
                        x,
                        labels,
                        test_x,
                        test.labels,
                        k=min(20, per_class),
                        temperature=temperature,
                    )
                )
        rows.append({"labels": per_class * len(classes), **accuracies})
    return Section(
        "few_labels",
        "How few labels are enough?",
        {"rows": rows, "svg": _few_label_figure(rows, figures)},
        f"kNN accuracy on {len(test):,} of the test images by the number of labels, "
        f"the same number of each of {len(classes)} classes: mean, lowest and highest "
        f"of {_DRAWS} draws (seeds {seed} to {seed + _DRAWS - 1}). Cosine, temperature "
        f"{temperature:g}, k = the labels of each class, at most 20. Raw pixels: the "
        f"images themselves, larger ones shrunk to {_SIDE} x {_SIDE}.",
    )


def _pixels(images):
    """Images as features in [0, 1], large ones made smaller."""
    images = np.asarray(images, "float32")
    if max(images.shape[1:3]) > _SIDE:
        images = tf.image.resize(images, (_SIDE, _SIDE), antialias=True).numpy()
    return images.reshape(len(images), -1) / 255


def _few_label_figure(rows, figures):
    counts = [row["labels"] for row in rows]

    def draw(axis):
        for color, (name, style) in zip(
            LINES, {"features": "-o", "raw pixels": "--s"}.items(), strict=False
        ):
            values = 100 * np.array([row[name] for row in rows])
            axis.plot(counts, values.mean(axis=1), style, color=color, label=name)
            axis.fill_between(
                counts, values.min(axis=1), values.max(axis=1), color=color, alpha=0.2
            )
        axis.set_xscale("log")
        axis.set_xticks(counts, [f"{count:,}" for count in counts])
        axis.minorticks_off()
        axis.set_xlabel("labels")
        axis.set_ylabel("kNN accuracy in %")
        axis.legend(frameon=False)

    label = "kNN accuracy of features and of raw pixels by the number of labels, "
    return figures.draw(draw, f"{label}the numbers of the table", size=(6, 3.4))

"""What an encoder is worth to someone with few labels."""

import hashlib
import json

import keras
import numpy as np

from keras_contrastive.encoder_checks import check_encoder
from keras_contrastive.evaluation.class_balanced_subset import class_balanced_subset
from keras_contrastive.evaluation.features import extract_features
from keras_contrastive.evaluation.few_label_result import FewLabelResult
from keras_contrastive.evaluation.fine_tuning import (
    FineTuning,
    accuracy,
    check_labelled_images,
)
from keras_contrastive.evaluation.linear_probe import linear_probe


def few_label_evaluation(
    encoder: keras.Model,
    train_x,
    train_y,
    test_x,
    test_y,
    fractions: tuple[float, ...] = (0.01, 0.1, 1.0),
    draws: int = 5,
    fine_tune: bool | tuple[float, ...] = True,
    fine_tuning: FineTuning | None = None,
    seed: int = 0,
    baseline: FewLabelResult | None = None,
    verbose: bool = False,
) -> FewLabelResult:
    """Compare an encoder with training from scratch when labels are few.

    For every fraction, class-balanced sets of training labels are drawn with fixed
    seeds, and four classifiers see the same sets:

    - `"raw pixels"`: a linear classifier on pixels, see `linear_probe`;
    - `"linear"`: a linear classifier on the encoder's features;
    - `"fine-tuned"`: the encoder trained further, see `FineTuning`;
    - `"from scratch"`: the same network from new random weights, by the same
      `FineTuning`: same budget, augmentation and choice of the learning rate.

    What has to be chosen (regularisation, learning rate) is chosen on held-out
    training labels. The learning rates of `"fine-tuned"` and `"from scratch"` are
    chosen for each network and fraction on the labels of the first draw, and serve
    all draws. There is one set of all labels, so the fraction 1 has one draw.

    The cost is that of `2 * (draws + len(learning_rates))` trainings for each
    fraction below 1. A training on 600 images of 28x28 pixels, 1,000 steps of 64,
    took a ResNet-10 of width 16 about two minutes on a busy machine of two cores.

    Args:
        encoder: A functional `keras.Model` from images to features `(batch, dim)`.
        train_x: Images in [0, 255], `(n, height, width, channels)`.
        train_y: Integer classes, `(n,)`; only the labels that are drawn are used.
        test_x: Images in [0, 255], `(m, height, width, channels)`.
        test_y: Integer classes, `(m,)`. A class that `train_y` lacks counts as an
            error.
        fractions: Shares of the training labels, each in (0, 1].
        draws: Sets of labels drawn for each fraction below 1, at least 1. Draw `i`
            has the seed `seed + i`.
        fine_tune: Whether to train networks at all, or at which of `fractions`. False
            leaves the last two rows out, and what remains takes seconds.
        fine_tuning: How networks are trained; None is `FineTuning()`.
        seed: Integer >= 0; the same seed gives the same label sets and, on one CPU,
            the same result up to rounding.
        baseline: The result of another encoder of the same network, by the same
            arguments: what does not depend on its weights, `"raw pixels"` and
            `"from scratch"`, is taken from there. Saves half of the time.
        verbose: Whether to print each accuracy as it is known.

    Returns:
        A `FewLabelResult`: `print(result)` is the table, `result.save("few.json")`
        writes it, `result.mean("fine-tuned", 0.01)` is a number in [0, 1].

    Raises:
        ImportError: scikit-learn is missing (see `linear_probe`).
        TypeError: `encoder` is not a `keras.Model`.
        ValueError: A fraction outside (0, 1] or with fewer labels than classes; images
            that the encoder does not take, of a wrong range, or with NaN; a label of
            -1; labels that do not fit the images; a `baseline` of another protocol.

    Example:
    >>> encoder = keras_contrastive.encoders.resnet(10, 8, input_shape=(28, 28, 1))
    >>> (x, y), _ = keras_contrastive.data.load_sample()
    >>> result = keras_contrastive.evaluation.few_label_evaluation(
    ...     encoder, x[:200], y[:200], x[200:400], y[200:400],
    ...     fractions=(0.5,), draws=1, fine_tune=False)
    >>> 0.4 < result.mean("raw pixels", 0.5) < 0.9
    True

    References:
        - [Chen et al., 2020](https://arxiv.org/abs/2002.05709), table 7 (1 % and 10 %)
    """
    encoder = getattr(encoder, "encoder", encoder)
    check_encoder(encoder)
    train_x, train_y = check_labelled_images(train_x, train_y, "train")
    test_x, test_y = check_labelled_images(test_x, test_y, "test")
    classes, train_y = np.unique(train_y, return_inverse=True)
    test_y = _numbered(classes, test_y)
    if len(classes) < 2:
        raise ValueError(
            "`train_y` must have at least two classes. "
            f"Received: only class {classes[0]}"
        )
    counts = _counts(fractions, len(classes), len(train_y))
    if not isinstance(draws, int) or draws < 1:
        raise ValueError(f"`draws` must be an int >= 1. Received: draws={draws!r}")

    fine_tuning = fine_tuning or FineTuning()
    tuned = _tuned(fine_tune, counts)
    protocol = {
        "draws": draws,
        "seed": seed,
        "data": f"SHA-256 {_digest(train_x, train_y, test_x, test_y)}...",
        "train_images": len(train_x),
        "test_images": len(test_x),
        "network": f"{encoder.count_params():,} parameters",
        "linear": "logistic regression on standardised features, regularisation "
        "chosen by cross-entropy on held-out training labels",
        "fine_tuning": fine_tuning.describe() if tuned else None,
    }
    known = _known(baseline, protocol, counts, tuned)
    probed = {
        "raw pixels": (_flat(train_x), _flat(test_x)),
        "linear": tuple(extract_features(encoder, x) for x in (train_x, test_x)),
    }
    trained = {"fine-tuned": False, "from scratch": True}  # whether from scratch
    scores = []

    def add(measure, fraction, accuracies, **more):
        labels = counts[fraction]
        score = {"measure": measure, "fraction": fraction, "labels": labels}
        scores.append({**score, "accuracies": accuracies, **more})
        if verbose:
            print(f"{measure}, {labels:,} labels: {np.round(accuracies, 4)}")

    def add_known(measure, fraction):
        if (measure, fraction) in known:
            scores.append(known[measure, fraction])
        return (measure, fraction) in known

    for fraction, count in counts.items():
        seeds = range(seed, seed + (draws if count < len(train_y) else 1))
        subsets = [class_balanced_subset(train_y, count, s) for s in seeds]
        for measure, (train, test) in probed.items():
            if add_known(measure, fraction):
                continue
            add(
                measure,
                fraction,
                [linear_probe(train[i], train_y[i], test, test_y) for i in subsets],
            )
        for measure, from_scratch in trained.items() if fraction in tuned else ():
            if add_known(measure, fraction):
                continue
            rate = fine_tuning.choose(
                encoder, train_x[subsets[0]], train_y[subsets[0]], from_scratch, seed
            )
            accuracies = []
            for i, s in zip(subsets, seeds, strict=True):
                model = fine_tuning.fit(
                    encoder, train_x[i], train_y[i], rate, from_scratch, s
                )
                accuracies.append(accuracy(model, test_x, test_y))
            add(measure, fraction, accuracies, learning_rate=rate)

    return FewLabelResult(scores, protocol)


def _digest(*arrays):
    """The beginning of the SHA-256 of images and labels: which data it was."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.dtype} {array.shape}".encode())
        found.update(np.ascontiguousarray(array))
    return found.hexdigest()[:16]


def _flat(images):
    """Pixels as features in [0, 1]."""
    return images.reshape(len(images), -1).astype("float32") / 255


def _numbered(classes, labels):
    """The positions of labels among `classes`; past the end where one is absent."""
    positions = np.minimum(np.searchsorted(classes, labels), len(classes) - 1)
    return np.where(classes[positions] == labels, positions, len(classes))


def _counts(fractions, classes, labels):
    """The number of labels of each fraction."""
    fractions = tuple(fractions)
    if not fractions or not all(0 < fraction <= 1 for fraction in fractions):
        raise ValueError(
            "`fractions` must be shares of the labels in (0, 1], such as 0.01 for 1 %. "
            f"Received: fractions={fractions}"
        )
    counts = {fraction: round(fraction * labels) for fraction in fractions}
    if min(counts.values()) < classes:
        raise ValueError(
            f"`fractions` must leave a label for each of the {classes} classes, at "
            f"least {classes / labels:.2g} of {labels} labels. Received: "
            f"fractions={fractions}"
        )
    return counts


def _tuned(fine_tune, fractions):
    """The fractions at which networks are trained."""
    if isinstance(fine_tune, bool):
        return (*fractions,) if fine_tune else ()
    if not isinstance(fine_tune, tuple | list) or not {*fine_tune} <= {*fractions}:
        raise ValueError(
            "`fine_tune` must be True, False or some of `fractions`. "
            f"Received: fine_tune={fine_tune}, fractions={tuple(fractions)}"
        )
    return tuple(fine_tune)


def _known(baseline, protocol, fractions, tuned):
    """Scores of a baseline that the weights have no part in, by measure, fraction."""
    if baseline is None:
        return {}
    before, protocol = (
        json.loads(json.dumps(x)) for x in (baseline.protocol, protocol)
    )
    differ = [k for k in {**protocol, **before} if before.get(k) != protocol.get(k)]
    if differ:
        raise ValueError(
            "`baseline` must have been made by the same protocol. Received: other "
            + ", ".join(f"{k} ({before.get(k)}, not {protocol.get(k)})" for k in differ)
        )
    wanted = {("raw pixels", fraction) for fraction in fractions}
    wanted |= {("from scratch", fraction) for fraction in tuned}
    scores = {(score["measure"], score["fraction"]): score for score in baseline.scores}
    return {key: score for key, score in scores.items() if key in wanted}

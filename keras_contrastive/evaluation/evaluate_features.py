"""Everything that labels tell about features, and a classifier to keep."""

import keras
import numpy as np

from keras_contrastive.evaluation.evaluation_result import EvaluationResult
from keras_contrastive.evaluation.knn import knn_accuracy
from keras_contrastive.evaluation.labelled import (
    check_labelled,
    check_labels,
    is_labelled,
)
from keras_contrastive.evaluation.linear_probe import CANDIDATES, fit_linear
from keras_contrastive.layers.classification_head import ClassificationHead


def evaluate_features(
    train_x,
    train_y,
    test_x,
    test_y,
    class_names: list[str] | None = None,
    k: int = 20,
    temperature: float = 0.1,
    candidates: tuple[float, ...] = CANDIDATES,
    seed: int = 0,
) -> EvaluationResult:
    """Classify test features, and say how well, class by class.

    The classifier is that of `linear_probe`, its standardisation folded into one dense
    layer with softmax: a Keras model that can be saved, and put behind the encoder.

    Args:
        train_x: Features, `(n, dim)`.
        train_y: Integer classes or class names, `(n,)`; rows with the label -1 are
            ignored.
        test_x: Features, `(m, dim)`.
        test_y: As `train_y`, `(m,)`. Rows with the label -1 are classified too, but
            count for nothing. A class that `train_y` lacks counts as an error.
        class_names: Of integer classes: class `i` is `class_names[i]`, as of
            `kc.data.images_from_directory`. By default `"0"`, `"1"`, ...
        k: Of `knn_accuracy`.
        temperature: Of `knn_accuracy`.
        candidates: Of `linear_probe`.
        seed: Of `linear_probe`.

    Returns:
        An `EvaluationResult`: `print(result)` is a table, `result.predictions` the
        classes, `result.build_classifier(encoder)` one model from images to
        probabilities.

    Raises:
        ImportError: scikit-learn is missing.
        ValueError: As in `linear_probe` and `knn_accuracy`; `class_names` of classes
            that have names, or too few of them.

    Example:
    >>> x, y = np.repeat(np.eye(3), 10, axis=0), np.repeat(["cat", "dog", "owl"], 10)
    >>> result = keras_contrastive.evaluation.evaluate_features(x, y, x, y)
    >>> print(result)
    linear 100.0 %, kNN 100.0 % of 30 test rows (30 training rows, 3 classes)
    class        rows  accuracy  most often taken for
    cat            10   100.0 %
    dog            10   100.0 %
    owl            10   100.0 %
    """
    all_x, all_y = test_x, test_y
    train_x, train_y, test_x, test_y = check_labelled(train_x, train_y, test_x, test_y)
    named = np.unique(np.concatenate([train_y, test_y]))  # classes, in order
    names = _names(named, class_names)
    scaler, model = fit_linear(train_x, train_y, candidates, seed)
    known = [names[i] for i in np.searchsorted(named, model.classes_)]
    classifier = _as_keras(scaler, model, known)

    probabilities = np.asarray(classifier(np.asarray(all_x, "float32")))
    predictions = model.classes_[np.argmax(probabilities, axis=1)]
    labelled = is_labelled(check_labels(all_y, len(predictions), "test_x", "test_y"))
    confusion_matrix = np.zeros((len(named), len(named)), "int64")
    truth, answer = (np.searchsorted(named, x) for x in (test_y, predictions[labelled]))
    np.add.at(confusion_matrix, (truth, answer), 1)
    return EvaluationResult(
        accuracy=float(np.mean(predictions[labelled] == test_y)),
        knn_accuracy=knn_accuracy(train_x, train_y, test_x, test_y, k, temperature),
        class_names=names,
        confusion_matrix=confusion_matrix,
        predictions=predictions,
        probabilities=probabilities,
        classifier=classifier,
        protocol={
            "linear": f"kc.evaluation.linear_probe, {candidates=}, {seed=}",
            "knn": f"cosine, {k=}, {temperature=}",
            "train_rows": len(train_y),
            "test_rows": len(test_y),
        },
    )


def _names(classes, class_names):
    """The name of each class."""
    if class_names is None:
        return [str(label) for label in classes]
    if classes.dtype.kind == "U":
        raise ValueError(
            "`class_names` are for integer classes. Received: class_names="
            f"{class_names!r} and classes such as {classes.tolist()[0]!r}, which are "
            "names. Leave it out."
        )
    if not 0 <= classes[0] <= classes[-1] < len(class_names):
        raise ValueError(
            "`class_names` must name every class; class i is class_names[i]. Received: "
            f"{len(class_names)} names, and classes from {classes[0]} to {classes[-1]}"
        )
    return [str(class_names[label]) for label in classes]


def _as_keras(scaler, model, names):
    """Standardisation and logistic regression as one dense layer with softmax."""
    kernel, bias = model.coef_.T.astype("float64"), model.intercept_.astype("float64")
    if len(names) == 2:  # scikit-learn holds the logit of the second class alone
        kernel = np.concatenate([np.zeros_like(kernel), kernel], axis=1)
        bias = np.concatenate([np.zeros_like(bias), bias])
    kernel = kernel / scaler.scale_[:, None]
    bias = bias - scaler.mean_ @ kernel
    features = keras.Input((len(kernel),), name="features")
    head = ClassificationHead(
        names, activation="softmax", dtype="float32", name="probabilities"
    )
    classifier = keras.Model(features, head(features), name="classifier")
    head.set_weights([kernel, bias])
    return classifier

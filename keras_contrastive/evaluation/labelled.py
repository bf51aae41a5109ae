"""The checks that all evaluations of labelled features share."""

import numpy as np


def check_labelled(train_x, train_y, test_x, test_y):
    """Return float32 features and 1-D labels of the rows that have a label.

    Args:
        train_x: Features, `(n, dim)`.
        train_y: Integers or strings, `(n,)` or `(n, 1)`; the integer -1 means
            unlabelled, as in the unlabelled split of STL-10, and drops the row.
        test_x: Features, `(m, dim)`.
        test_y: Of the same kind as `train_y`, `(m,)` or `(m, 1)`.

    Returns:
        `(train_x, train_y, test_x, test_y)` without the unlabelled rows; labels are
        int64 or str.

    Raises:
        ValueError: Shapes that do not fit, features that are not finite, labels that
            are neither class numbers nor names, or numbers in one part and names in
            the other; no labelled row.
    """
    train_x, train_y = _labelled(train_x, train_y, "train_x", "train_y")
    test_x, test_y = _labelled(test_x, test_y, "test_x", "test_y")
    if train_x.shape[1] != test_x.shape[1]:
        raise ValueError(
            "`train_x` and `test_x` must have the same number of features. "
            f"Received: {train_x.shape[1]} and {test_x.shape[1]}"
        )
    if train_y.dtype.kind != test_y.dtype.kind:
        raise ValueError(
            "`train_y` and `test_y` must both hold class numbers, or both class names. "
            f"Received: train_y such as {train_y.tolist()[0]!r} and test_y such as "
            f"{test_y.tolist()[0]!r}"
        )
    return train_x, train_y, test_x, test_y


def is_labelled(labels):
    """Return which labels are known: all names, and integers other than -1."""
    return labels != -1 if labels.dtype.kind in "iu" else np.full(len(labels), True)


def check_labels(labels, count: int, x: str, y: str):
    """Return labels as int64 or str, `(n,)`, or raise ValueError.

    Args:
        labels: Integers, strings or bytes, `(n,)` or `(n, 1)`.
        count: The number of rows they must have.
        x: What the rows are called, for the message.
        y: What the labels are called.
    """
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] == 1:  # as keras.datasets gives them
        labels = labels[:, 0]
    kind = labels.dtype.kind
    if kind == "O" and all(isinstance(label, str | bytes) for label in labels.flat):
        kind = "U"  # as TensorFlow and pandas give strings
    if labels.shape != (count,) or kind not in "iuUS":
        raise ValueError(
            f"`{y}` must hold one integer class per row of `{x}` ({count} rows), or "
            "its name; use `np.argmax(y, axis=-1)` for one-hot labels. "
            f"Received: {y} of shape {labels.shape} and dtype {labels.dtype}"
        )
    if kind in "iu":
        return labels.astype("int64")
    return np.array([x.decode() if isinstance(x, bytes) else x for x in labels], "U")


def check_rows(features, labels, x: str, y: str):
    """Return float32 features and the labels of `check_labels`, or raise ValueError.

    Args:
        features: `(n, dim)`.
        labels: As in `check_labels`; at least one of them is known.
        x: What the features are called, for the message.
        y: What the labels are called.
    """
    features = np.asarray(features, "float32")
    if features.ndim != 2:
        raise ValueError(
            f"`{x}` must be features of shape (n, dim); flatten images with "
            "`x.reshape(len(x), -1)`. "
            f"Received: {x} of shape {features.shape}"
        )
    labels = check_labels(labels, len(features), x, y)
    if not np.isfinite(features).all():
        raise ValueError(
            f"`{x}` must be finite. Received: features with NaN or infinity, as "
            "from a training run that diverged; try a lower learning rate."
        )
    if not is_labelled(labels).any():
        raise ValueError(
            f"`{y}` must have labels. Received: {len(labels)} rows, all of them "
            "unlabelled (-1)."
        )
    return features, labels


def _labelled(features, labels, x, y):
    features, labels = check_rows(features, labels, x, y)
    labelled = is_labelled(labels)
    return features[labelled], labels[labelled]

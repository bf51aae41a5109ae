"""The check that all evaluations of labelled features share."""

import numpy as np


def check_labelled(features, labels, name: str):
    """Return float32 features and 1-D labels of the rows that have a label.

    Args:
        features: Array of shape `(n, dim)`.
        labels: Integers of shape `(n,)` or `(n, 1)`; -1 means unlabelled, as in the
            unlabelled split of STL-10, and drops the row.
        name: `"train"` or `"test"`, for the messages.

    Returns:
        `(features, labels)` without the unlabelled rows.

    Raises:
        ValueError: Shapes that do not fit, features that are not finite, labels that
            are not class numbers, or no labelled row.
    """
    features = np.asarray(features, "float32")
    labels = np.asarray(labels)
    if features.ndim != 2:
        raise ValueError(
            f"`{name}_x` must be features of shape (n, dim); flatten images with "
            "`x.reshape(len(x), -1)`. "
            f"Received: {name}_x of shape {features.shape}"
        )
    if labels.ndim == 2 and labels.shape[1] == 1:  # as keras.datasets gives them
        labels = labels[:, 0]
    if labels.shape != (len(features),) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"`{name}_y` must hold one integer class per row of `{name}_x` "
            f"({len(features)} rows); use `np.argmax(y, axis=-1)` for one-hot labels. "
            f"Received: {name}_y of shape {labels.shape} and dtype {labels.dtype}"
        )
    if not np.isfinite(features).all():
        raise ValueError(
            f"`{name}_x` must be finite. Received: features with NaN or infinity, as "
            "from a training run that diverged; try a lower learning rate."
        )
    labelled = labels != -1
    if not labelled.any():
        raise ValueError(
            f"`{name}_y` must have labels. Received: {len(labels)} rows, all of them "
            "unlabelled (-1)."
        )
    return features[labelled], labels[labelled].astype("int64")

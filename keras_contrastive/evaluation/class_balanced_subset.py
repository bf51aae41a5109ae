"""Draw the labels that a few-label evaluation may use."""

import numpy as np


def class_balanced_subset(labels, count: int, seed: int = 0) -> np.ndarray:
    """Draw examples at random, the same number of each class.

    Draws of one seed are nested: of a balanced data set, the examples of a smaller
    draw are all among those of a larger one.

    Args:
        labels: Integer classes, `(n,)`.
        count: Examples to draw, from the number of classes up to `n`. Where classes
            do not divide it, or one has too few examples, the rest is spread evenly
            over the others.
        seed: Integer >= 0; the same seed gives the same draw.

    Returns:
        Indices `(count,)` into `labels`, sorted by class and in random order within
        a class.

    Raises:
        ValueError: `labels` is not one integer per example, or `count` is out of
            range.

    Example:
    >>> labels = np.arange(1000) % 10
    >>> chosen = keras_contrastive.evaluation.class_balanced_subset(labels, 20)
    >>> np.bincount(labels[chosen])
    array([2, 2, 2, 2, 2, 2, 2, 2, 2, 2])
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ValueError(
            "`labels` must hold one integer class per example, shape (n,). Received: "
            f"labels of shape {labels.shape} and dtype {labels.dtype}"
        )
    classes = np.unique(labels)
    if not len(classes) <= count <= len(labels):
        raise ValueError(
            "`count` must be at least the number of classes and at most the number of "
            f"labels, here from {len(classes)} to {len(labels)}. Received: {count=}. "
            "Use more labels, or a larger fraction of them."
        )
    order = np.random.default_rng(seed).permutation(len(labels))
    turn = np.empty(len(labels), "int64")  # 0 for the first example of each class, ...
    for label in classes:
        members = order[labels[order] == label]
        turn[members] = np.arange(len(members))
    chosen = order[np.argsort(turn[order], kind="stable")[:count]]
    return chosen[np.argsort(labels[chosen], kind="stable")]

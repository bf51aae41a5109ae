"""Weighted k-nearest-neighbour accuracy."""

import numpy as np

from keras_contrastive.evaluation.labelled import check_labelled
from keras_contrastive.evaluation.neighbors import nearest_neighbors

_BLOCK = 4096  # test rows whose votes are counted at a time


def knn_accuracy(
    train_x, train_y, test_x, test_y, k: int = 200, temperature: float = 0.1
) -> float:
    """Classify test features by their nearest training features.

    Nothing is trained, so it takes seconds and has no setting that matters much: the
    measure to follow during pre-training. With cosine similarity `s` and the `k`
    nearest training rows `N_k(i)` of test row `i`,

        score_c(i) = sum over j in N_k(i) of 1[y_j = c] * exp(s_ij / temperature)

    and the class with the highest score is predicted (Wu et al., 2018, section 3.4).

    Args:
        train_x: Features, `(n, dim)`; need not be normalised.
        train_y: Integer classes or class names, `(n,)`. Integers need not be
            contiguous; rows with the label -1 (unlabelled) are ignored.
        test_x: Features, `(m, dim)`.
        test_y: As `train_y`, `(m,)`; rows with the label -1 are ignored. A class that
            `train_y` lacks counts as an error.
        k: Neighbours that vote; all training rows when there are fewer than `k`.
        temperature: Above 0. Lower: the nearest neighbours count more.

    Returns:
        The fraction of test rows classified correctly, in [0, 1].

    Raises:
        ValueError: A wrong shape, dtype, `k` or `temperature`; features that are not
            finite; no labels.

    Example:
    >>> x, y = np.eye(3), np.arange(3)
    >>> keras_contrastive.evaluation.knn_accuracy(x, y, x + 0.1, y, k=1)
    1.0

    References:
        - [Wu et al., 2018](https://arxiv.org/abs/1805.01978)
    """
    if not temperature > 0:
        raise ValueError(f"`temperature` must be > 0. Received: {temperature=}")
    train_x, train_y, test_x, test_y = check_labelled(train_x, train_y, test_x, test_y)

    classes, train_y = np.unique(train_y, return_inverse=True)
    neighbours, similarity = nearest_neighbors(train_x, test_x, k)  # (m, k)
    correct = 0
    for start in range(0, len(test_x), _BLOCK):
        block = slice(start, start + _BLOCK)
        # Relative to the nearest one: exp stays finite, the argmax is the same.
        s = similarity[block].astype("float64")
        votes = np.exp((s - s[:, :1]) / temperature)
        scores = np.zeros((len(votes), len(classes)))
        rows = np.arange(len(votes))[:, None]
        np.add.at(scores, (rows, train_y[neighbours[block]]), votes)
        predicted = classes[np.argmax(scores, axis=1)]
        correct += int(np.count_nonzero(predicted == test_y[block]))
    return float(correct / len(test_x))

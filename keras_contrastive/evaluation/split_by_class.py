"""Hold out a share of the labelled examples."""

import numpy as np

from keras_contrastive.evaluation.labelled import is_labelled


def split_by_class(
    labels, share: float = 0.2, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Split labelled examples at random into those to train on and those held out.

    Of each class the same share is held out, at least one example, and none where
    there is one only. Examples without a label (-1) are in neither part.

    Args:
        labels: Integer classes or class names, `(n,)`.
        share: Share of each class that is held out, in (0, 1).
        seed: Integer >= 0; the same seed gives the same split.

    Returns:
        `(train, held_out)`: two arrays of indices into `labels`, in order.

    Raises:
        ValueError: `share` is out of range, or `labels` are not one class each.

    Example:
    >>> labels = np.array(["cat"] * 10 + ["dog"] * 5)
    >>> train, held_out = keras_contrastive.evaluation.split_by_class(labels)
    >>> labels[held_out].tolist()
    ['cat', 'cat', 'dog']
    """
    if not 0 < share < 1:
        raise ValueError(f"`share` must be in (0, 1). Received: {share=}")
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.dtype.kind not in "iuUS":
        raise ValueError(
            "`labels` must hold one integer class or class name per example, shape "
            f"(n,). Received: labels of shape {labels.shape} and dtype {labels.dtype}"
        )
    known = is_labelled(labels)
    order = np.random.default_rng(seed).permutation(len(labels))
    chosen = [np.zeros(0, "int64")]
    for label in np.unique(labels[known]):
        members = order[labels[order] == label]
        count = max(1, int(share * len(members))) if len(members) > 1 else 0
        chosen.append(members[:count])
    held_out = np.sort(np.concatenate(chosen))
    return np.setdiff1d(np.flatnonzero(known), held_out), held_out

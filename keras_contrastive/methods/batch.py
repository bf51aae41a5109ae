"""What a method gets for one step, and what it says that it needs."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Batch:
    """One batch, as every method sees it.

    Args:
        views: Tuple of float tensors `(batch, height, width, channels)` in [0, 255].
        labels: Integer class ids `(batch,)`, or None.
        ids: Integer numbers of the examples in the data set, `(batch,)`, or None.
        step: Integer scalar: updates that the optimizer has made; -1 in `evaluate`.
        epoch: Integer scalar: epoch of the run, from 0 on; in `evaluate` the one that
            training has come to.
    """

    views: tuple
    labels: Any = None
    ids: Any = None
    step: Any = -1
    epoch: Any = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Needs:
    """What a method needs of its data: the source of every check and message.

    Args:
        min_views: Least number of views of each image.
        max_views: Largest number of views, or None for any.
        labels: Whether it learns from labels.
        unlabelled: Whether some examples, if it does, may be without one, -1.
        ids: Whether it must know which example of the data set is which; the method
            has an attribute `num_examples` then.
        predictor: Whether it has, or may be given, a predictor.
        fitting_views: Whether the first two views must have the encoder's input shape.
        max_batch: Largest global batch, or None for any: as many earlier embeddings as
            the model's queue holds.
        min_epochs: Least number of epochs of a run: that of its longest schedule; 0
            for a method that counts none.
    """

    min_views: int = 2
    max_views: int | None = 2
    labels: bool = False
    unlabelled: bool = False
    ids: bool = False
    predictor: bool = False
    fitting_views: bool = True
    max_batch: int | None = None
    min_epochs: int = 0

    def of_crops(self, local_views: int | None, **changes) -> "Needs":
        """Return these needs for two large views and that many small ones.

        Args:
            local_views: Number of small views; None for any.
            **changes: Other needs.
        """
        if local_views is not None:
            changes["min_views"] = changes["max_views"] = 2 + local_views
        return dataclasses.replace(self, **changes)


def split_targets(targets) -> tuple[Any, Any]:
    """Return labels and ids of what a dataset yields beside the views.

    Args:
        targets: Labels, None, or a dict with `"label"`, `"id"` or both.

    Raises:
        ValueError: A dict with other keys.
    """
    if not isinstance(targets, dict):
        return targets, None
    unknown = sorted(set(targets) - {"label", "id"})
    if unknown:
        raise ValueError(
            "Beside the views a dataset may yield labels, or a dict with the keys "
            f'"label" and "id". Received: a dict with {", ".join(unknown)}.'
        )
    return targets.get("label"), targets.get("id")

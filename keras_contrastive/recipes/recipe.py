"""One method's constants on one kind of images, each with its source."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras

from keras_contrastive.optimizers import WarmupCosine, linear_scaling

_NOT_CONSTANTS = ("method", "images", "sources", "notes")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """The constants of one method on one kind of images, and where they come from.

    The mappings are keyword arguments as they stand: `method_arguments` of the
    method, `projector` and `predictor` of `keras_contrastive.layers.ProjectionHead`,
    `target_momentum` of `keras_contrastive.callbacks.MomentumUpdate`.

    Args:
        method: Name of the method's class, such as `"BYOL"`.
        images: The kind of images, in words.
        encoder: The encoder that the paper trained, in words.
        epochs: Length of the run.
        batch_size: Global batch size.
        optimizer_class: `LARS` or `CoupledSGD`.
        optimizer_arguments: Further arguments of `optimizer_class`.
        optimizer_momentum: Momentum of the optimizer, in [0, 1).
        weight_decay: Coupled weight decay, >= 0.
        base_learning_rate: Peak learning rate for `reference_batch` images.
        reference_batch: Batch size that `base_learning_rate` is stated for.
        scaling: How the peak grows with the batch size, see `WarmupCosine`.
        warmup_epochs: Epochs of linear warm-up, from `warmup_start`.
        warmup_start: Learning rate of the first step.
        warmup_limit: Largest share of a run that warms up: one shorter than the
            paper's warms up in proportion.
        final_learning_rate: Learning rate at the end of the cosine.
        method_arguments: Arguments of the method.
        projector: Arguments of the projector.
        predictor: Arguments of the predictor, empty without one.
        target_momentum: How the target follows, empty without a target.
        augmentation: Name of the policy in `keras_contrastive.augmentations`.
        sources: For every constant, or for a mapping as a whole, its source.
        notes: Where training with this package differs from the authors'.

    Example:
        recipe = kc.recipes.SCE_SMALL
        head = kc.layers.ProjectionHead(**recipe.projector)
        rule = kc.callbacks.MomentumUpdate(**recipe.target_momentum)
        model = kc.SCE(encoder, head, **recipe.method_arguments)
        model.compile(recipe.optimizer(), momentum_update=rule)
    """

    method: str
    images: str
    encoder: str
    epochs: int
    batch_size: int
    optimizer_class: type[keras.optimizers.Optimizer]
    optimizer_arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    optimizer_momentum: float = 0.9
    weight_decay: float
    base_learning_rate: float
    reference_batch: int = 256
    scaling: Callable[[int, int], float] = linear_scaling
    warmup_epochs: float
    warmup_start: float = 0.0
    warmup_limit: float = 0.1
    final_learning_rate: float = 0.0
    method_arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    projector: Mapping[str, Any]
    predictor: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    target_momentum: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    augmentation: str
    sources: Mapping[str, str]
    notes: str = ""

    def schedule(self) -> WarmupCosine:
        """Return the learning rate, not yet bound to a run."""
        return WarmupCosine(
            self.base_learning_rate,
            warmup_epochs=self.warmup_epochs,
            reference_batch=self.reference_batch,
            scaling=self.scaling,
            start=self.warmup_start,
            final=self.final_learning_rate,
            warmup_limit=self.warmup_limit,
        )

    def optimizer(self) -> keras.optimizers.Optimizer:
        """Return a new optimizer with a schedule that is not yet bound to a run."""
        return self.optimizer_class(
            self.schedule(),
            momentum=self.optimizer_momentum,
            weight_decay=self.weight_decay,
            **self.optimizer_arguments,
        )

    def constants(self) -> list[tuple[str, Any, str]]:
        """Return (name, value, source) of every constant, the rows of `print`."""
        rows = []
        for field in dataclasses.fields(self):
            name, value = field.name, getattr(self, field.name)
            if name in _NOT_CONSTANTS:
                continue
            if isinstance(value, Mapping):
                leaves = [(f"{name}.{key}", leaf) for key, leaf in value.items()]
            else:
                leaves = [(name, value)]
            for leaf_name, leaf in leaves:
                source = self.sources.get(leaf_name) or self.sources.get(name, "")
                rows.append((leaf_name, leaf, source))
        return rows

    def __str__(self):
        rows = [(n, getattr(v, "__name__", str(v)), s) for n, v, s in self.constants()]
        widths = [max(len(row[i]) for row in rows) for i in (0, 1)]
        lines = [f"{n:{widths[0]}}  {v:{widths[1]}}  {s}".rstrip() for n, v, s in rows]
        return "\n".join([f"{self.method}, {self.images}", *lines, self.notes]).rstrip()


def from_source(source: str, **exceptions: str) -> dict[str, str]:
    """Return `sources` with one source for all constants, but for `exceptions`."""
    names = (field.name for field in dataclasses.fields(Recipe))
    sources = {name: source for name in names if name not in _NOT_CONSTANTS}
    sources["warmup_limit"] = "chosen here: no effect at the paper's length"
    return {**sources, **exceptions}

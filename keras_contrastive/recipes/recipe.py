"""One method's constants on one kind of images, each with its source."""

import dataclasses
import importlib
from collections.abc import Callable, Mapping
from typing import Any

import keras

from keras_contrastive import layers
from keras_contrastive.callbacks.momentum_update import MomentumUpdate
from keras_contrastive.encoder_checks import check_encoder
from keras_contrastive.layers.projection_head import ProjectionHead
from keras_contrastive.optimizers import WarmupCosine, linear_scaling

_NOT_CONSTANTS = ("method", "images", "sources", "notes")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """The constants of one method on one kind of images, and where they come from.

    `policy` makes its augmentation, and `model` the method with all its constants,
    compiled. The mappings are keyword arguments: `method_arguments` of the method,
    `loss_arguments` of `loss_class`, `projector` of `projector_class`, `predictor` of
    `kc.layers.ProjectionHead`, `target_momentum` of `kc.callbacks.MomentumUpdate`,
    `augmentation_arguments` of the policy. `"dim"` among the `hidden_units` of a head
    is the width of its input.

    Args:
        method: Name of the method's class, such as `"BYOL"`.
        images: The kind of images, in words.
        encoder: The encoder that the paper trained, in words.
        epochs: Length of the run.
        batch_size: Global batch size.
        optimizer_class: `LARS`, `CoupledSGD`, or one of Keras such as `AdamW`.
        optimizer_arguments: Further arguments of `optimizer_class`.
        optimizer_momentum: Momentum of the optimizer, in [0, 1); None for one that
            has no such argument.
        weight_decay: Weight decay as the optimizer has it, >= 0.
        base_learning_rate: Peak learning rate for `reference_batch` images.
        reference_batch: Batch size that `base_learning_rate` is stated for.
        scaling: How the peak grows with the batch size, see `WarmupCosine`.
        warmup_epochs: Epochs of linear warm-up, from `warmup_start`.
        warmup_start: Learning rate of the first step.
        warmup_limit: Largest share of a run that warms up: one shorter than the
            paper's warms up in proportion.
        final_learning_rate: Learning rate at the end of the cosine.
        method_arguments: Arguments of the method.
        loss_class: A loss in place of the method's own, or None.
        loss_arguments: Arguments of `loss_class`. One that is the method's too follows
            what `model` is given for it.
        projector_class: Class of the projector.
        projector: Arguments of the projector, empty for one without.
        predictor: Arguments of the predictor, empty without one.
        target_momentum: How the target follows, empty without a target.
        augmentation: Name of the policy in `keras_contrastive.augmentations`.
        augmentation_arguments: Arguments of the policy, but for its size.
        sources: For every constant, or for a mapping as a whole, its source.
        notes: Where training with this package differs from the authors'.

    Example:
    >>> recipe = kc.recipes.SCE_SMALL
    >>> policy = recipe.policy(32)
    >>> model = recipe.model(kc.encoders.resnet(depth=10, width=16))
    >>> model.temperature, model.optimizer.weight_decay
    (0.1, 0.0005)
    """

    method: str
    images: str
    encoder: str
    epochs: int
    batch_size: int
    optimizer_class: type[keras.optimizers.Optimizer]
    optimizer_arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    optimizer_momentum: float | None = 0.9
    weight_decay: float
    base_learning_rate: float
    reference_batch: int = 256
    scaling: Callable[[int, int], float] = linear_scaling
    warmup_epochs: float
    warmup_start: float = 0.0
    warmup_limit: float = 0.1
    final_learning_rate: float = 0.0
    method_arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    loss_class: type[keras.losses.Loss] | None = None
    loss_arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    projector_class: type[keras.layers.Layer] = ProjectionHead
    projector: Mapping[str, Any]
    predictor: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    target_momentum: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    augmentation: str
    augmentation_arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
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
        arguments = {"weight_decay": self.weight_decay, **self.optimizer_arguments}
        if self.optimizer_momentum is not None:
            arguments["momentum"] = self.optimizer_momentum
        return self.optimizer_class(self.schedule(), **arguments)

    def policy(self, size, **changes) -> "layers.Views":
        """Return the augmentation: a layer, images -> tuple of views.

        Args:
            size: Side of the views in pixels, or `(height, width)`.
            **changes: Arguments of the policy, in place of the recipe's.
        """
        from keras_contrastive import augmentations  # and keras-cv

        make = getattr(augmentations, self.augmentation)
        return make(size, **{**self.augmentation_arguments, **changes})

    def new_projector(self, feature_dim: int) -> keras.layers.Layer:
        """Return a projector for features of that size."""
        return _head(
            self.projector_class, self.projector, feature_dim, name="projector"
        )

    def new_predictor(self, embedding_dim: int) -> ProjectionHead | None:
        """Return a predictor of embeddings of that size; None without one."""
        if not self.predictor:
            return None
        arguments = {**self.predictor, "units": embedding_dim}
        return _head(ProjectionHead, arguments, embedding_dim, name="predictor")

    def momentum_update(self) -> MomentumUpdate | None:
        """Return the rule for the target; None without one."""
        if not self.target_momentum:
            return None
        return MomentumUpdate(**self.target_momentum)

    def model(self, encoder: keras.Model, **changes) -> keras.Model:
        """Return the method on `encoder` with all constants of the recipe, compiled.

        Args:
            encoder: Functional `keras.Model`, images in [0, 255] to features.
            **changes: Arguments of the method, in place of the recipe's, or beside
                them, such as `num_classes`.
        """
        method = getattr(importlib.import_module("keras_contrastive"), self.method)
        feature_dim = check_encoder(encoder)
        projector = changes.pop("projector", None) or self.new_projector(feature_dim)
        arguments = {"projector": projector, **self.method_arguments}
        if self.predictor:
            shape = projector.compute_output_shape((None, feature_dim))
            arguments["predictor"] = self.new_predictor(shape[-1])
        arguments = {**arguments, **changes}
        model = method(encoder, **arguments)
        known = self.loss_arguments.items()
        loss = self.loss_class and self.loss_class(
            **{name: arguments.get(name, value) for name, value in known}
        )
        model.compile(self.optimizer(), loss, momentum_update=self.momentum_update())
        return model

    def constants(self) -> list[tuple[str, Any, str]]:
        """Return (name, value, source) of every constant, the rows of `print`."""
        rows = []
        for field in dataclasses.fields(self):
            name, value = field.name, getattr(self, field.name)
            if name in _NOT_CONSTANTS or value is None:
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


def _head(layer, arguments, dim, name):
    """A head in which `"dim"` is the width of its input."""
    if "hidden_units" in arguments:
        widths = (dim if w == "dim" else w for w in arguments["hidden_units"])
        arguments = {**arguments, "hidden_units": tuple(widths)}
    return layer(**arguments, name=name)


def from_source(source: str, **exceptions: str) -> dict[str, str]:
    """Return `sources` with one source for all constants, but for `exceptions`."""
    names = (field.name for field in dataclasses.fields(Recipe))
    sources = {name: source for name in names if name not in _NOT_CONSTANTS}
    sources["warmup_limit"] = "chosen here: no effect at the paper's length"
    return {**sources, **exceptions}

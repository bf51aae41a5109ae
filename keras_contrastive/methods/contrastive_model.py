"""The base of every method, with the project's only `train_step`."""

import functools

import keras
import tensorflow as tf
from keras import ops

from keras_contrastive import distribute, metrics
from keras_contrastive.callbacks.momentum_update import MomentumUpdate
from keras_contrastive.encoder_checks import (
    check_encoder,
    warn_of_unsynchronized_batch_norm,
)
from keras_contrastive.layers.built import built
from keras_contrastive.layers.clock import Clock
from keras_contrastive.layers.momentum_target import MomentumTarget
from keras_contrastive.layers.online_probe import OnlineProbe
from keras_contrastive.methods.batch import Batch, Needs
from keras_contrastive.methods.data_contract import unpack
from keras_contrastive.methods.view_trainer import ViewTrainer
from keras_contrastive.micro_batches import check_divides, in_micro_batches
from keras_contrastive.recipes.recipe import Recipe


class ContrastiveModel(ViewTrainer):
    """An encoder and a projector that learn from several views of each image.

    A method says what it needs (`needs`), what it computes from a batch and what its
    loss is (`forward`, `contrastive_loss`), and names its recipe, which has its heads,
    momentum and optimizer. This class does the rest: the train step, the target's
    momentum update, the online probe, metrics, the clock, `tf.distribute`. Its base has
    Keras's entry points, `compile`, `fit` and `evaluate`, and saving.

    `model(images)` and `model.predict(images)` give features `(batch, dim)`, those
    before the projection head. `model.evaluate(views)` gives the loss and changes
    neither target nor queue. `fit` says what it prints and records.

    Args:
        encoder: Functional `keras.Model`, images `(batch, height, width, channels)` in
            [0, 255] to features `(batch, dim)`.
        projector: Layer, features to embeddings; by default the method's own.
        predictor: Layer, embeddings to embeddings of the same size; by default the
            method's own, if it has one. Only where `needs.predictor` is true.
        target: Whether a momentum copy of encoder and projector is kept.
        num_classes: If given, an online linear probe is trained on stop-gradient
            features with an optimizer of its own; the labels are those of the
            dataset, -1 is unlabelled. Its accuracy is `probe_accuracy`.
        augmentation: If given, a layer that makes the views inside the model, on the
            device; the dataset then yields `((images,), label)`.
        concatenate_views: Whether the views of one size pass the network as one batch
            (batch norm sees them all) or one after the other. Methods set the paper's
            choice.

    Raises:
        ValueError: If `encoder` does not map images to `(batch, dim)`, or a predictor
            is given to a method that has none.

    Example: a new method is a class with four short methods. Registered, it is saved
    and loaded like the others; without a `recipe`, `compile` needs an optimizer.

        @keras.saving.register_keras_serializable(package="my_package")
        class AlignOnly(kc.ContrastiveModel):
            def default_loss(self):
                return kc.losses.BYOLLoss()

            def default_projector(self, feature_dim):
                return kc.layers.ProjectionHead(128, hidden_units=feature_dim)

            def forward(self, batch, training):
                features, (z_1, z_2) = self.online(batch.views, training)
                return {"features": features, "anchor": z_1, "positive": z_2}

            def contrastive_loss(self, outputs, batch):
                return self.loss(outputs["positive"], outputs["anchor"])

        model = AlignOnly(encoder)
        model.compile(kc.optimizers.CoupledSGD(0.05))
        model.fit(two_view_dataset)
    """

    # Heads, momentum and optimizer, where none are given.
    recipe: Recipe | None = None
    needs = Needs()
    returns_pair = True  # whether `forward` returns an anchor and its positive
    draws = False  # whether each step draws what its loss compares with

    def __init__(
        self,
        encoder: keras.Model,
        projector: keras.layers.Layer | None = None,
        predictor: keras.layers.Layer | None = None,
        target: bool = False,
        num_classes: int | None = None,
        augmentation: keras.layers.Layer | None = None,
        concatenate_views: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_encoder(encoder)
        warn_of_unsynchronized_batch_norm(encoder)
        self.encoder = encoder
        feature_shape = encoder.output_shape
        projector = projector or self.default_projector(feature_shape[-1])
        self.projector = built(projector, feature_shape)
        embedding_shape = self.projector.compute_output_shape(feature_shape)
        self.embedding_dim = embedding_shape[-1]
        if predictor is not None and not self.needs.predictor:
            raise ValueError(
                f"{type(self).__name__} has no predictor, and would not use one. "
                f"Received: predictor={predictor!r}. Leave it out, or take a method "
                "that has one; a method of your own says `Needs(predictor=True)`."
            )
        predictor = predictor or self.default_predictor(self.embedding_dim)
        self.predictor = predictor and built(predictor, embedding_shape)
        self.clock = Clock()
        self.target = MomentumTarget(encoder, self.projector) if target else None
        self.momentum_update = None
        self.num_classes = num_classes
        self.probe = None
        if num_classes is not None:
            self.probe = built(OnlineProbe(num_classes), feature_shape)
        self.augmentation = augmentation
        self.concatenate_views = concatenate_views
        self.micro_batch_size = None
        self.trackers: list[str] = []
        if self.returns_pair:
            self.track("contrastive_accuracy", "embedding_std")
        if self.probe is not None:
            self.track("probe_accuracy")
        # Every part is built by now, so weights can be saved and loaded at once.
        self.built = True

    # What a method says.

    def default_loss(self) -> keras.losses.Loss:
        """Return the loss that `compile()` takes when it is given none."""
        raise self._not_said("default_loss")

    def default_projector(self, feature_dim: int) -> keras.layers.Layer:
        """Return the method's projector for features of that size."""
        if self.recipe is None:
            raise self._not_said("default_projector")
        return self.recipe.new_projector(feature_dim)

    def default_predictor(self, embedding_dim: int) -> keras.layers.Layer | None:
        """Return the method's predictor, if it has one."""
        if self.recipe is None:
            return None
        return self.recipe.new_predictor(embedding_dim)

    def default_momentum_update(self) -> MomentumUpdate:
        """Return the method's own rule for its target."""
        rule = None if self.recipe is None else self.recipe.momentum_update()
        return rule or MomentumUpdate()

    def forward(self, batch: Batch, training: bool) -> dict:
        """Compute from the batch what the loss needs.

        Args:
            batch: Its views, and what else the method asked for in `needs`.
            training: Whether batch norm uses batch statistics.

        Returns:
            A dict with `features`, a list of `(batch, dim)`; `anchor` and `positive`,
            a pair `(batch, dim)` for the metrics, if `returns_pair`; a scalar for
            each further metric, under its name; and what `contrastive_loss` wants.
        """
        raise self._not_said("forward")

    def contrastive_loss(self, outputs: dict, batch: Batch):
        """Return the scalar loss, from `self.loss`, which divides by the replicas."""
        raise self._not_said("contrastive_loss")

    def adjust_gradients(self, gradients: list, batch: Batch) -> list:
        """Return what the optimizer gets of the gradients; by default all of them.

        Args:
            gradients: In the order of `trainable_variables`; scaled in float16.
            batch: The same as in `forward`.
        """
        return gradients

    def held(self, gradients: list, variable, frozen) -> list:
        """Return the gradients, that of `variable` 0 where `frozen`, a boolean."""
        return [
            ops.where(frozen, ops.zeros_like(g), g) if v is variable else g
            for g, v in zip(gradients, self.trainable_variables, strict=True)
        ]

    def after_step(self, outputs: dict, batch: Batch, applied) -> None:
        """Update state that follows the loss, such as a queue. Training only.

        Args:
            outputs: What `forward` returned.
            batch: The same as in `forward`.
            applied: Whether the step counts: False, as a boolean tensor, when float16
                loss scaling skips it because a gradient overflowed.
        """

    def apart(self) -> list:
        """Return the parts that the optimizer must not see: target, probe, teachers."""
        return [part for part in (self.target, self.probe) if part is not None]

    @property
    def known_classes(self) -> int | None:
        """Number of classes that labels may have; None for any."""
        return self.num_classes

    def track(self, *names: str) -> None:
        """Declare metrics: `forward` returns a scalar under each name."""
        self.trackers += [keras.metrics.Mean(name=name) for name in names]

    def _not_said(self, name):
        return NotImplementedError(
            f"A method says its own `{name}`. Received: {type(self).__name__}, which "
            "does not. See the example of ContrastiveModel."
        )

    # What every method shares.

    def online(self, views, training: bool):
        """Return the lists of features and of embeddings of `views`."""

        def network(images):
            features = self.encoder(images, training=training)
            return features, self.projector(features, training=training)

        return self._of_each(network, views)

    def target_embeddings(self, views, training: bool) -> list:
        """Return the target's embeddings of each of `views`."""

        def network(images):
            return (self.target(images, training=training),)

        (embeddings,) = self._of_each(network, views, learns=False)
        return embeddings

    def target_embedding(self, view, training: bool):
        """Return the target's embeddings of one view, `(batch, dim)`."""
        return self.target_embeddings([view], training)[0]

    def of_view(self, network, view, training: bool) -> list:
        """Return the outputs of `network(view, training=training)`, a sequence."""
        call = functools.partial(network, training=training)
        return [output for (output,) in self._of_each(call, [view])]

    def _of_each(self, network, views, learns=True) -> list[list]:
        """Each of the outputs of `network`, as the list of those of the views.

        With `micro_batch_size`, all views of a few images at a time.
        """
        if self.micro_batch_size is None:
            return self._of_whole(network, views)
        outputs = in_micro_batches(
            lambda *views: sum(self._of_whole(network, views), []),
            views,
            self.micro_batch_size,
            self.trainable_variables if learns else (),
            [v for v in self.variables if not v.trainable],
        )
        starts = range(0, len(outputs), len(views))
        return [outputs[i : i + len(views)] for i in starts]

    def _of_whole(self, network, views) -> list[list]:
        groups = [[i] for i in range(len(views))]
        if self.concatenate_views:  # those of one size
            sizes = [tuple(view.shape[1:]) for view in views]
            groups = [
                [i for i, other in enumerate(sizes) if other == size]
                for size in dict.fromkeys(sizes)
            ]
        found: dict = {}
        for group in groups:
            outputs = network(ops.concatenate([views[i] for i in group]))
            parts = [ops.split(output, len(group)) for output in outputs]
            found.update(zip(group, zip(*parts, strict=True), strict=True))
        return [
            list(x) for x in zip(*(found[i] for i in range(len(views))), strict=True)
        ]

    def call(self, images, training=False):
        """Map images `(batch, height, width, channels)` to features `(batch, dim)`."""
        if isinstance(images, (tuple, list)):
            raise ValueError(
                "A model maps images to features. Expected one tensor (batch, height, "
                f"width, channels). Received: {len(images)} tensors. Views go to "
                "`fit` and `evaluate`; give `predict` images."
            )
        return self.encoder(images, training=training)

    def train_step(self, data):
        """One step: views, loss, gradients, optimizer, target, queue, probe."""
        # Keras finds the end of data of unknown length by a step that has none. What
        # needs no data, such as a counter, would move in it.
        waits = [t for t in tf.nest.flatten(data) if t is not None]
        with tf.control_dependencies(waits):
            return distribute.reducible(self._train_step(data))

    def _train_step(self, data):
        step = ops.convert_to_tensor(self.optimizer.iterations) + 0
        batch = unpack(self, data, step)
        replicas, examples = distribute.num_replicas(), batch.views[0].shape[0]
        check_divides(self.micro_batch_size, examples and examples * replicas, replicas)
        with tf.GradientTape() as tape:
            outputs = self.forward(batch, training=True)
            loss = self._share_of_loss(outputs, batch)
            scaled_loss = self.optimizer.scale_loss(loss)
        variables = self.trainable_variables
        gradients = tape.gradient(scaled_loss, variables)
        gradients = self.adjust_gradients(gradients, batch)
        applied = True
        if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            gradients, applied = distribute.share_overflow(gradients)
        self.optimizer.apply(gradients, variables)
        logs = {"learning_rate": ops.convert_to_tensor(self.optimizer.learning_rate)}
        if applied is not True:
            logs["loss_scale"] = ops.convert_to_tensor(self.optimizer.dynamic_scale)
        if self.target is not None:
            moved = self.optimizer.iterations > step
            logs["momentum"] = self.momentum_update.update(self, step, moved)
        self.after_step(outputs, batch, applied)
        if self.probe is not None:
            self.probe.train(*_stacked(outputs["features"], batch.labels))
        return {**self._record(loss, outputs, batch, applied), **logs}

    def test_step(self, data):
        """The loss that is trained, and metrics; no state changes.

        Batch norm uses the statistics of the batch, as in training. Its moving ones
        trail behind a network that learns fast, and a loss in inference mode then
        rises while the trained one falls.
        """
        batch = unpack(self, data, step=-1)
        # The scope drops what layers update, and regularizers ask it for their weights.
        known = [(v, v.value) for v in self.variables if v.regularizer is not None]
        with keras.StatelessScope(known, collect_losses=True):
            outputs = self.forward(batch, training=True)
            loss = self._share_of_loss(outputs, batch)
        return distribute.reducible(self._record(loss, outputs, batch))

    def _share_of_loss(self, outputs, batch):
        """This replica's share of the global loss, regularizers included."""
        loss = self.contrastive_loss(outputs, batch)
        # `self.losses` has those of a layer that two parts share once.
        apart = {id(penalty) for part in self.apart() for penalty in part.losses}
        penalties = [penalty for penalty in self.losses if id(penalty) not in apart]
        return loss + sum(penalties, 0.0) / distribute.num_replicas()

    def _record(self, loss, outputs, batch, applied=True) -> dict:
        """Update the metrics, and return their means of this epoch."""
        values = {**outputs, "loss": loss * distribute.num_replicas()}
        if self.returns_pair:
            pair = outputs["anchor"], outputs["positive"]
            values["contrastive_accuracy"] = metrics.contrastive_accuracy(*pair)
            values["embedding_std"] = metrics.embedding_std(outputs["anchor"])
        if self.probe is not None:
            features = _stacked(outputs["features"], batch.labels)
            values["probe_accuracy"] = self.probe.accuracy(*features)
        trackers = [self._loss_tracker, *self.trackers]
        examples = ops.shape(outputs["features"][0])[0]
        return metrics.update_means(trackers, values, examples, applied)


def _stacked(features, labels):
    """All views' features as one batch, with the labels of each."""
    return ops.concatenate(features), ops.tile(labels, [len(features)])

"""What Keras has to know about a model that learns from views."""

import inspect
import math

import keras
import tensorflow as tf

from keras_contrastive import distribute
from keras_contrastive._version import __version__
from keras_contrastive.callbacks.bind_schedules import BindSchedules
from keras_contrastive.callbacks.checkpoint import Checkpoint
from keras_contrastive.callbacks.finite_check import FiniteCheck, training_state
from keras_contrastive.callbacks.labelled_evaluation import LabelledEvaluation
from keras_contrastive.callbacks.momentum_update import MomentumUpdate
from keras_contrastive.checks import check_count
from keras_contrastive.encoder_checks import warn_of_unsafe_convolutions
from keras_contrastive.methods import checked_data
from keras_contrastive.methods.first_batch import FirstBatch


class ViewTrainer(keras.Model):
    """Keras's entry points for `ContrastiveModel`, its one subclass.

    `compile`, `fit` and `evaluate` with the method's defaults and with checks of the
    data; which variables the optimizer sees; how a model is saved and loaded. What is
    learned, and the train step, stand in `ContrastiveModel`.
    """

    # Training and evaluation.

    def compile(
        self,
        optimizer=None,
        loss=None,
        *,
        momentum_update: MomentumUpdate | None = None,
        micro_batch_size: int | None = None,
        jit_compile="auto",
        **kwargs,
    ):
        """Configure training; every argument has the method's own default.

        Args:
            optimizer: Keras optimizer; by default that of the method's recipe for
                small images, with a schedule that is fitted to each `fit`. Heads and
                temperatures are the constructor's: the recipe lists its own in
                `method_arguments`, `projector` and `predictor`.
            loss: A `keras.losses.Loss` in place of the method's.
            momentum_update: Rule for the target in place of the method's.
            micro_batch_size: Images that pass the networks at a time, on each replica;
                a divisor of its batch. Loss and gradient are those of the whole batch,
                in the memory of the small one and about a third more time; batch norm
                sees the images of a micro-batch. None (default) for all at once. See
                "Large batches in small memory" in the guide to speed.
            jit_compile: `"auto"` is XLA on one GPU and no XLA on CPU, where it makes a
                ResNet step about 1.8 times slower, and under `tf.distribute`.
            **kwargs: As in `keras.Model.compile`, except metrics and loss weights.

        Raises:
            TypeError: If an argument is not of its kind: a loss by its name, a rule for
                the target that is no `MomentumUpdate`, and so on.
            ValueError: If there is no optimizer, neither given nor in a recipe, a rule
                for a target that the method does not have, or metrics.
        """
        for name in ("metrics", "weighted_metrics", "loss_weights"):
            if kwargs.pop(name, None) is not None:
                raise ValueError(
                    f"`{name}` compares predictions with labels, and "
                    f"{type(self).__name__} has none. Received: a value for it. Use "
                    "`num_classes` for an online probe, or callbacks.KNNEvaluation."
                )
        _check_compile_arguments(self, loss, momentum_update, jit_compile)
        if micro_batch_size is not None:
            check_count("micro_batch_size", micro_batch_size)
        self.micro_batch_size = micro_batch_size
        if jit_compile == "auto":
            jit_compile = (
                bool(tf.config.list_physical_devices("GPU"))
                and self.distribute_strategy.num_replicas_in_sync == 1
                and self.augmentation is None
            )
        optimizer = _optimizer(self, optimizer)
        super().compile(optimizer=optimizer, jit_compile=jit_compile, **kwargs)
        self.loss = self.default_loss() if loss is None else loss
        if self.target is not None:
            self.momentum_update = momentum_update or self.default_momentum_update()

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        **kwargs,
    ):
        """Train on a two-view dataset; arguments and result as in `keras.Model.fit`.

        Before the first step the data is checked, and the schedules of learning rate
        and momentum are fitted to the number of steps. Where only the data knows its
        batch size (generators, `keras.utils.PyDataset`, unknown batch axes, distributed
        datasets), the first batch tells it; data without an end needs
        `steps_per_epoch`. Only the values of a dataset's batch (NaN, the wrong range)
        can stop a training that has begun. Weights per example or class are refused.

        What to stop on: `val_loss`, of `validation_data`, is the loss that is trained
        (see `evaluate`). It shows overfitting and divergence, but not how good the
        features are: where nothing repels, collapse has the lowest loss of all. To
        stop on quality, measure it:

            knn = kc.callbacks.KNNEvaluation(labelled_train, labelled_validation)
            stop = keras.callbacks.EarlyStopping("knn_accuracy", mode="max", patience=5)
            model.fit(views, epochs=200, callbacks=[knn, stop])

        The measurement comes first in every epoch, in whatever order both are given.

        What it prints and records, each a mean over the epoch unless said otherwise:

        - `loss`: the method's loss of the global batch, with the encoder's
          regularizers. Losses of two methods cannot be compared.
        - `contrastive_accuracy`: share of images whose own other view is the most
          similar one of the batch, in [0, 1]; chance is 1 / batch. For CPC, of
          predictions whose own patch is.
        - `embedding_std`: spread of the unit embeddings; about 1 / sqrt(dim) when all
          is well, near 0 after a collapse.
        - `probe_accuracy`: with `num_classes`, the online probe's share of right
          answers.
        - `target_entropy`: DINO's: that of the target's distribution over the units, in
          nats, at most log(units).
        - `agreement`: distillation's: share of images of which student and teacher say
          the same class, in [0, 1].
        - `prior_loss`: DIM's: how well codes are told from uniform samples, in nats;
          2 log 2 = 1.39 if not at all, near 0 if always.
        - `learning_rate`: the optimizer's at the last step.
        - `loss_scale`: in mixed_float16, the factor of the loss after the last step. A
          step that it skips, because a gradient overflowed, counts nowhere.
        - `momentum`: with a target, how much of it stays in the last step, in [0, 1].
        - `knn_accuracy`: with `callbacks.KNNEvaluation`, that of the features;
          `linear_accuracy` with `callbacks.LinearProbeEvaluation`.
        - `val_...`: the first three or four on `validation_data`, as `evaluate` does.

        Raises:
            FloatingPointError: If the loss, or a weight at the end of an epoch, is NaN
                or infinite, or such a weight above 1e8. No callback sees such a state.
            RuntimeError: If the data raises an error, which is quoted.
        """
        self._assert_compile_called("fit")
        share = kwargs.get("validation_split")
        if share and kwargs.get("validation_data") is None and _all_arrays(x):
            (x, y), kwargs["validation_data"] = _split(
                x, y, kwargs.pop("validation_split")
            )
        if kwargs.get("validation_data") is not None:
            size = kwargs.get("validation_batch_size") or batch_size
            kwargs["validation_data"] = self._checked(kwargs["validation_data"], size)
        warn_of_unsafe_convolutions(self.encoder)
        global_batch = checked_data.batch_size_of(x, batch_size)
        x = checked_data.checked(self, x, y, batch_size, training=True)
        if not (checked_data.is_arrays(x) or isinstance(x, keras.utils.PyDataset)):
            kwargs.setdefault("shuffle", False)  # a dataset shuffles itself
        _check_workers(self, global_batch, epochs)
        bind = BindSchedules(x, global_batch, kwargs.get("initial_epoch", 0))
        own = [bind] if global_batch else [bind, FirstBatch(bind)]
        check = FiniteCheck()
        if isinstance(callbacks, keras.callbacks.CallbackList):
            for callback in own:
                callbacks.append(callback)
            check.set_model(self)
            callbacks.callbacks.insert(0, check)
        else:
            given = _in_order(tf.nest.flatten(callbacks or []))
            callbacks = [check, *given, *own]
        try:
            return super().fit(x, y, batch_size, epochs, verbose, callbacks, **kwargs)
        except FloatingPointError as error:
            raise FloatingPointError(f"{error} {_standing(callbacks)}") from None
        except tf.errors.OpError as error:
            place = f" in epoch {check.epoch}, after step {check.step}"
            if distribute.says_that_a_worker_has_gone(error, self.distribute_strategy):
                raise RuntimeError(
                    f"Another worker has ended or cannot be reached{place}; its own "
                    "output says why. Start all workers again. "
                    f"{_standing(callbacks)}"
                ) from error
            data = tf.nest.flatten((kwargs.get("validation_data"),))
            said = checked_data.readable(error, (x, *data), place)
            if said is error:
                raise
            raise type(said)(f"{said} {_standing(callbacks)}") from None
        finally:
            self._initial_epoch = None  # set by callbacks, for this `fit` alone
            for checkpoint in _checkpoints(callbacks):
                checkpoint.release()
            if isinstance(own[-1], FirstBatch):
                own[-1].stand_aside()

    def evaluate(self, x=None, y=None, batch_size=None, **kwargs):
        """Return loss and metrics of a two-view dataset, as `keras.Model.evaluate`.

        The loss is the one that is trained: batch norm, in encoder, heads and target,
        uses the statistics of the batch, and no state changes. So it depends on the
        batch size, as in training, and on no moving statistics, which trail behind a
        network that learns fast. A method that draws something in each step, such as
        negatives, draws it here in the same way each time. Features,
        `model.predict(images)`, are those of inference mode.
        """
        self._assert_compile_called("evaluate")
        if kwargs.get("_use_cached_eval_dataset"):  # `fit` checks and reads its errors
            return super().evaluate(x, y, batch_size, **kwargs)
        x = checked_data.checked(self, x, y, batch_size, training=False)
        try:
            return super().evaluate(x, y, batch_size, **kwargs)
        except tf.errors.OpError as error:
            raise checked_data.readable(error, [x]) from None

    def _checked(self, data, batch_size):
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        x = checked_data.checked(self, x, y, batch_size, training=False)
        return keras.utils.pack_x_y_sample_weight(x, y, weights)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        # Everything is built but the optimizer. Keras would draw a batch here, which
        # changes the order of a shuffled dataset and fails on several machines.
        self.build_optimizer()

    def build_optimizer(self) -> None:
        """Create the optimizer's variables, if it has none yet."""
        if not self.optimizer.built:
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trainable_variables)

    def export(self, filepath, *args, **kwargs):
        """Export the encoder, images to features, as `keras.Model.export` does."""
        return self.encoder.export(filepath, *args, **kwargs)

    # Variables: the optimizer sees neither target nor probe, frozen or not.

    @property
    def trainable_variables(self):
        """Variables of encoder, projector and predictor that are not frozen."""
        apart = {id(v) for part in self.apart() for v in part.variables}
        return [v for v in super().trainable_variables if id(v) not in apart]

    @property
    def trainable_weights(self):
        """The same as `trainable_variables`."""
        return self.trainable_variables

    @property
    def non_trainable_variables(self):
        """All other variables: target, queue, probe, moving statistics."""
        trainable = {id(v) for v in self.trainable_variables}
        return [v for v in self.variables if id(v) not in trainable]

    @property
    def non_trainable_weights(self):
        """All other weights: target, queue, probe, moving statistics."""
        trainable = {id(v) for v in self.trainable_variables}
        return [v for v in self.weights if id(v) not in trainable]

    # Saving.

    def load_weights(self, filepath, *args, **kwargs):
        """Load weights as `keras.Model.load_weights`, all of them or none.

        Raises:
            ValueError: As in Keras, if the file does not fit; weights and optimizer are
                then as they were.
        """
        variables = training_state(self)
        before = [keras.ops.convert_to_numpy(variable) for variable in variables]
        try:
            return super().load_weights(filepath, *args, **kwargs)
        except BaseException:
            for variable, value in zip(variables, before, strict=True):
                variable.assign(value)
            raise

    def get_config(self):
        """Return the arguments that every method takes; methods add their own."""
        serialize = keras.saving.serialize_keras_object
        config = super().get_config()
        if "target" in inspect.signature(type(self)).parameters:
            config["target"] = self.target is not None
        return {
            **config,
            "encoder": serialize(self.encoder),
            "projector": serialize(self.projector),
            "predictor": serialize(self.predictor),
            "num_classes": self.num_classes,
            "augmentation": serialize(self.augmentation),
            "concatenate_views": self.concatenate_views,
        }

    @classmethod
    def from_config(cls, config):
        """Rebuild a model from `get_config()`."""
        config = {
            key: keras.saving.deserialize_keras_object(value)
            if isinstance(value, dict)
            else value
            for key, value in config.items()
        }
        return cls(**config)

    def get_compile_config(self):
        """Return optimizer, loss and momentum rule for `compile_from_config`."""
        config = super().get_compile_config()
        if not config:  # was never compiled
            return config
        keep = ("optimizer", "run_eagerly", "steps_per_execution", "jit_compile")
        config = {key: config[key] for key in keep}
        config["micro_batch_size"] = self.micro_batch_size
        config["loss"] = keras.saving.serialize_keras_object(self.loss)
        config["momentum_update"] = keras.saving.serialize_keras_object(
            self.momentum_update
        )
        return config

    def compile_from_config(self, config):
        """Compile as the saved model was, with the optimizer's variables."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)


def _check_workers(model, batch_size, epochs) -> None:
    """Raise unless all workers that TF_CONFIG names train together, and alike."""
    strategy = model.distribute_strategy
    workers = distribute.workers_of_tf_config()
    if workers > 1 and not distribute.on_several_machines(strategy):
        raise ValueError(
            f"TF_CONFIG names {workers} workers, but this model was built outside of "
            "their strategy and would train on this machine alone. Make the "
            "tf.distribute.MultiWorkerMirroredStrategy first, and build and compile "
            "the model in its scope(); or unset TF_CONFIG."
        )
    distribute.check_agreement(
        strategy,
        package_version=__version__,
        Keras_version=keras.__version__,
        method=type(model).__name__,
        number_of_weights=sum(math.prod(v.shape) for v in model.weights),
        batch_size=batch_size,
        number_of_epochs=epochs,
    )


def _checkpoints(callbacks) -> list[Checkpoint]:
    callbacks = getattr(callbacks, "callbacks", callbacks)
    return [c for c in callbacks if isinstance(c, Checkpoint)]


def _standing(callbacks) -> str:
    """Return what is left of a run that ends with an error."""
    checkpoints = _checkpoints(callbacks)
    if not checkpoints:
        return "No state was saved: pass fit a kc.callbacks.Checkpoint to keep one."
    return " ".join(checkpoint.standing() for checkpoint in checkpoints)


def _split(x, y, share):
    """Return the first rows of arrays, and the last `share` of them, as Keras does."""
    end = math.floor(len(tf.nest.flatten(x)[0]) * (1 - share))

    def rows(part):
        return tf.nest.map_structure(lambda a: None if a is None else a[part], (x, y))

    return rows(slice(end)), rows(slice(end, None))


def _all_arrays(x) -> bool:
    return all(hasattr(part, "shape") for part in tf.nest.flatten(x))


def _in_order(callbacks: list) -> list:
    """Move an evaluation before the callbacks that monitor what it measures.

    And a Checkpoint to the end: after what stops a run or takes back its best weights.
    """
    for measures in [c for c in callbacks if isinstance(c, LabelledEvaluation)]:
        monitors = [getattr(c, "monitor", None) == measures.name for c in callbacks]
        if any(monitors[: callbacks.index(measures)]):
            callbacks.remove(measures)
            callbacks.insert(monitors.index(True), measures)
    return sorted(callbacks, key=lambda c: isinstance(c, Checkpoint))


def _optimizer(model, optimizer) -> keras.optimizers.Optimizer:
    """Return the optimizer that is given, or that of the method's recipe."""
    if optimizer is None and model.recipe is None:
        raise ValueError(
            f"{type(model).__name__} has no recipe, so `compile` needs an `optimizer`. "
            "Received: optimizer=None. Pass one, such as "
            "keras_contrastive.optimizers.CoupledSGD(0.1), or give the class a "
            "`recipe`."
        )
    if optimizer is None:
        return model.recipe.optimizer()
    try:
        return keras.optimizers.get(optimizer)
    except (ValueError, TypeError) as error:
        raise TypeError(
            "`optimizer` must be a Keras optimizer or the name of one. Received: "
            f"optimizer={optimizer!r}. Pass an instance, such as "
            "keras_contrastive.optimizers.CoupledSGD(0.1) or `recipe.optimizer()`."
        ) from error


def _check_compile_arguments(model, loss, momentum_update, jit_compile) -> None:
    if loss is not None and not isinstance(loss, keras.losses.Loss):
        raise TypeError(
            "`loss` must be a keras.losses.Loss: names and functions say neither how "
            f"examples are averaged nor how replicas share. Received: loss={loss!r}. "
            "Leave it out for the method's own, or pass an instance, such as one of "
            "keras_contrastive.losses."
        )
    if jit_compile not in (True, False, "auto"):
        raise TypeError(
            '`jit_compile` must be True, False or "auto". Received: '
            f"jit_compile={jit_compile!r}"
        )
    if momentum_update is None:
        return
    if not isinstance(momentum_update, MomentumUpdate):
        raise TypeError(
            "`momentum_update` must be a keras_contrastive.callbacks.MomentumUpdate. "
            f"Received: momentum_update={momentum_update!r}. For a constant momentum "
            'pass MomentumUpdate(0.99, schedule="constant").'
        )
    if model.target is None:
        raise ValueError(
            f"{type(model).__name__} has no target network for `momentum_update` to "
            f"move. Received: momentum_update={momentum_update!r}. Leave it out."
        )

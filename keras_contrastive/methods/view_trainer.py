"""What Keras has to know about a model that learns from views."""

import keras
import tensorflow as tf

from keras_contrastive.callbacks.bind_schedules import BindSchedules
from keras_contrastive.callbacks.momentum_update import MomentumUpdate
from keras_contrastive.methods import checked_data


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
            jit_compile: `"auto"` is XLA on one GPU and no XLA on CPU, where it makes a
                ResNet step about 1.8 times slower, and under `tf.distribute`.
            **kwargs: As in `keras.Model.compile`, except metrics and loss weights.
        """
        for name in ("metrics", "weighted_metrics", "loss_weights"):
            if kwargs.pop(name, None) is not None:
                raise ValueError(
                    f"`{name}` compares predictions with labels, and "
                    f"{type(self).__name__} has none. Received: a value for it. Use "
                    "`num_classes` for an online probe, or callbacks.KNNEvaluation."
                )
        if jit_compile == "auto":
            jit_compile = (
                bool(tf.config.list_physical_devices("GPU"))
                and self.distribute_strategy.num_replicas_in_sync == 1
                and self.augmentation is None
            )
        if optimizer is None:
            optimizer = self.recipe.optimizer()
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
        and momentum are fitted to the number of steps. Only the values of a dataset's
        batch (NaN, the wrong range) can stop a training that has begun. Weights per
        example or class are refused.
        """
        self._assert_compile_called("fit")
        global_batch = checked_data.batch_size_of(x, batch_size)
        x = checked_data.checked(self, x, y, batch_size, training=True)
        if isinstance(x, tf.data.Dataset):
            kwargs.setdefault("shuffle", False)  # a dataset shuffles itself
        bind = BindSchedules(x, global_batch, kwargs.get("initial_epoch", 0))
        if isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks.append(bind)
        else:
            callbacks = [*tf.nest.flatten(callbacks or []), bind]
        try:
            return super().fit(x, y, batch_size, epochs, verbose, callbacks, **kwargs)
        except tf.errors.InvalidArgumentError as error:
            raise checked_data.readable(error) from None

    def evaluate(self, x=None, y=None, batch_size=None, **kwargs):
        """Return loss and metrics of a two-view dataset, as `keras.Model.evaluate`."""
        self._assert_compile_called("evaluate")
        x = checked_data.checked(self, x, y, batch_size, training=False)
        try:
            return super().evaluate(x, y, batch_size, **kwargs)
        except tf.errors.InvalidArgumentError as error:
            raise checked_data.readable(error) from None

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
        apart = [part.variables for part in (self.target, self.probe) if part]
        apart = {id(v) for variables in apart for v in variables}
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

    def get_config(self):
        """Return the arguments that every method takes; methods add their own."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
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
        config["loss"] = keras.saving.serialize_keras_object(self.loss)
        config["momentum_update"] = keras.saving.serialize_keras_object(
            self.momentum_update
        )
        return config

    def compile_from_config(self, config):
        """Compile as the saved model was, with the optimizer's variables."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

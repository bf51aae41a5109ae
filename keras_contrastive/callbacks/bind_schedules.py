"""Gives schedules the length of the run, which only `fit` knows."""

import keras

from keras_contrastive.data.epochs import set_epoch
from keras_contrastive.optimizers.warmup_cosine import WarmupCosine


class BindSchedules(keras.callbacks.Callback):
    """Fits learning-rate and momentum schedules to the run that begins.

    `ContrastiveModel.fit` appends it. A `WarmupCosine` learning rate gets the batch
    size and the number of steps; the model's clock, which momentum and all other
    schedules follow, gets the number of optimizer iterations. Both begin with epoch 0
    of this `fit`: a second `fit` runs a whole schedule again, and one with
    `initial_epoch > 0`, or with a `Checkpoint` that found a file, goes on where it was,
    with the dataset at that epoch.

    Args:
        dataset: What `fit` trains on.
        batch_size: Global batch size, or None if unknown.
        initial_epoch: As given to `fit`.
    """

    def __init__(self, dataset, batch_size: int | None, initial_epoch: int = 0):
        super().__init__()
        self.dataset = dataset
        self.batch_size = batch_size
        self.initial_epoch = initial_epoch

    def on_train_begin(self, logs=None):
        """Bind whatever the model has to the epochs and steps of this `fit`."""
        # A callback that restores a model says so to Keras in this attribute.
        done = getattr(self.model, "_initial_epoch", None) or self.initial_epoch
        if done > 0:
            set_epoch(self.dataset, done)
        epochs, steps = self.params["epochs"], self.params["steps"]
        optimizer = self.model.optimizer  # float16: a LossScaleOptimizer around it
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        self._bind_learning_rate(optimizer, epochs, steps, done)
        self._bind_clock(optimizer, epochs, steps, done)

    def _bind_learning_rate(self, optimizer, epochs, steps, done):
        schedule = optimizer._learning_rate
        if not isinstance(schedule, WarmupCosine):
            return
        if steps is None or self.batch_size is None:
            raise ValueError(
                "The learning rate of a recipe depends on the batch size and the "
                "number of steps. Received: a dataset of "
                f"batch size {self.batch_size or 'unknown'} and "
                f"{steps or 'unknown'} steps. Use batch(size, drop_remainder=True) and "
                "give `steps_per_epoch`, or compile with an optimizer of your own."
            )
        # The schedule counts batches, accumulated ones too, as Keras does.
        first_step = _as_int(optimizer._iterations) - done * steps
        bound = schedule.bind(self.batch_size, steps, max(epochs, 1), first_step)
        if bound.get_config() != schedule.get_config():
            optimizer.learning_rate = bound
            self.model.make_train_function(force=True)

    def _bind_clock(self, optimizer, epochs, steps, done):
        rule, clock = self.model.momentum_update, self.model.clock
        if steps is None:
            clock.total_steps.assign(0)
            if rule is None or rule.schedule == "constant":
                return
            raise ValueError(
                "The momentum schedule ends with training, so it needs the number of "
                "steps. Received: a dataset of unknown length. Give `steps_per_epoch`, "
                'or MomentumUpdate(schedule="constant").'
            )
        accumulated = optimizer.gradient_accumulation_steps or 1
        first_step = _as_int(optimizer.iterations) - done * steps // accumulated
        clock.first_step.assign(first_step)
        clock.total_steps.assign(epochs * steps // accumulated)


def _as_int(variable) -> int:
    return int(keras.ops.convert_to_numpy(variable))

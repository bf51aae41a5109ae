"""Gives schedules the length of the run, which only `fit` knows."""

import keras

from keras_contrastive.data.epochs import set_epoch
from keras_contrastive.optimizers.warmup_cosine import WarmupCosine


class BindSchedules(keras.callbacks.Callback):
    """Fits learning-rate and momentum schedules to the run that begins.

    `ContrastiveModel.fit` appends it. A `WarmupCosine` learning rate, and the weight
    decay of `AdamW`, get the batch size and the number of steps; the model's clock,
    which momentum and all other schedules follow, gets the number of epochs and of
    optimizer iterations. All begin with epoch 0 of this `fit`: a second `fit` runs a
    whole schedule again, and one with `initial_epoch > 0`, or with a `Checkpoint` that
    found a file, goes on where it was, with the dataset at that epoch. A schedule that
    was bound by its owner, with `WarmupCosine.bind`, is left alone.

    Args:
        dataset: What `fit` trains on.
        batch_size: Global batch size, or None if only the first batch knows it:
            `bind_schedules` is then called with it.
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
        if done >= self.params["epochs"]:
            return  # nothing is trained
        self._done = done
        self._steps = self._steps_per_epoch()
        self._check_epochs(self.params["epochs"])
        if self._steps is None and self._waiting():
            raise ValueError(
                "The learning rate of a recipe ends with training, as does a weight "
                "decay that rises, so they need the number of steps. Received: data of "
                "unknown length. Give `steps_per_epoch`, or compile with an optimizer "
                "of your own."
            )
        if self.batch_size is not None:
            self.bind_schedules(self.batch_size)
        self._bind_clock(done)

    def _check_epochs(self, epochs: int) -> None:
        name, least = type(self.model).__name__, self.model.needs.min_epochs
        if least and self._steps is None:
            raise ValueError(
                f"{name} counts epochs, so it needs the number of steps. Received: "
                "data of unknown length. Give `steps_per_epoch`."
            )
        if epochs < least:
            raise ValueError(
                f"{name} was built with a schedule of {least} epochs, which must not "
                f"be longer than the run. Received: epochs={epochs}. Train longer, or "
                "build the model with a shorter one, such as fewer `warmup_epochs`."
            )

    def _steps_per_epoch(self) -> int | None:
        steps = self.params["steps"]
        if type(self.dataset).__name__ == "DistributedDatasetsFromFunction":
            # Keras counts its elements, of which every replica of a worker takes one.
            if steps is not None and steps == self.dataset.cardinality:
                steps //= len(self.model.distribute_strategy.extended.worker_devices)
        return steps

    def _optimizer(self):
        optimizer = self.model.optimizer  # float16: a LossScaleOptimizer around it
        return getattr(optimizer, "inner_optimizer", optimizer)

    def _waiting(self) -> dict[str, WarmupCosine]:
        """The optimizer's schedules that wait for their run, by their attribute."""
        optimizer = self._optimizer()
        schedules = {
            "learning_rate": optimizer._learning_rate,
            "decay_schedule": getattr(optimizer, "decay_schedule", None),
        }
        return {
            name: schedule
            for name, schedule in schedules.items()
            if isinstance(schedule, WarmupCosine)
            and (schedule.bound_by_fit or not schedule.bound)
        }

    def bind_schedules(self, batch_size: int) -> None:
        """Bind the optimizer's schedules that wait for it to this global batch size."""
        optimizer, steps = self._optimizer(), self._steps
        for name, schedule in self._waiting().items():
            # A schedule counts batches, accumulated ones too, as Keras does.
            first_step = _as_int(optimizer._iterations) - self._done * steps
            epochs = max(self.params["epochs"], 1)
            bound = schedule.bind(batch_size, steps, epochs, first_step)
            bound.bound_by_fit = True
            if bound.get_config() != schedule.get_config():
                setattr(optimizer, name, bound)
                self.model.make_train_function(force=True)

    def _bind_clock(self, done):
        optimizer, steps = self._optimizer(), self._steps
        epochs = self.params["epochs"]
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
        clock.epochs.assign(epochs)


def _as_int(variable) -> int:
    return int(keras.ops.convert_to_numpy(variable))

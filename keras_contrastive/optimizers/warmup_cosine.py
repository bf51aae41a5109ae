"""The learning rate of contrastive pre-training: scaled, warmed up, cosine decay."""

import math
from numbers import Integral

import keras
from keras import ops

from keras_contrastive.checks import check_not_negative


@keras.saving.register_keras_serializable(package="keras_contrastive")
def linear_scaling(batch_size: int, reference_batch: int) -> float:
    """Return `batch_size / reference_batch`, the rule of Goyal et al. (2017)."""
    return batch_size / reference_batch


@keras.saving.register_keras_serializable(package="keras_contrastive")
def square_root_scaling(batch_size: int, reference_batch: int) -> float:
    """Return `sqrt(batch_size / reference_batch)`, SimCLR's rule for small batches.

    SimCLR's learning rate `0.075 * sqrt(batch_size)` is a base of 0.075 with a
    reference batch of 1.
    """
    return math.sqrt(batch_size / reference_batch)


@keras.saving.register_keras_serializable(package="keras_contrastive")
def no_scaling(batch_size: int, reference_batch: int) -> float:
    """Return 1: the rate as it is stated, as is usual with Adam."""
    return 1.0


@keras.saving.register_keras_serializable(package="keras_contrastive")
class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up to a peak that depends on the batch size, then half a cosine.

    A recipe states a learning rate per reference batch and a warm-up in epochs; the
    number of steps is known only when training starts. So the schedule begins
    *unbound* and `bind` returns the bound schedule for one run:

        peak = base_learning_rate * scaling(batch_size, reference_batch)
        T = epochs * steps_per_epoch
        W = min(round(warmup_epochs * steps_per_epoch), round(warmup_limit * T))
        k = step - first_step, counted from 0

        k < W:       lr = start + (peak - start) * k / W
        W <= k < T:  lr = final + (peak - final) * (1 + cos(pi * (k - W) / (T - W))) / 2
        k >= T:      lr = final

    So the first step has exactly `start`, step W the peak, and the last step, T - 1,
    is one short of `final`. A warm-up longer than the run is shortened to the run,
    which then ends before the peak; with `warmup_limit=0.1`, as in the recipes, it
    takes at most a tenth of a run that is shorter than the paper's. Unbound, every step
    has `base_learning_rate`.

    This is BYOL's schedule, and SimCLR's up to its rounding (its code takes
    `warmup_epochs * images // batch_size` warm-up steps and one step more in total).
    Others differ by less than a step or an epoch: SCE and solo-learn divide by W - 1
    in the warm-up, SupCon lowers the cosine once an epoch.

    The value is float32, accurate to 1e-6 of itself in every step.

    `ContrastiveModel.fit` binds a schedule that is unbound, or that an earlier `fit`
    has bound. One that you bind yourself stays as it is.

    Args:
        base_learning_rate: Float >= 0, the peak for `reference_batch` images.
        warmup_epochs: Number >= 0, may be fractional. Defaults to 10.
        reference_batch: Batch size that `base_learning_rate` is stated for. Defaults
            to 256.
        scaling: Function of `batch_size` and `reference_batch` that gives the factor
            of the peak: `linear_scaling` (the default), `square_root_scaling`,
            `no_scaling`, or your own, registered with Keras so that it can be saved.
        start: Learning rate of the first step, not scaled. Defaults to 0.
        final: Learning rate after the last step, not scaled. Defaults to 0.
        warmup_limit: Largest share of the run that warms up, in [0, 1]. Defaults to 1.

    Raises:
        ValueError: If a number is outside its range.

    Example:
        schedule = kc.optimizers.WarmupCosine(0.3, warmup_epochs=10)
        schedule.peak(4096)                                          # 4.8
        run = schedule.bind(batch_size=4096, steps_per_epoch=312, epochs=100)
        optimizer = kc.optimizers.LARS(run, weight_decay=1e-6)

    Reference: Chen et al., SimCLR (2020), section 2.2 and appendix B.1; Grill et al.,
    BYOL (2020), section 3.3.
    """

    def __init__(
        self,
        base_learning_rate: float,
        warmup_epochs: float = 10,
        reference_batch: int = 256,
        scaling=linear_scaling,
        start: float = 0.0,
        final: float = 0.0,
        warmup_limit: float = 1.0,
    ):
        check_not_negative("base_learning_rate", base_learning_rate)
        check_not_negative("warmup_epochs", warmup_epochs)
        check_not_negative("start", start)
        check_not_negative("final", final)
        _check_at_least("reference_batch", reference_batch, 1)
        if not 0 <= warmup_limit <= 1:
            raise ValueError(
                "`warmup_limit` is a share of the run and must be in [0, 1]. "
                f"Received: warmup_limit={warmup_limit}"
            )
        if not callable(scaling):
            raise ValueError(
                "`scaling` must be a function of `batch_size` and `reference_batch`, "
                "such as `keras_contrastive.optimizers.linear_scaling`. "
                f"Received: scaling={scaling!r}"
            )
        self.base_learning_rate = float(base_learning_rate)
        self.warmup_epochs = warmup_epochs
        self.reference_batch = reference_batch
        self.scaling = scaling
        self.start = float(start)
        self.final = float(final)
        self.warmup_limit = float(warmup_limit)
        self._run = None
        self.bound_by_fit = False

    @property
    def bound(self) -> bool:
        """Whether the schedule knows its run."""
        return self._run is not None

    def peak(self, batch_size: int) -> float:
        """Return the learning rate after the warm-up for this global batch size."""
        return self.base_learning_rate * self.scaling(batch_size, self.reference_batch)

    @property
    def peak_of_run(self) -> float:
        """The peak of the run it is bound to; unbound, `base_learning_rate`."""
        if self._run is None:
            return self.base_learning_rate
        return self.peak(self._run["batch_size"])

    def bind(
        self, batch_size: int, steps_per_epoch: int, epochs: int, first_step: int = 0
    ) -> "WarmupCosine":
        """Return a new schedule for one run; `self` stays as it is.

        Args:
            batch_size: Global batch size: images per optimizer step, all replicas.
            steps_per_epoch: Batches per epoch.
            epochs: Number of epochs of the run.
            first_step: The step at which the run begins, as the optimizer counts:
                0 for a new optimizer; negative, if a new optimizer goes on in the
                middle of a run. Keras hands schedules the count of batches,
                also with `gradient_accumulation_steps`.

        Returns:
            A bound `WarmupCosine`.

        Raises:
            ValueError: If a number is not an integer or too small.
        """
        _check_at_least("batch_size", batch_size, 1)
        _check_at_least("steps_per_epoch", steps_per_epoch, 1)
        _check_at_least("epochs", epochs, 1)
        schedule = type(self).from_config({**self.get_config(), "run": None})
        schedule._run = {
            "batch_size": int(batch_size),
            "steps_per_epoch": int(steps_per_epoch),
            "epochs": int(epochs),
            "first_step": int(first_step),
        }
        return schedule

    def __call__(self, step):
        """Return the learning rate of `step`, a float32 scalar tensor."""
        if not self.bound:
            return ops.convert_to_tensor(self.base_learning_rate, "float32")
        run = self._run
        peak = self.peak(run["batch_size"])
        total = run["epochs"] * run["steps_per_epoch"]
        warmup = round(self.warmup_epochs * run["steps_per_epoch"])
        warmup = min(warmup, round(self.warmup_limit * total))
        # Integers as long as possible, and half a cosine written as sin^2 of what is
        # left: 1 + cos(x) cancels in float32 towards the end of the run.
        k = ops.maximum(ops.cast(step, "int64") - run["first_step"], 0)
        left = ops.cast(ops.maximum(total - k, 0), "float32") / max(total - warmup, 1)
        weight = ops.square(ops.sin(math.pi / 2 * ops.minimum(left, 1.0)))
        cosine = self.final + (peak - self.final) * weight
        rising = ops.cast(k, "float32") / max(warmup, 1)
        linear = self.start + (peak - self.start) * rising
        return ops.where(k < warmup, linear, cosine)

    def get_config(self):
        """Return the constructor's arguments and the run it is bound to."""
        return {
            "base_learning_rate": self.base_learning_rate,
            "warmup_epochs": self.warmup_epochs,
            "reference_batch": self.reference_batch,
            "scaling": keras.saving.serialize_keras_object(self.scaling),
            "start": self.start,
            "final": self.final,
            "warmup_limit": self.warmup_limit,
            "run": None if self._run is None else dict(self._run),
            "bound_by_fit": self.bound_by_fit,
        }

    @classmethod
    def from_config(cls, config):
        """Rebuild the schedule, bound if it was, from `get_config()`."""
        config = dict(config)
        run = config.pop("run", None)
        by_fit = config.pop("bound_by_fit", True)  # as all in older files
        if not callable(config["scaling"]):
            config["scaling"] = keras.saving.deserialize_keras_object(config["scaling"])
        schedule = cls(**config)
        if run:
            schedule = schedule.bind(**run)
            schedule.bound_by_fit = by_fit
        return schedule


def _check_at_least(name, value, smallest):
    if not isinstance(value, Integral) or value < smallest:
        raise ValueError(
            f"`{name}` must be an integer >= {smallest}. Received: {name}={value}"
        )

"""Which variables an optimizer trains at a constant rate beside its schedule."""

from typing import Any

import keras

from keras_contrastive.optimizers.weight_decay import (
    ChosenWeightDecay,
    listed,
    patterns,
)


class ChosenSchedule(ChosenWeightDecay):
    """Mixin of optimizers that ask `rate_of` for the learning rate of a variable."""

    _schedule_exclusions: tuple = ()
    _learning_rate: Any  # of the optimizer beside it

    def exclude_from_schedule(self, var_list=None, var_names=None):
        """Choose the variables that a `WarmupCosine` trains at its peak throughout.

        The same rules as `exclude_from_weight_decay`: call it before the first training
        step; variables are recognised by their path, also after the optimizer was saved
        and loaded. With a learning rate that is a number it has no effect.

        Args:
            var_list: List of variables.
            var_names: List of strings; a variable is excluded if one of them, read
                as a regular expression, occurs in its path.

        Raises:
            ValueError: If the optimizer is already built, or has another schedule,
                whose peak it does not know.

        Example:
            optimizer.exclude_from_schedule(var_names=["^predictor/"])
        """
        self._check_not_built("exclude_from_schedule")
        schedule = self._learning_rate
        known = isinstance(schedule, keras.Variable) or hasattr(schedule, "peak_of_run")
        if not known:
            raise ValueError(
                "What is excluded from a schedule has its peak throughout, and only "
                "a keras_contrastive.optimizers.WarmupCosine knows its peak. Received: "
                f"learning_rate={schedule!r}"
            )
        self._schedule_exclusions = patterns(var_list, var_names)

    def build(self, variables):
        """Fix which variables follow the schedule; the rest follows in `super`."""
        if self.built:
            return
        super().build(variables)
        self._scheduled = self._select(variables, self._schedule_exclusions)

    def rate_of(self, index: int, learning_rate):
        """Return the learning rate of the variable at that position.

        Args:
            index: The variable's position among the optimizer's.
            learning_rate: What the schedule says.
        """
        if index in self._scheduled:
            return learning_rate
        # Read in every trace: `fit` binds the schedule to its run.
        return getattr(self._learning_rate, "peak_of_run", learning_rate)

    def get_config(self):
        """Return the constructor's arguments and the excluded paths."""
        exclusions = listed(self._schedule_exclusions)
        return {**super().get_config(), "schedule_exclusions": exclusions}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Rebuild the optimizer from `get_config()`."""
        config = dict(config)
        exclusions = config.pop("schedule_exclusions", None)
        optimizer = super().from_config(config, custom_objects=custom_objects)
        if exclusions:
            optimizer.exclude_from_schedule(var_names=exclusions)
        return optimizer

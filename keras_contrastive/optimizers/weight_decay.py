"""Which variables an optimizer decays, for optimizers that decay in their update."""

import re


class ChosenWeightDecay:
    """Mixin of optimizers that decay `self._decayed` themselves, in `update_step`.

    `_decayed` are positions among the optimizer's variables. Keras's own decay, which
    comes before `update_step`, is off.
    """

    _weight_decay_exclusions = None

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        """Choose the variables that are not decayed; replaces the default choice.

        As in Keras it is called before the optimizer is built, that is before the
        first training step, and calling it without arguments excludes nothing. The
        choice is saved with the optimizer: variables are recognised by their path.

        Args:
            var_list: List of variables.
            var_names: List of strings; a variable is excluded if one of them, read
                as a regular expression, occurs in its path, such as
                `"projection_head/dense/bias"`.

        Raises:
            ValueError: If the optimizer is already built.

        Example:
            optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        """
        self._check_not_built("exclude_from_weight_decay")
        self._weight_decay_exclusions = patterns(var_list, var_names)

    def build(self, variables):
        """Fix which variables are decayed; the optimizer's own follow in `super`."""
        if self.built:
            return
        super().build(variables)
        self._decayed = self._select(variables, self._weight_decay_exclusions)

    def get_config(self):
        """Return the constructor's arguments and the excluded paths."""
        exclusions = listed(self._weight_decay_exclusions)
        return {**super().get_config(), "weight_decay_exclusions": exclusions}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Rebuild the optimizer from `get_config()`."""
        config = dict(config)
        exclusions = config.pop("weight_decay_exclusions", None)
        optimizer = super().from_config(config, custom_objects=custom_objects)
        if exclusions is not None:
            optimizer.exclude_from_weight_decay(var_names=exclusions)
        return optimizer

    def _apply_weight_decay(self, variables):
        """Do nothing: Keras would decay a second time here."""

    def _excluded_by_default(self, variable):
        """Whether a variable is left out where no choice was made."""
        return False

    def _select(self, variables, exclusions):
        """Return the positions of the variables that `exclusions` leaves over.

        Decided once, on Keras's variables: in a step there are only TensorFlow's,
        which do not know their path.
        """

        def excluded(variable):
            if exclusions is None:
                return self._excluded_by_default(variable)
            return any(re.search(pattern, _path(variable)) for pattern in exclusions)

        return frozenset(i for i, v in enumerate(variables) if not excluded(v))

    def _check_not_built(self, method):
        if self.built:
            raise ValueError(
                f"`{method}()` must be called before the optimizer is built, that is "
                "before the first training step. Received a built optimizer: create "
                "a new one and call it there."
            )


def _path(variable):
    return getattr(variable, "path", variable.name)


def patterns(var_list, var_names) -> tuple[str, ...]:
    """Return regular expressions of the paths of those variables."""
    exact = tuple(f"^{re.escape(_path(variable))}$" for variable in var_list or ())
    return exact + tuple(var_names or ())


def listed(exclusions) -> list[str] | None:
    """Return a choice of exclusions as JSON has it."""
    return None if exclusions is None else list(exclusions)

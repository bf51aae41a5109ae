"""LARS: one learning rate per layer, for batches of thousands of images."""

from numbers import Real

import keras
from keras import ops

from keras_contrastive.optimizers.coupled_sgd import CoupledSGD
from keras_contrastive.optimizers.weight_decay import listed, patterns


@keras.saving.register_keras_serializable(package="keras_contrastive")
class LARS(CoupledSGD):
    """Layer-wise adaptive rate scaling: SGD whose step is relative to the weight.

    For a variable w with gradient g, in the order of the update:

        g' = g + weight_decay * w
        trust = trust_coefficient * |w| / |g'|       (1 if a norm is 0)
        u  = momentum * u + trust * g'
        w -= learning_rate * u

    The learning rate is *outside* the momentum buffer. This is the convention of
    BYOL, MoCo v3, Barlow Twins, VICReg and SCE. The authors' code of SimCLR has it
    inside (`u = momentum * u + learning_rate * trust * g'`): the same while the
    learning rate is constant, but a first step with learning rate 0 fills the
    buffer here and is lost there. lightly and solo-learn divide by
    `|g| + weight_decay * |w|` instead of `|g + weight_decay * w|`.

    By default biases and batch norm, that is every variable with at most one
    dimension, are neither decayed nor adapted (trust = 1). The methods
    `exclude_from_weight_decay` and `exclude_from_layer_adaptation` change either.

    With `clip_trust_ratio=True` the update is that of solo-learn's recipes for small
    images, which come with `trust_coefficient=0.02`:

        trust = trust_coefficient * |w| / (|g| + weight_decay * |w|)
        u  = momentum * u + min(trust / learning_rate, 1) * g'
                                          (u = momentum * u + g if |w| or |g| is 0)

    The step `learning_rate * trust` is then at most the learning rate, so LARS can
    only slow a layer down. At learning rate 0 (the first step of a warm-up) the
    clipped ratio is 1, its limit: the weights stay and the buffer takes g'.

    Norms are computed in float32 (float64 for float64 weights). Gradient clipping,
    gradient accumulation and the other arguments of `keras.optimizers.Optimizer` act
    on g, before the decay.

    Args:
        learning_rate: Float >= 0, or a schedule such as `WarmupCosine`.
        momentum: Float in [0, 1). Defaults to 0.9.
        weight_decay: Float >= 0, coupled. Defaults to 0.
        trust_coefficient: Float > 0, "eta" in the paper. Defaults to 0.001.
        clip_trust_ratio: See above. Defaults to `False`.
        **kwargs: Arguments of `keras.optimizers.Optimizer`: `name`, `clipnorm`,
            `global_clipnorm`, `gradient_accumulation_steps`, ...

    Raises:
        ValueError: If an argument is outside its range.

    Example:
        schedule = kc.optimizers.WarmupCosine(0.2, warmup_epochs=10)
        optimizer = kc.optimizers.LARS(schedule, weight_decay=1.5e-6)
        model.compile(optimizer)

    Reference: You et al., Large Batch Training of Convolutional Networks (2017),
    algorithm 1, https://arxiv.org/abs/1708.03888, with the exclusions of BYOL (2020).
    """

    def __init__(
        self,
        learning_rate,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust_coefficient: float = 0.001,
        clip_trust_ratio: bool = False,
        **kwargs,
    ):
        if not (isinstance(trust_coefficient, Real) and trust_coefficient > 0):
            raise ValueError(
                "`trust_coefficient` must be a number > 0. "
                f"Received: trust_coefficient={trust_coefficient}"
            )
        super().__init__(learning_rate, momentum, False, weight_decay, **kwargs)
        self.trust_coefficient = float(trust_coefficient)
        self.clip_trust_ratio = bool(clip_trust_ratio)
        self._adaptation_exclusions = None

    def exclude_from_layer_adaptation(self, var_list=None, var_names=None):
        """Choose the variables whose trust ratio is 1; replaces the default choice.

        The same rules as `exclude_from_weight_decay`: call it before the first
        training step; without arguments it excludes nothing; variables are
        recognised by their path, also after the optimizer was saved and loaded.

        Args:
            var_list: List of variables.
            var_names: List of strings; a variable is excluded if one of them, read
                as a regular expression, occurs in its path.

        Raises:
            ValueError: If the optimizer is already built.

        Example:
            optimizer.exclude_from_layer_adaptation(var_names=["bias", "predictor"])
        """
        self._check_not_built("exclude_from_layer_adaptation")
        self._adaptation_exclusions = patterns(var_list, var_names)

    def build(self, variables):
        """Create the momentum buffers and fix which variables are adapted."""
        if self.built:
            return
        super().build(variables)
        self._adapted = self._select(variables, self._adaptation_exclusions)

    def get_config(self):
        """Return the constructor's arguments and the excluded paths."""
        config = super().get_config()
        del config["nesterov"]
        return {
            **config,
            "trust_coefficient": self.trust_coefficient,
            "clip_trust_ratio": self.clip_trust_ratio,
            "adaptation_exclusions": listed(self._adaptation_exclusions),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Rebuild the optimizer from `get_config()`."""
        config = dict(config)
        exclusions = config.pop("adaptation_exclusions", None)
        optimizer = super().from_config(config, custom_objects=custom_objects)
        if exclusions is not None:
            optimizer.exclude_from_layer_adaptation(var_names=exclusions)
        return optimizer

    def _direction(self, gradient, variable, index, learning_rate):
        """What enters the momentum buffer: trust * g'."""
        decayed = super()._direction(gradient, variable, index, learning_rate)
        if index not in self._adapted:
            return decayed
        dtype = keras.backend.result_type(variable.dtype, "float32")
        weight_norm = _norm(ops.cast(variable, dtype))
        if not self.clip_trust_ratio:
            norm = _norm(ops.cast(decayed, dtype))
            trust = ops.divide_no_nan(self.trust_coefficient * weight_norm, norm)
            defined = ops.logical_and(weight_norm > 0, norm > 0)
            return decayed * ops.cast(ops.where(defined, trust, 1.0), variable.dtype)
        norm = _norm(ops.cast(gradient, dtype))
        decay = self.weight_decay if index in self._decayed else 0.0
        trust = self.trust_coefficient * weight_norm
        trust = ops.divide_no_nan(trust, norm + decay * weight_norm)
        rate = ops.cast(learning_rate, dtype)
        trust = ops.where(trust < rate, ops.divide_no_nan(trust, rate), 1.0)
        defined = ops.logical_and(weight_norm > 0, norm > 0)
        clipped = decayed * ops.cast(trust, variable.dtype)
        return ops.where(defined, clipped, ops.cast(gradient, variable.dtype))

    def _excluded_by_default(self, variable):
        return len(variable.shape) <= 1


def _norm(x):
    return ops.sqrt(ops.sum(ops.square(x)))

"""SGD whose weight decay goes through the momentum buffer, as in the papers."""

from numbers import Real

import keras
from keras import ops

from keras_contrastive.checks import check_not_negative
from keras_contrastive.optimizers.constant_rate import ChosenSchedule


@keras.saving.register_keras_serializable(package="keras_contrastive")
class CoupledSGD(ChosenSchedule, keras.optimizers.Optimizer):
    """SGD with momentum and coupled weight decay (PyTorch's SGD).

    For a variable w with gradient g, in the order of the update:

        g' = g + weight_decay * w
        u  = momentum * u + g'
        w -= learning_rate * u                       (nesterov=False)
        w -= learning_rate * (g' + momentum * u)     (nesterov=True)

    `keras.optimizers.SGD` is another rule: it decays the weight directly, outside
    the momentum buffer, and keeps the learning rate inside the buffer. A weight of
    1 without gradient, after 3 steps with learning rate 0.1, momentum 0.9 and weight
    decay 0.1: 0.9444 here, 0.9703 in Keras. The recipes of SupCon, MoCo and SCE were
    found with this one.

    Every variable is decayed, biases and batch norm included, as in those recipes;
    `exclude_from_weight_decay` changes that. `exclude_from_schedule` trains variables
    at the peak of the learning rate throughout. Gradient clipping, gradient
    accumulation and the other arguments of `keras.optimizers.Optimizer` act on g,
    before the decay.

    Args:
        learning_rate: Float >= 0, or a `keras.optimizers.schedules` schedule.
        momentum: Float in [0, 1). Defaults to 0.9.
        nesterov: Whether to look one step ahead. Defaults to `False`.
        weight_decay: Float >= 0. Defaults to 0.
        **kwargs: Arguments of `keras.optimizers.Optimizer`: `name`, `clipnorm`,
            `global_clipnorm`, `gradient_accumulation_steps`, ...

    Raises:
        ValueError: If an argument is outside its range.

    Example:
        optimizer = kc.optimizers.CoupledSGD(0.06, weight_decay=5e-4)
        model.compile(optimizer)

    Reference: Sutskever et al., On the importance of initialization and momentum in
    deep learning (2013); the form above is that of `torch.optim.SGD`.
    """

    def __init__(
        self,
        learning_rate,
        momentum: float = 0.9,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        **kwargs,
    ):
        if isinstance(learning_rate, Real):
            check_not_negative("learning_rate", learning_rate)
            learning_rate = float(learning_rate)
        check_not_negative("weight_decay", weight_decay)
        if not (isinstance(momentum, Real) and 0 <= momentum < 1):
            raise ValueError(
                f"`momentum` must be a number in [0, 1). Received: momentum={momentum}"
            )
        super().__init__(learning_rate, weight_decay=float(weight_decay), **kwargs)
        self.momentum = float(momentum)
        self.nesterov = bool(nesterov)

    def build(self, variables):
        """Create the momentum buffers."""
        if self.built:
            return
        super().build(variables)
        self._momentums = self.add_optimizer_variables(variables, "momentum")

    def update_step(self, gradient, variable, learning_rate):
        """Update one variable, in the order of the formula above."""
        index = self._get_variable_index(variable)
        buffer = self._momentums[index]
        learning_rate = ops.cast(self.rate_of(index, learning_rate), variable.dtype)
        gradient = self._direction(gradient, variable, index, learning_rate)
        self.assign(buffer, self.momentum * buffer + gradient)
        update = gradient + self.momentum * buffer if self.nesterov else buffer
        self.assign_sub(variable, learning_rate * update)

    def get_config(self):
        """Return the constructor's arguments and the excluded paths."""
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "nesterov": self.nesterov,
        }

    def _direction(self, gradient, variable, index, learning_rate):
        """What enters the momentum buffer: g' = g + weight_decay * w."""
        gradient = ops.cast(gradient, variable.dtype)
        if self.weight_decay and index in self._decayed:
            gradient = gradient + self.weight_decay * variable
        return gradient

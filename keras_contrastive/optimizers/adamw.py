"""AdamW whose weight decay may rise over the run, as for vision transformers."""

from numbers import Real

import keras
from keras import ops

from keras_contrastive.checks import check_not_negative
from keras_contrastive.optimizers.constant_rate import ChosenSchedule
from keras_contrastive.optimizers.warmup_cosine import WarmupCosine, no_scaling


@keras.saving.register_keras_serializable(package="keras_contrastive")
class AdamW(ChosenSchedule, keras.optimizers.Adam):
    """Adam with decoupled weight decay, of kernels only, that may follow a cosine.

    For a variable w with gradient g at step k, of T in the run:

        decay = final + (weight_decay - final) * (1 + cos(pi * k / T)) / 2
        w -= learning_rate * decay * w
        w -= learning_rate * Adam(g)

    What differs from `keras.optimizers.AdamW`: the decay may rise or fall; biases, and
    variables of one dimension such as those of norms, are not decayed, as in DINO's
    code (`exclude_from_weight_decay` changes that); `clipnorm` is the largest norm of
    a variable's gradient of the global batch, while Keras clips on each replica.

    `ContrastiveModel.fit` tells the optimizer the length of the run, as it does the
    schedule of the learning rate, and a resumed run goes on where it was. Without
    `fit` the decay stays at `weight_decay`. Batches are counted, accumulated ones too:
    the decay of an update is that of its last batch.

    Args:
        learning_rate: Float >= 0, or a schedule such as `WarmupCosine`.
        weight_decay: Float >= 0, at the first step. Defaults to DINO's 0.04.
        final_weight_decay: Float >= 0, after the last step; DINO has 0.4. `None`
            (default): always `weight_decay`.
        clipnorm: See above; `None` (default) does not clip.
        **kwargs: Further arguments of `keras.optimizers.Adam`: `beta_1`, `beta_2`,
            `epsilon`, `gradient_accumulation_steps`, ...

    Raises:
        ValueError: If an argument is outside its range.

    Example:
        schedule = kc.optimizers.WarmupCosine(5e-4, warmup_epochs=10, final=1e-6)
        optimizer = kc.optimizers.AdamW(schedule, 0.04, final_weight_decay=0.4)
        model.compile(optimizer)

    Reference: Loshchilov and Hutter, Decoupled Weight Decay Regularization (2019),
    https://arxiv.org/abs/1711.05101; https://github.com/facebookresearch/dino.
    """

    def __init__(
        self,
        learning_rate,
        weight_decay: float = 0.04,
        final_weight_decay: float | None = None,
        clipnorm: float | None = None,
        **kwargs,
    ):
        if isinstance(learning_rate, Real):
            check_not_negative("learning_rate", learning_rate)
            learning_rate = float(learning_rate)
        check_not_negative("weight_decay", weight_decay)
        super().__init__(
            learning_rate,
            weight_decay=float(weight_decay),
            clipnorm=clipnorm,
            **kwargs,
        )
        self.final_weight_decay = final_weight_decay
        self.decay_schedule = None
        if final_weight_decay is not None:
            check_not_negative("final_weight_decay", final_weight_decay)
            self.decay_schedule = WarmupCosine(
                weight_decay, 0, scaling=no_scaling, final=final_weight_decay
            )

    def update_step(self, gradient, variable, learning_rate):
        """Update one variable, in the order of the formula above."""
        if self.clipnorm:
            gradient = self._clip_by_norm(gradient)
        index = self._get_variable_index(variable)
        learning_rate = self.rate_of(index, learning_rate)
        if index in self._decayed:
            decay = self.weight_decay
            if self.decay_schedule is not None:
                decay = self.decay_schedule(self._iterations)
            rate = ops.cast(learning_rate * decay, variable.dtype)
            self.assign_sub(variable, rate * variable)
        super().update_step(gradient, variable, learning_rate)

    def get_config(self):
        """Return the constructor's arguments, excluded paths and the bound run."""
        schedule = self.decay_schedule
        return {
            **super().get_config(),
            "final_weight_decay": self.final_weight_decay,
            "decay_schedule": schedule and schedule.get_config(),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Rebuild the optimizer from `get_config()`."""
        config = dict(config)
        schedule = config.pop("decay_schedule", None)
        optimizer = super().from_config(config, custom_objects=custom_objects)
        if schedule:
            optimizer.decay_schedule = WarmupCosine.from_config(schedule)
        return optimizer

    def _clip_gradients(self, gradients):
        """Leave `clipnorm` to `update_step`, where replicas have been summed."""
        return gradients if self.clipnorm else super()._clip_gradients(gradients)

    def _excluded_by_default(self, variable):
        return len(variable.shape) <= 1 or variable.path.endswith("bias")

"""The rule and the schedule by which a target network follows the online one."""

import math

import keras
from keras import ops

from keras_contrastive.checks import check_choice


@keras.saving.register_keras_serializable(package="keras_contrastive")
class MomentumUpdate(keras.callbacks.Callback):
    """Moves the target network of BYOL, SCE and MoCo after every optimizer step.

    `target <- tau_k * target + (1 - tau_k) * online`, with the online weights after
    update number k + 1, and the cosine schedule from `start` to `end`

    `tau_k = end - (end - start) * (cos(pi * k / K) + 1) / 2`, k = 0 ... K - 1.

    The update is part of the compiled train step: it is exact whatever
    `steps_per_execution`, XLA or the number of replicas. It counts
    `optimizer.iterations`, so accumulated gradients move the target once, and a step
    that float16 loss scaling skips does not move it. K is the number of iterations of
    the `fit` that runs; before the first `fit` (`train_on_batch`) tau is `start`.

    A model has its method's default one from `compile()` on; one given to
    `fit(callbacks=[...])` replaces it from then on.

    Args:
        start: Momentum of the first update, in [0, 1]. BYOL: 0.99 for 100 and 300
            epochs, 0.996 for 1,000.
        end: Momentum at the end of training, in [0, 1].
        schedule: `"cosine"`, or `"constant"`: always `start` (`end` is not used).

    Example:
        model.fit(views, callbacks=[kc.callbacks.MomentumUpdate(start=0.99)])

    Reference: Bootstrap Your Own Latent (2020), section 3.2 and appendix A; authors'
    code deepmind-research/byol, where k also counts from 0.
    """

    def __init__(
        self, start: float = 0.996, end: float = 1.0, schedule: str = "cosine"
    ):
        super().__init__()
        for name, value in (("start", start), ("end", end)):
            if not 0.0 <= value <= 1.0:
                raise ValueError(
                    f"`{name}` is a momentum and must be in [0, 1]. "
                    f"Received: {name}={value}"
                )
        self.start, self.end = float(start), float(end)
        self.schedule = check_choice("schedule", schedule, ("cosine", "constant"))

    def set_model(self, model):
        """Become the rule by which `model` moves its target."""
        super().set_model(model)
        if getattr(model, "target", None) is None:
            raise ValueError(
                "MomentumUpdate needs a model with a target network. Received: "
                f"{type(model).__name__}, which has none. Remove the callback."
            )
        if model.momentum_update is not self:
            model.momentum_update = self
            model.train_function = None  # the step is traced again, with this rule

    def momentum(self, progress):
        """Return tau, a float32 scalar tensor.

        Args:
            progress: Share k / K of the run that has passed, in [0, 1].
        """
        if self.schedule == "constant":
            return ops.convert_to_tensor(self.start, "float32")
        # (cos(x) + 1) / 2 = 1 - sin(x / 2)^2, without its cancellation in float32.
        risen = ops.square(ops.sin(math.pi / 2 * progress))
        return self.start + (self.end - self.start) * risen

    def update(self, model, step, moved):
        """Move the target once; the compiled train step calls this.

        Args:
            model: The model whose `target` follows `encoder` and `projector`.
            step: `optimizer.iterations` before the optimizer's step.
            moved: Boolean tensor: whether that step changed the weights.

        Returns:
            tau, a float32 scalar tensor.
        """
        tau = self.momentum(model.clock.progress(step))
        model.target.move_towards(
            model.encoder, model.projector, ops.where(moved, tau, 1.0)
        )
        return tau

    def get_config(self):
        """Return the constructor's arguments."""
        return {"start": self.start, "end": self.end, "schedule": self.schedule}

    @classmethod
    def from_config(cls, config):
        """Rebuild the callback from `get_config()`."""
        return cls(**config)

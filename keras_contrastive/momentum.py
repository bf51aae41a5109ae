"""How a target network follows the online one: two schedules and one update.

Pure functions of tensors or numbers, without state, for a compiled train step. The
callback `MomentumUpdate` says which schedule a run uses.
"""

import math

from keras import ops


def constant(value: float):
    """Return `value` as a float32 scalar tensor: the rule of MoCo and small SCE."""
    return ops.convert_to_tensor(value, "float32")


def cosine(step, total_steps, start: float = 0.996, end: float = 1.0):
    """Return BYOL's momentum for the update that follows optimizer step `step`.

    `tau_k = end - (end - start) * (cos(pi * min(k, K) / K) + 1) / 2`

    Args:
        step: k, integer or integer tensor, counted from 0: the first update has
            exactly `start`. From K on the value is `end`.
        total_steps: K, integer or integer tensor; 0, not known yet, gives `start`.
        start: Momentum of the first update, in [0, 1].
        end: Momentum at the end, in [0, 1].

    Returns:
        Float32 scalar tensor.

    Example:
        cosine(0, 1000), cosine(500, 1000), cosine(1000, 1000)   # 0.996, 0.998, 1.0

    Reference: Grill et al., BYOL (2020), section 3.3; authors' code, where k also
    counts from 0. lightly and SCE divide by K - 1.
    """
    step = ops.cast(step, "float32")
    total_steps = ops.cast(total_steps, "float32")
    progress = ops.minimum(ops.divide_no_nan(step, total_steps), 1.0)
    # (cos(x) + 1) / 2 = 1 - sin(x / 2)^2, without its cancellation in float32.
    return start + (end - start) * ops.square(ops.sin(math.pi / 2 * progress))


def ema(target, online, momentum):
    """Return `target + (1 - momentum) * (online - target)`, in the dtype of `target`.

    Args:
        target: Tensor of any shape.
        online: Tensor of the same shape, after the optimizer's step.
        momentum: Scalar in [0, 1]; 1 leaves the target where it is.
    """
    rate = ops.cast(1.0 - momentum, target.dtype)
    return target + rate * (ops.cast(online, target.dtype) - target)

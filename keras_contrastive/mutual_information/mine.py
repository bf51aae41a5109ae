"""MINE: the bound of Donsker and Varadhan, with a gradient that is hardly biased."""

import math

import keras
from keras import ops

from keras_contrastive.mutual_information.bounds import dv
from keras_contrastive.mutual_information.information_estimator import (
    InformationEstimator,
)
from keras_contrastive.mutual_information.log_running_mean import LogRunningMean
from keras_contrastive.mutual_information.scores import (
    check_scores,
    joint_mean,
    log_marginal_mean_exp,
    size,
    with_gradient_of,
)

_EPSILON = 1e-6  # of gtegner/mine-pytorch, beside the running mean


@keras.saving.register_keras_serializable(package="keras_contrastive")
class MINE(InformationEstimator):
    """Mutual Information Neural Estimation: `dv`, and a running mean in its gradient.

    The gradient of the second term of `dv` is a mean over the batch, divided by
    another: `mean(exp(s) ds) / mean(exp(s))`. The ratio of two means of few pairs is
    biased, so the denominator here is a mean over past batches, too:

        m <- momentum * m + (1 - momentum) * mean_{i != j} exp(s_ij)

    moved before the gradient of the same step, and that of the first batch at first
    (section 3.2 of the paper). The value is that of `dv`.

    Args:
        critic: As in `InformationEstimator`.
        momentum: Share of the old mean, in [0, 1). 0 is the gradient of `dv` itself.
        **kwargs: Arguments of `keras.Model`, such as `name`.

    Data: as in `InformationEstimator`.

    Raises:
        ValueError: `momentum` out of its range, or data that is no pair.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive import mutual_information as mi
        >>> x = np.random.default_rng(0).normal(size=(512, 2))
        >>> model = mi.MINE(mi.BilinearCritic(seed=0))
        >>> model.compile("sgd")
        >>> history = model.fit((x, x), batch_size=64, epochs=2, verbose=0)
        >>> sorted(history.history)
        ['bound', 'loss']

    Reference:
        [MINE: Mutual Information Neural Estimation](
        https://arxiv.org/abs/1801.04062) (Belghazi et al., 2018);
        https://github.com/gtegner/mine-pytorch, which is not the authors'.
    """

    def __init__(self, critic, momentum=0.99, **kwargs):
        super().__init__(critic, bound="dv", **kwargs)
        self.momentum = momentum
        self.running_mean = LogRunningMean(momentum)

    def bound_of(self, scores, y, training=False):
        """Return `dv` of scores; in training with the corrected gradient."""
        value = dv(scores)
        if not training:
            return value
        scores = check_scores(scores)
        log_batch_mean = log_marginal_mean_exp(scores)
        known = ops.where(size(scores) > 1, log_batch_mean, math.inf)  # of two pairs
        log_mean = self.running_mean.update(known)
        log_mean = ops.logaddexp(log_mean, math.log(_EPSILON))
        corrected = joint_mean(scores) - ops.exp(log_batch_mean - log_mean)
        return with_gradient_of(value, corrected)

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        config = super().get_config()
        for name in ("bound", "baseline", "bound_arguments"):
            config.pop(name)
        return {**config, "momentum": self.momentum}

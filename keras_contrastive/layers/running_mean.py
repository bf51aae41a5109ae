"""A mean over the batches so far, in which old ones fade."""

import keras
from keras import ops

from keras_contrastive import distribute
from keras_contrastive.checks import check_count
from keras_contrastive.layers.state_weight import state_weight


@keras.saving.register_keras_serializable(package="keras_contrastive")
class RunningMean(keras.layers.Layer):
    """Moving average of the mean over the global batch: DINO's centre, for one.

        value <- m * value + (1 - m) * mean_i x_i

    Read `value` for the loss first, then `update`. It starts at 0, as in DINO's code,
    so it is small at first. Under `tf.distribute` the mean is that of all replicas. It
    is a weight, always float32, saved and restored with the model that holds the
    layer, and no optimizer touches it.

    Args:
        dim: Width of the examples, a positive integer.
        momentum: m, in [0, 1]. Defaults to 0.9.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Raises:
        ValueError: If `dim` or `momentum` is out of its range.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.layers import RunningMean
        >>> mean = RunningMean(dim=2, momentum=0.5)
        >>> mean.update(np.array([[1.0, 2.0], [3.0, 6.0]]))
        >>> mean.value.numpy()
        array([1., 2.], dtype=float32)

    Reference:
        [Emerging Properties in Self-Supervised Vision Transformers](
        https://arxiv.org/abs/2104.14294) (Caron et al., 2021), equation 4.
    """

    def __init__(self, dim, momentum=0.9, **kwargs):
        super().__init__(**kwargs)
        self.dim = check_count("dim", dim)
        if not 0 <= momentum <= 1:
            raise ValueError(
                "`momentum` is the share of the old mean and must be in [0, 1]. "
                f"Received: momentum={momentum!r}"
            )
        self.momentum = float(momentum)
        self._mean = state_weight(self, "mean", (self.dim,))
        self.built = True

    @property
    def value(self):
        """The mean, a float32 tensor `(dim,)`."""
        return ops.convert_to_tensor(self._mean)

    def update(self, x, applied=True):
        """Move the mean towards that of a batch.

        Args:
            x: Float tensor `(batch, dim)`, equally long on all replicas.
            applied: Boolean or boolean tensor; False leaves the mean as it is, as a
                step has to that float16 loss scaling skips.
        """
        batch_mean = ops.mean(ops.cast(ops.stop_gradient(x), "float32"), axis=0)
        batch_mean = distribute.all_reduce_mean(batch_mean)
        new = self.momentum * self.value + (1 - self.momentum) * batch_mean
        self._mean.assign(ops.where(applied, new, self.value))

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "dim": self.dim, "momentum": self.momentum}

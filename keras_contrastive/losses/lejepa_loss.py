"""SIGReg and the loss of LeJEPA, one value for the whole batch."""

import keras
import numpy as np
from keras import ops

from keras_contrastive import distribute
from keras_contrastive.checks import check_count
from keras_contrastive.losses.sliced_loss import (
    SlicedLoss,
    directions_and_views,
    projected,
)


def sigreg(directions, z, knots=17, upper=3.0):
    """Return SIGReg: how far the embeddings are from an isotropic Gaussian.

    Each view's batch of `N` embeddings is projected on each direction `a`, and its
    characteristic function compared with that of N(0, 1), the Epps-Pulley test:

        T(v, a) = N int |mean_n exp(i t a.z_nv) - exp(-t^2 / 2)|^2 exp(-t^2 / 2) dt

    over [-upper, upper], by the trapezium rule; the integrand is even, so that `knots`
    points of [0, upper] are enough. The value is the mean over views and directions. It
    grows with N where the embeddings are not Gaussian. (The paper's listing has 17
    points on [-5, 5], the authors' code what stands here.)

    Under `tf.distribute` the batch is the global one: replicas add up their parts of
    the characteristic functions, with a gradient, and exchange no embeddings.

    Args:
        directions: Unit columns `(dim, slices)`, the same on all replicas.
        z: Embeddings `(batch, views, dim)`, neither normalised nor standardised.
        knots: Points of the integral, at least 2. Defaults to 17.
        upper: Upper end of the integral. Defaults to 3.

    Returns:
        A float32 scalar. Memory is of order `batch * views * slices * knots`.

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.losses import sigreg
        >>> z = np.random.default_rng(0).normal(size=(256, 1, 4)).astype("float32")
        >>> gauss, half = sigreg(np.eye(4), z), sigreg(np.eye(4), z / 2)
        >>> bool(gauss < 2.0 < half)
        True

    Reference:
        [LeJEPA](https://arxiv.org/abs/2511.08544) (Balestriero and LeCun, 2025).
    """
    directions, z = directions_and_views(directions, z, 1, 1)
    step = upper / (knots - 1)
    t = step * np.arange(knots, dtype="float32")
    target = np.exp(-np.square(t) / 2)
    weights = 2 * step * target
    weights[[0, -1]] /= 2  # the ends, and both halves of the real line
    x = projected(z, directions)[..., None] * t  # (n, V, S, knots)
    batch = distribute.all_reduce_sum(ops.cast(ops.shape(z)[0], "float32"))  # N
    parts = ops.stack([ops.sum(ops.cos(x), axis=0), ops.sum(ops.sin(x), axis=0)])
    real, imaginary = ops.unstack(distribute.all_reduce_sum(parts) / batch)
    error = ops.square(real - target) + ops.square(imaginary)
    return batch * ops.mean(ops.sum(error * weights, axis=-1))


@keras.saving.register_keras_serializable(package="keras_contrastive")
class LeJEPALoss(SlicedLoss):
    """Views agree, and each view's embeddings are an isotropic Gaussian.

    With `c_n` the mean over the global views of image `n`, and `sigreg` of all views
    (see `sigreg`):

        l = (1 - weight) mean_{n, v, d} (z_nvd - c_nd)^2 + weight * sigreg(z)

    No gradient is stopped. The loss is a scalar of the batch, not a value per example.
    Where all views are global it is that of the authors' minimal example.

    Args:
        weight: The paper's lambda, in [0, 1]. Defaults to 0.05.
        num_slices: Number of directions that are drawn. Defaults to 1,024.
        num_global: Number of global views, which come first. Defaults to 2.
        knots: Points of SIGReg's integral, at least 2. Defaults to 17.
        upper: Upper end of SIGReg's integral. Defaults to 3.
        reduction: As in `keras.losses.Loss`; of a single value there is nothing to
            reduce.
        name: Name of the loss.

    Call arguments:
        targets: Directions `(dim, slices)`, unit columns, the same on all replicas; or
            None: `num_slices` new ones in each call, the same on all replicas.
        predictions: Embeddings `(batch, views, dim)`, the global views first, neither
            normalised nor standardised.

    Raises:
        ValueError: If an argument is out of range, the shapes do not fit, or there are
            fewer views than `num_global`.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.losses import LeJEPALoss
        >>> z = np.random.default_rng(0).normal(size=(64, 1, 8)).astype("float32")
        >>> z = np.repeat(z, 4, axis=1)  # four equal views, already Gaussian
        >>> bool(LeJEPALoss()(None, z) < LeJEPALoss()(None, 0 * z))
        True

    Reference:
        [LeJEPA](https://arxiv.org/abs/2511.08544) (Balestriero and LeCun, 2025).
    """

    def __init__(
        self,
        weight=0.05,
        num_slices=1024,
        num_global=2,
        knots=17,
        upper=3.0,
        reduction="sum_over_batch_size",
        name="lejepa_loss",
    ):
        super().__init__(weight, num_slices, num_global, reduction=reduction, name=name)
        if check_count("knots", knots) < 2 or not upper > 0:
            raise ValueError(
                "`knots` must be at least 2 and `upper` positive. "
                f"Received: knots={knots}, upper={upper}"
            )
        self.knots = knots
        self.upper = float(upper)

    def regularizer(self, directions, z):
        """Return SIGReg, a scalar of the global batch."""
        return sigreg(directions, z, self.knots, self.upper)

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "knots": self.knots, "upper": self.upper}

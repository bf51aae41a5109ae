"""A critic that learns how much two variables tell of each other."""

import keras
import numpy as np
from keras import ops

from keras_contrastive import distribute
from keras_contrastive.checks import check_count
from keras_contrastive.mutual_information.bounds import dv, infonce, nwj, tuba
from keras_contrastive.mutual_information.gan_bounds import js, smile
from keras_contrastive.mutual_information.interpolated import interpolated
from keras_contrastive.mutual_information.pairs import check_pair

BOUNDS = {f.__name__: f for f in (dv, nwj, tuba, infonce, js, smile, interpolated)}
_WITH_BASELINE = ("tuba", "interpolated")


@keras.saving.register_keras_serializable(package="keras_contrastive")
class InformationEstimator(keras.Model):
    """Trains a critic by a lower bound on mutual information; estimates in nats.

    `fit` maximises the bound of each batch's scores. It logs `loss`, the negated bound,
    and `bound`. `estimate` gives the bound of other pairs. `model((x, y))` gives the
    scores `(batch, batch)` of all pairs. Under `tf.distribute` every replica scores the
    global batch.

    Args:
        critic: A layer from a tuple `(x, y)` of N pairs to scores `(N, N)` whose row i,
            column j is `f(x_j, y_i)`: `SeparableCritic`, `BilinearCritic`,
            `ConcatenatedCritic`, or one of your own with encoders in it.
        bound: `"dv"`, `"nwj"`, `"tuba"`, `"infonce"` (default), `"js"`, `"smile"` or
            `"interpolated"`: the function of this module of that name.
        baseline: For `"tuba"` and `"interpolated"`, a layer from `y` to `log a(y)`,
            `(batch, 1)`, which is trained as well. By default `log a(y)` is 0.
        bound_arguments: Further arguments of the bound, such as `{"clip": 1.0}`.
        **kwargs: Arguments of `keras.Model`, such as `name`.

    Data: pairs drawn together, as one tuple. `fit((x, y))` takes arrays of equal
    length. A dataset yields `((x, y),)`, `((x, y), None)`, or `((x, y), label)`, whose
    label is ignored. A bare `(x, y)` is read as input and label, and refused. A batch
    of one pair, such as the last one of arrays may be, teaches nothing.

    Raises:
        ValueError: An unknown bound, arguments or a baseline that it does not take, or
            data that is no pair.

    Example:
        >>> import keras, numpy as np
        >>> from keras_contrastive import mutual_information as mi
        >>> x = np.random.default_rng(0).normal(size=(512, 2))
        >>> model = mi.InformationEstimator(mi.BilinearCritic(seed=0), "infonce")
        >>> model.compile(keras.optimizers.Adam(0.05))
        >>> history = model.fit((x, x), batch_size=64, epochs=2, verbose=0)
        >>> bool(0.5 < model.estimate(x, x, batch_size=64) < np.log(64))
        True

    Reference:
        [On Variational Bounds of Mutual Information](
        https://arxiv.org/abs/1905.06922) (Poole et al., 2019).
    """

    def __init__(
        self, critic, bound="infonce", baseline=None, bound_arguments=None, **kwargs
    ):
        super().__init__(**kwargs)
        if bound not in BOUNDS:
            raise ValueError(
                f"`bound` must be one of {', '.join(BOUNDS)}. Received: bound={bound!r}"
            )
        if baseline is not None and bound not in _WITH_BASELINE:
            raise ValueError(
                f"`baseline` belongs to the bounds {' and '.join(_WITH_BASELINE)}. "
                f"Received: bound={bound!r}, baseline={baseline!r}. Leave it out."
            )
        self.critic = critic
        self.bound = bound
        self.baseline = baseline
        self.bound_arguments = dict(bound_arguments or {})
        self._check_bound_arguments()
        self.bound_tracker = keras.metrics.Mean(name="bound")

    def _check_bound_arguments(self):
        """Try the arguments of the bound on the smallest matrix."""
        baselines = [ops.zeros(2)] if self.bound in _WITH_BASELINE else []
        try:
            BOUNDS[self.bound](ops.zeros((2, 2)), *baselines, **self.bound_arguments)
        except TypeError as error:
            raise ValueError(
                "`bound_arguments` must be further arguments of the function "
                f"`{self.bound}`. Received: {self.bound_arguments} ({error})"
            ) from error

    def compile(self, optimizer=None, *, jit_compile=False, **kwargs):
        """Configure training.

        Args:
            optimizer: Keras optimizer; by default Adam with the rate 5e-4 of Poole et
                al.
            jit_compile: XLA; on a CPU it makes these small networks no faster.
            **kwargs: As in `keras.Model.compile`, but for loss and metrics: the bound
                is both.
        """
        for name in ("loss", "loss_weights", "metrics", "weighted_metrics"):
            if kwargs.pop(name, None) is not None:
                raise ValueError(
                    f"`{name}` compares predictions with labels, and pairs have none. "
                    f"Received: a value for it. Choose a `bound` for what is trained."
                )
        optimizer = optimizer or keras.optimizers.Adam(5e-4)
        super().compile(optimizer, jit_compile=jit_compile, **kwargs)

    def build(self, input_shape):
        """Build critic and baseline for the shapes of a pair."""
        x_shape, y_shape = check_pair(input_shape)
        if not self.critic.built:
            self.critic.build((x_shape, y_shape))
        if self.baseline is not None and not self.baseline.built:
            self.baseline.build(y_shape)

    def call(self, pair):
        """Return the scores of all pairs of the global batch, `(N, N)`."""
        x, y = check_pair(pair)
        return self.critic((distribute.all_gather(x), distribute.all_gather(y)))

    def bound_of(self, scores, y, training=False):
        """Return the bound of scores, a float32 scalar in nats.

        Args:
            scores: Of the global batch, `(N, N)`.
            y: This replica's, for the baseline.
            training: Whether its gradient is taken.
        """
        baselines = []
        if self.baseline is not None:
            everyone = distribute.all_gather(y)
            baselines = [ops.squeeze(self.baseline(everyone), axis=-1)]
        elif self.bound in _WITH_BASELINE:
            baselines = [ops.zeros_like(scores[:, 0])]
        return BOUNDS[self.bound](scores, *baselines, **self.bound_arguments)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        """Return the negated bound, and this replica's share of it."""
        if sample_weight is not None:
            raise ValueError(
                "Pairs are compared with each other and have no weights. Received: "
                "sample weights. Leave them out."
            )
        pairs = ops.shape(y_pred)[0]
        if y_pred.shape[0] == 1:
            value = 0.0 * ops.sum(y_pred)
        else:
            value = ops.where(pairs > 1, self.bound_of(y_pred, x[1], training), 0.0)
        weight = ops.where(pairs > 1, ops.cast(pairs, "float32"), 0.0)
        self.bound_tracker.update_state(value, weight)
        return (sum(self.losses, 0.0) - value) / distribute.num_replicas()

    def estimate(self, x, y, batch_size: int = 256) -> float:
        """Return the mean of the bound over batches of pairs, in nats.

        Pairs that the critic was not trained on give a lower bound; of its own pairs it
        may be too high. `infonce` cannot exceed `log(batch_size)`.

        Args:
            x: Array whose rows go with those of `y`.
            y: Array of equal length.
            batch_size: N of each matrix of scores, at least 2. Rows that fill no batch
                are left out, unless there are fewer than one batch in all.

        Raises:
            ValueError: Lengths that differ, or fewer than two pairs.
        """
        check_count("batch_size", batch_size)
        if len(x) != len(y) or min(len(x), batch_size) < 2:
            raise ValueError(
                "Expected two pairs or more: x and y of equal length, and a batch of "
                f"at least 2. Received: {len(x)} rows and {len(y)} rows, "
                f"batch_size={batch_size}"
            )
        size = min(batch_size, len(x))
        values = []
        for start in range(0, len(x) - size + 1, size):
            pair = [
                ops.convert_to_tensor(part[start : start + size]) for part in (x, y)
            ]
            values.append(self.bound_of(self(pair, training=False), pair[1]))
        return float(np.mean(values))

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "critic": serialize(self.critic),
            "bound": self.bound,
            "baseline": serialize(self.baseline),
            "bound_arguments": self.bound_arguments,
        }

    @classmethod
    def from_config(cls, config):
        """Rebuild a model from `get_config()`."""
        config = dict(config)
        for part in {"critic", "baseline"} & set(config):
            config[part] = keras.saving.deserialize_keras_object(config[part])
        return cls(**config)

    def compile_from_config(self, config):
        """Compile as the saved model was, with the optimizer's variables."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)

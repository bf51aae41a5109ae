"""The network that compares features of several scales: DIM's and AMDIM's."""

import keras

from keras_contrastive.checks import check_count
from keras_contrastive.layers.sync_batch_normalization import SyncBatchNormalization


@keras.saving.register_keras_serializable(package="keras_contrastive")
class ResidualHead(keras.layers.Layer):
    """A hidden layer beside a linear shortcut, on the last axis of its input.

        y = norm( W_2 relu(n(W_1 x)) + W_0 x + b )

    On a feature map it is a network of 1x1 convolutions. The shortcut begins as a noisy
    copy where the output is at least as wide as the input: 1 on the diagonal and
    U(-0.01, 0.01) elsewhere. Batch norm has decay 0.9 and epsilon 1e-5 and is
    synchronised over replicas.

    | Head  | units | hidden_norm | layer_norm | zero_init |
    |-------|-------|-------------|------------|-----------|
    | DIM   | 2048  | True        | True       | False     |
    | AMDIM | dim   | False       | False      | True      |

    Args:
        units: Width of the hidden layer and of the output, a positive int.
        hidden_norm: Whether n is a batch norm, or else the identity.
        layer_norm: Whether the last norm is a layer norm, or else a batch norm.
        zero_init: Whether W_2 begins with zeros, and the head as its shortcut.
        **kwargs: `name`, `dtype` and so on of `keras.layers.Layer`.

    Call arguments:
        features: Float tensor `(batch, ..., dim)`.
        training: Whether batch norm uses the statistics of the batch.

    Returns:
        Tensor `(batch, ..., units)` in the layer's compute dtype.

    Raises:
        ValueError: If `units` is not a positive int.

    Example:
        >>> head = keras_contrastive.layers.ResidualHead(64)
        >>> head(np.zeros((4, 7, 7, 32), "float32")).shape
        TensorShape([4, 7, 7, 64])

    References:
        - [Hjelm et al., 2019 (DIM)](https://arxiv.org/abs/1808.06670), encode-and-dot;
          https://github.com/rdevon/DIM
        - [Bachman et al., 2019 (AMDIM)](https://arxiv.org/abs/1906.00910);
          https://github.com/Philip-Bachman/amdim-public
    """

    def __init__(
        self, units, hidden_norm=True, layer_norm=True, zero_init=False, **kwargs
    ):
        super().__init__(**kwargs)
        self.units = check_count("units", units)
        self.hidden_norm = hidden_norm
        self.layer_norm = layer_norm
        self.zero_init = zero_init

        def dense(name, **arguments):
            policy = self.dtype_policy
            return keras.layers.Dense(units, name=name, dtype=policy, **arguments)

        last = "zeros" if zero_init else "glorot_uniform"
        norms = {"name": "hidden_norm", "dtype": self.dtype_policy}
        self.hidden = dense("hidden_dense", use_bias=False)
        self.norm = SyncBatchNormalization(**norms) if hidden_norm else None
        self.last = dense("output_dense", kernel_initializer=last)
        self.shortcut = dense("shortcut", use_bias=False, kernel_initializer=noisy_copy)
        norms["name"] = "output_norm"
        if layer_norm:
            self.output_norm = keras.layers.LayerNormalization(epsilon=1e-5, **norms)
        else:
            self.output_norm = SyncBatchNormalization(**norms)

    def build(self, input_shape):
        """Create the weights of all layers."""
        inner = (*input_shape[:-1], self.units)
        self.hidden.build(input_shape)
        self.shortcut.build(input_shape)
        for layer in (self.norm, self.last, self.output_norm):
            if layer is not None:
                layer.build(inner)
        self.built = True

    def call(self, features, training=None):
        """Map features `(batch, ..., dim)` to embeddings `(batch, ..., units)`."""
        x = self.hidden(features)
        if self.norm is not None:
            x = self.norm(x, training=training)
        x = self.last(keras.ops.relu(x)) + self.shortcut(features)
        if self.layer_norm:
            return self.output_norm(x)
        return self.output_norm(x, training=training)

    def compute_output_shape(self, input_shape):
        """Return the input's shape with `units` as the last axis."""
        return (*input_shape[:-1], self.units)

    def get_config(self):
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "units": self.units,
            "hidden_norm": self.hidden_norm,
            "layer_norm": self.layer_norm,
            "zero_init": self.zero_init,
        }


def noisy_copy(shape, dtype=None):
    """Return a kernel near the identity; where the output is narrower, Glorot's."""
    if shape[1] < shape[0]:
        return keras.initializers.GlorotUniform()(shape, dtype)
    noise = keras.initializers.RandomUniform(-0.01, 0.01)(shape, dtype)
    eye = keras.ops.eye(*shape, dtype=dtype)
    return keras.ops.where(eye > 0, eye, noise)

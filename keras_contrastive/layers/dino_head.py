"""The head of DINO: a bottleneck, and scores against learned directions."""

import keras
from keras import ops

from keras_contrastive.checks import check_count
from keras_contrastive.layers.projection_head import ProjectionHead
from keras_contrastive.unit_vectors import l2_normalize


@keras.saving.register_keras_serializable(package="keras_contrastive")
class DINOHead(keras.layers.Layer):
    """Features to the scores of many units, which are cosines in a small space.

        z = MLP(features),    score_k = n(z) n(w_k),    n(x) = x / |x|

    The MLP has GELU between its layers, and ends without one in the bottleneck. The
    last layer has weight normalisation whose gain stays at 1, so that a score is in
    [-1, 1] whatever the length of z and w. Its kernel, of all w_k, is `last_kernel`:
    DINO holds it fixed in the first epoch.

    Args:
        units: K, the number of units: 65,536 for ImageNet, 4,096 for small images.
        hidden_units: Width of each hidden layer; the paper's (2048, 2048).
        bottleneck: Width of z; the paper's 256.
        hidden_norm: Whether batch norm, over all replicas, comes before each GELU. The
            paper's head has none; ResNets, and short runs, learn better with it.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        features: Float tensor `(batch, dim)`.
        training: Whether batch norm uses the statistics of the batch.

    Returns:
        Scores `(batch, units)` in the layer's compute dtype.

    Raises:
        ValueError: If a size is not a positive integer, or the features are not
            `(batch, dim)`.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.layers import DINOHead
        >>> head = DINOHead(64, hidden_units=(32, 32), bottleneck=16)
        >>> head(np.ones((4, 8), "float32")).shape
        TensorShape([4, 64])

    Reference:
        [Emerging Properties in Self-Supervised Vision Transformers](
        https://arxiv.org/abs/2104.14294) (Caron et al., 2021), appendix C;
        https://github.com/facebookresearch/dino. The authors can also train the gain,
        which is less stable. Beside batch norm their hidden layers keep a bias, which
        has no effect there.
    """

    def __init__(
        self,
        units: int,
        hidden_units: tuple[int, ...] = (2048, 2048),
        bottleneck: int = 256,
        hidden_norm: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = check_count("units", units)
        self.hidden_units = tuple(check_count("hidden_units", n) for n in hidden_units)
        self.bottleneck = check_count("bottleneck", bottleneck)
        self.hidden_norm = hidden_norm

        self.mlp = ProjectionHead(
            self.bottleneck,
            self.hidden_units,
            hidden_bias=not hidden_norm,
            hidden_norm=hidden_norm,
            output_bias=True,
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=0.02),
            activation="gelu",
            dtype=self.dtype_policy,
            name="mlp",
        )

    def build(self, input_shape):
        """Create the weights of all layers."""
        self.mlp.build(input_shape)
        self.last_kernel = self.add_weight(
            name="last_kernel",
            shape=(self.bottleneck, self.units),
            # That of torch's linear layers, which the authors leave as it is.
            initializer=keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform"),
            autocast=False,
        )
        self.built = True

    def call(self, features, training=None):
        """Map features `(batch, dim)` to scores `(batch, units)`."""
        z = self.mlp(features, training=training)
        directions = l2_normalize(self.last_kernel, axis=0)
        return ops.matmul(
            ops.cast(l2_normalize(z), self.compute_dtype),
            ops.cast(directions, self.compute_dtype),
        )

    def compute_output_shape(self, input_shape):
        """Return `(batch, units)`."""
        return (input_shape[0], self.units)

    def get_config(self):
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "units": self.units,
            "hidden_units": list(self.hidden_units),
            "bottleneck": self.bottleneck,
            "hidden_norm": self.hidden_norm,
        }

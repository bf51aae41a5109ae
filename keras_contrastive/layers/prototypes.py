"""Learned directions that embeddings are compared with."""

import keras
from keras import ops

from keras_contrastive import distribute
from keras_contrastive.checks import check_count
from keras_contrastive.unit_vectors import l2_normalize, random_unit_vectors


@keras.saving.register_keras_serializable(package="keras_contrastive")
class Prototypes(keras.layers.Layer):
    """Similarity of each embedding to `K` trainable directions, as in SwAV.

        scores = n(z) C^T,    n(x) = x / |x| by rows

    The rows of `C` begin with length 1, and a score is a cosine then. An optimizer
    changes their length: call `normalize` before every step, as the authors do. It is
    no part of the forward pass, so the gradient is that of `C` itself.

    Args:
        num_prototypes: `K`, a positive integer. SwAV: 3,000 for ImageNet.
        dim: Width of an embedding, a positive integer.
        seed: Seed of the initial directions, an integer. Defaults to `None`: random,
            reproducible with `keras.utils.set_random_seed`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        embeddings: Float tensor `(batch, dim)`, of any length.

    Returns:
        Float32 scores `(batch, num_prototypes)`.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.layers import Prototypes
        >>> prototypes = Prototypes(num_prototypes=3, dim=2, seed=0)
        >>> prototypes(np.array([[3.0, 4.0]])).shape
        TensorShape([1, 3])

    Reference:
        [Unsupervised Learning of Visual Features by Contrasting Cluster Assignments](
        https://arxiv.org/abs/2006.09882) (Caron et al., 2020), section 3.1;
        https://github.com/facebookresearch/swav.
    """

    def __init__(self, num_prototypes, dim, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.num_prototypes = check_count("num_prototypes", num_prototypes)
        self.dim = check_count("dim", dim)
        self.seed = seed
        self.directions = self.add_weight(
            name="directions",
            shape=(self.num_prototypes, self.dim),
            initializer=random_unit_vectors(seed),
            dtype="float32",
            autocast=False,
        )
        self.built = True

    def call(self, embeddings):
        """Return the scores, `(batch, num_prototypes)`."""
        return ops.matmul(l2_normalize(embeddings), ops.transpose(self.directions))

    def normalize(self):
        """Give every direction length 1."""
        distribute.update_each_replica(
            lambda variable, value: variable.assign(l2_normalize(value)),
            [self.directions],
            [self.directions],
        )

    def compute_output_shape(self, input_shape):
        """Return `(batch, num_prototypes)`."""
        return (input_shape[0], self.num_prototypes)

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "num_prototypes": self.num_prototypes,
            "dim": self.dim,
            "seed": self.seed,
        }

"""The local loss of Deep InfoMax: an image's summary finds its own places."""

import math

import keras
from keras import ops

from keras_contrastive import distribute
from keras_contrastive.checks import check_choice
from keras_contrastive.losses.contrastive_loss import (
    ContrastiveLoss,
    check_batch,
    check_equal,
    check_shape,
    to_float32,
)


@keras.saving.register_keras_serializable(package="keras_contrastive")
class DIMLoss(ContrastiveLoss):
    """Mutual information of an image's global feature and its local ones, negated.

    With `m` the global features, `l` the local ones of `L` places, and scores
    `u_ijk = m_i . l_jk` over the global batch, the estimators are

        jsd:      l_i = mean_{j != i, k} (softplus(-u_ijk) + u_ijk - log 2)
                        - mean_k (log 2 - softplus(-u_iik))
        infonce:  l_i = -mean_k log( exp(u_iik) / (exp(u_iik) + sum_{j != i, k'}
                        exp(u_ijk') + L exp(-10)) )

    The first is a lower bound of the Jensen-Shannon divergence (equation 4 of the
    paper); the second is equation 5, where the authors' code gives the image's own
    places the score -10, and so does this. Nothing is normalised.

    Args:
        estimator: `"jsd"` (default) or `"infonce"`.
        reduction: As in `keras.losses.Loss`; the mean over the batch by default.
        name: Name of the loss.

    Call arguments:
        targets: Global features `m`, `(batch, dim)`.
        predictions: Local features `l`, `(batch, places, dim)`. Both get gradients.

    Raises:
        ValueError: If `estimator` is another word, the shapes do not fit, or the batch
            has one image.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.losses import DIMLoss
        >>> m = 3 * np.eye(4, dtype="float32")
        >>> own = np.repeat(m[:, None], 2, axis=1)  # places that are like their image
        >>> bool(DIMLoss()(m, own) < DIMLoss()(m, own[::-1]))
        True

    Reference:
        [Learning deep representations by mutual information estimation and
        maximization](https://arxiv.org/abs/1808.06670) (Hjelm et al., 2019), equations
        4, 5 and 8; https://github.com/rdevon/DIM.
    """

    def __init__(
        self, estimator="jsd", reduction="sum_over_batch_size", name="dim_loss"
    ):
        super().__init__(reduction=reduction, name=name)
        self.estimator = check_choice("estimator", estimator, ("jsd", "infonce"))

    def call(self, targets, predictions):
        """Return the loss of each image, `(batch,)`."""
        own, u, others = scores(targets, predictions)
        if self.estimator == "jsd":
            positive = math.log(2) - ops.softplus(-own)
            negative = ops.where(others, ops.softplus(-u) + u - math.log(2), 0.0)
            places = ops.shape(own)[1]
            count = ops.cast((ops.shape(u)[1] - 1) * places, "float32")
            mean = ops.sum(negative, axis=(1, 2)) / ops.maximum(count, 1.0)
            return mean - ops.mean(positive, axis=1)
        negatives = ops.logsumexp(ops.where(others, u, -10.0), axis=(1, 2))
        return ops.mean(ops.softplus(negatives[:, None] - own), axis=1)

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "estimator": self.estimator}


def scores(global_features, local_features, scale: float = 1.0):
    """Compare global features with the places of all images of the global batch.

    Args:
        global_features: `(batch, dim)`.
        local_features: `(batch, places, dim)`.
        scale: What all scores are multiplied by.

    Returns:
        Float32 scores of the own places, `(batch, places)`, and of all images' places,
        `(batch, N, places)`; and booleans `(batch, N, 1)`: whether it is another image.
    """
    remedy = "Flatten a map of features to (batch, places, dim)."
    m = check_shape("global", to_float32(global_features), ("batch", "dim"), remedy)
    axes = ("batch", "places", "dim")
    places = check_shape("local", to_float32(local_features), axes, remedy)
    sizes = (places.shape[0], places.shape[2])
    check_equal("batch and width", remedy, **{"global": m.shape, "local": sizes})
    check_batch("global", m, least=2)
    m = scale * m
    everyone = distribute.all_gather(places)  # (N, L, D)
    rows = ops.reshape(everyone, (-1, m.shape[-1]))
    n, count = ops.shape(everyone)[0], ops.shape(everyone)[1]
    u = ops.reshape(ops.matmul(m, ops.transpose(rows)), (-1, n, count))
    own = ops.einsum("nd,nld->nl", m, places)
    image = distribute.local_rows(ops.shape(m)[0])
    others = image[:, None] != ops.arange(n)[None, :]
    return own, u, others[:, :, None]

"""ProtoNCE, PCL's loss: an image finds the prototype of its cluster."""

import keras
from keras import ops

from keras_contrastive import distribute
from keras_contrastive.losses.contrastive_loss import (
    MASKED,
    ContrastiveLoss,
    check_equal,
    check_shape,
    unit_vectors,
)


@keras.saving.register_keras_serializable(package="keras_contrastive")
class ProtoNCELoss(ContrastiveLoss):
    """Find the prototype of the own cluster among those of other clusters.

    With `c_i` the prototype of image `i`, the `N` images of the global batch and `r`
    sampled clusters, the candidates are `c_1 ... c_N` and the `r` prototypes; with `j`
    over them, and each cluster's concentration `phi_j`,

        l_i = -log( exp(q_i c_i / phi_i) / sum_j exp(q_i c_j / phi_j) )

    (the second term of equation 11 of the paper, for one clustering). Images of one
    cluster bring its prototype once each, and another image's is a negative, as in the
    authors' code. No gradient reaches prototypes and concentrations.

    Args:
        reduction: As in `keras.losses.Loss`; the mean over the batch by default.
        name: Name of the loss.

    Call arguments:
        targets: Tuple `(assignments, centroids, concentration, negatives)`: the cluster
            of each image, integers `(batch,)`; unit vectors `(K, dim)`; positive
            numbers `(K,)`; and integers `(r,)`, the sampled clusters, the same on all
            replicas, of which negative ones are left out.
        predictions: Queries `(batch, dim)`, L2-normalised here, in float32.

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.losses import ProtoNCELoss
        >>> q = centroids = np.eye(4, dtype="float32")
        >>> targets = np.array([0, 1, 2]), centroids, np.full(4, 0.2), np.array([3])
        >>> round(float(ProtoNCELoss()(targets, q[:3])), 3)
        0.02

    Reference:
        [Prototypical Contrastive Learning of Unsupervised Representations](
        https://arxiv.org/abs/2005.04966) (Li et al., 2021), equation 11;
        https://github.com/salesforce/PCL.
    """

    def __init__(self, reduction="sum_over_batch_size", name="proto_nce_loss"):
        super().__init__(reduction=reduction, name=name)

    def call(self, targets, predictions):
        """Return the cross-entropy of each image, `(batch,)`."""
        assignments, centroids, concentration, negatives, q = _checked(
            targets, predictions
        )
        candidates = ops.concatenate([distribute.all_gather(assignments), negatives])
        left_out = candidates < 0
        candidates = ops.maximum(candidates, 0)
        c = ops.stop_gradient(ops.take(ops.cast(centroids, "float32"), candidates, 0))
        concentration = ops.cast(concentration, "float32")
        phi = ops.stop_gradient(ops.take(concentration, candidates))
        logits = ops.matmul(unit_vectors(q), ops.transpose(c)) / phi  # (n, N + r)
        logits = ops.where(left_out, MASKED, logits)
        own = distribute.local_rows(ops.shape(q)[0])
        return ops.sparse_categorical_crossentropy(own, logits, from_logits=True)


def _checked(targets, queries):
    if not isinstance(targets, tuple | list) or len(targets) != 4:
        raise ValueError(
            "The first argument must be the tuple (assignments, centroids, "
            f"concentration, negatives). Received: {type(targets).__name__}."
        )
    remedy = "A kc.layers.Clustering holds what fits."
    q = check_shape("q", queries, ("batch", "dim"), remedy)
    axes = ("batch",), ("clusters", "dim"), ("clusters",), ("negatives",)
    names = ("assignments", "centroids", "concentration", "negatives")
    assignments, centroids, concentration, negatives = (
        check_shape(name, x, shape, remedy)
        for name, x, shape in zip(names, targets, axes, strict=True)
    )
    check_equal("batch", remedy, assignments=assignments.shape, q=q.shape[:1])
    check_equal("width", remedy, centroids=centroids.shape[1:], q=q.shape[1:])
    check_equal(
        "number of clusters",
        remedy,
        centroids=centroids.shape[:1],
        concentration=concentration.shape,
    )
    assignments, negatives = (ops.cast(x, "int32") for x in (assignments, negatives))
    return assignments, centroids, concentration, negatives, q

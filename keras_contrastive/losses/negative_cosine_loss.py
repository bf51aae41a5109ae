"""The negative cosine similarity of SimSiam."""

import keras
from keras import ops

from keras_contrastive.losses.contrastive_loss import (
    ContrastiveLoss,
    check_equal,
    check_shape,
    unit_vectors,
)


@keras.saving.register_keras_serializable(package="keras_contrastive")
class NegativeCosineLoss(ContrastiveLoss):
    """Minus the cosine between a prediction and its target.

    With `n(x) = x / |x|` (equation 1 of the paper):

        l_i = -n(prediction_i) . n(target_i)

    in [-1, 1]; 0 if one of the two is zero. This is one direction: SimSiam takes the
    mean with that of the swapped views. No gradient reaches the target, as in the
    paper's algorithm 1. It is `BYOLLoss / 2 - 1`.

    Args:
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.

    Call arguments:
        targets: Output of the projector for one view, `(batch, dim)`.
        predictions: Output of the predictor for the other view, `(batch, dim)`. Both
            of any float dtype and length: they are L2-normalised here, in float32.

    Raises:
        ValueError: If the two are not matrices of one shape.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.losses import NegativeCosineLoss
        >>> target, prediction = np.eye(2), np.array([[3.0, 0.0], [0.0, -5.0]])
        >>> NegativeCosineLoss(reduction="none")(target, prediction).numpy()
        array([-1.,  1.], dtype=float32)

    Reference:
        [Exploring Simple Siamese Representation Learning](
        https://arxiv.org/abs/2011.10566) (Chen and He, 2020), equation 1.
    """

    def __init__(self, reduction="sum_over_batch_size", name="negative_cosine_loss"):
        super().__init__(reduction=reduction, name=name)

    def call(self, targets, predictions):
        """Return minus the cosine for each example, `(batch,)`."""
        remedy = "Pass projections as targets and predictions of one width."
        target = check_shape("target", targets, ("batch", "dim"), remedy)
        prediction = check_shape("prediction", predictions, ("batch", "dim"), remedy)
        check_equal("shape", remedy, target=target.shape, prediction=prediction.shape)
        target = ops.stop_gradient(unit_vectors(target))
        return -ops.sum(unit_vectors(prediction) * target, axis=-1)

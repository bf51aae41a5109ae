"""The regression loss of BYOL."""

import keras
from keras import ops

from keras_contrastive.losses.contrastive_loss import (
    ContrastiveLoss,
    check_equal,
    check_shape,
    unit_vectors,
)


@keras.saving.register_keras_serializable(package="keras_contrastive")
class BYOLLoss(ContrastiveLoss):
    """Squared distance of prediction and target on the unit sphere.

    With `n(x) = x / |x|` (equation 2 of the paper):

        l_i = |n(prediction_i) - n(target_i)|^2 = 2 - 2 cos(prediction_i, target_i)

    in [0, 4]. This is one direction: BYOL adds the loss of the swapped views, which
    gives the paper's [0, 8]. No gradient reaches the target.

    Args:
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.

    Call arguments:
        targets: Output of the target's projector for one view, `(batch, dim)`.
        predictions: Output of the online predictor for the other view, `(batch, dim)`.
            Both of any float dtype and length: they are L2-normalised here, in float32.

    Raises:
        ValueError: If the two are not matrices of one shape.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.losses import BYOLLoss
        >>> target, prediction = np.eye(2), np.array([[3.0, 0.0], [5.0, 0.0]])
        >>> BYOLLoss(reduction="none")(target, prediction).numpy()
        array([0., 2.], dtype=float32)

    Reference:
        [Bootstrap your own latent](https://arxiv.org/abs/2006.07733)
        (Grill et al., 2020), equation 2.
    """

    def __init__(self, reduction="sum_over_batch_size", name="byol_loss"):
        super().__init__(reduction=reduction, name=name)

    def call(self, targets, predictions):
        """Return the squared distance for each example, `(batch,)`."""
        remedy = "Pass target projections and online predictions of one width."
        target = check_shape("target", targets, ("batch", "dim"), remedy)
        prediction = check_shape("prediction", predictions, ("batch", "dim"), remedy)
        check_equal("shape", remedy, target=target.shape, prediction=prediction.shape)
        target = ops.stop_gradient(unit_vectors(target))
        # The difference, not 2 - 2 cos, which loses its digits near 0.
        return ops.sum(ops.square(unit_vectors(prediction) - target), axis=-1)

"""The loss of CPC: a prediction finds its place on a grid of patches."""

import keras
from keras import ops

from keras_contrastive import distribute
from keras_contrastive.checks import check_choice
from keras_contrastive.losses.contrastive_loss import (
    ContrastiveLoss,
    check_equal,
    check_shape,
    to_float32,
)

_REMEDY = "Both are of one grid of patches; predictions lack the rows at the top."


@keras.saving.register_keras_serializable(package="keras_contrastive")
class CPCLoss(ContrastiveLoss):
    """Find the feature that a prediction is of, among those of all images' patches.

    With `z` the features of a grid of `H x W` patches and `p` the predictions, from the
    context above, of the features `o` rows below,

        l_i = -mean_{r, w} log( exp(p_irw . z_i,r+o,w) / sum_c exp(p_irw . z_c) )

    for one step, with `c` over all patches of the global batch, or over those that are
    predicted in this step (equation 4 of the paper). Nothing is normalised, there is no
    temperature, and gradients reach the features, as positives and as negatives. CPC
    adds up, or averages, several steps.

    Args:
        candidates: `"all"` (default): every patch, as in CPC version 2; or `"step"`:
            the patches from row `o` on, as in Greedy InfoMax with all its negatives.
        reduction: As in `keras.losses.Loss`; the mean over the batch by default.
        name: Name of the loss.

    Call arguments:
        targets: Features `z`, `(batch, H, W, dim)`.
        predictions: `p`, `(batch, H - o, W, dim)`; row `r` predicts row `r + o`.

    Raises:
        ValueError: If `candidates` is another word, or the shapes do not fit.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.losses import CPCLoss
        >>> z = np.random.default_rng(0).normal(size=(2, 4, 4, 8)).astype("float32")
        >>> bool(CPCLoss()(z, 9 * z[:, 1:]) < CPCLoss()(z, z[:, :-1]))
        True

    Reference:
        [Representation Learning with Contrastive Predictive Coding](
        https://arxiv.org/abs/1807.03748) (van den Oord et al., 2018), equation 4;
        [version 2](https://arxiv.org/abs/1905.09272) (Henaff et al., 2019), appendix.
    """

    def __init__(
        self, candidates="all", reduction="sum_over_batch_size", name="cpc_loss"
    ):
        super().__init__(reduction=reduction, name=name)
        self.candidates = check_choice("candidates", candidates, ("all", "step"))

    def call(self, targets, predictions):
        """Return the mean over the predictions of each image, `(batch,)`."""
        z, p, offset = _checked(targets, predictions)
        first = offset if self.candidates == "step" else 0  # row of the candidates
        z = z[:, first:]
        _, rows, columns, dim = p.shape
        patches = z.shape[1] * columns  # candidates of an image
        everyone = ops.reshape(distribute.all_gather(z), (-1, dim))
        logits = ops.matmul(ops.reshape(p, (-1, dim)), ops.transpose(everyone))
        image = distribute.local_rows(ops.shape(p)[0])
        place = (offset - first) * columns + ops.arange(rows * columns)
        own = ops.reshape(image[:, None] * patches + place, (-1,))
        losses = ops.sparse_categorical_crossentropy(own, logits, from_logits=True)
        return ops.mean(ops.reshape(losses, (-1, rows * columns)), axis=1)

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "candidates": self.candidates}


def _checked(z, predictions):
    """Return both in float32, and the offset of the predictions."""
    axes = ("batch", "rows", "columns", "dim")
    z = check_shape("z", to_float32(z), axes, _REMEDY)
    p = check_shape("predictions", to_float32(predictions), axes, _REMEDY)
    sizes = {"z": (z.shape[0], *z.shape[2:]), "predictions": (p.shape[0], *p.shape[2:])}
    check_equal("batch, columns and width", _REMEDY, **sizes)
    offset = (z.shape[1] or 0) - (p.shape[1] or 0)
    if None in (*z.shape[1:], *p.shape[1:]) or not 0 < offset < z.shape[1]:
        raise ValueError(
            "There must be a row to predict from and one below it to predict, on a "
            f"grid of known size. Received: z.shape={tuple(z.shape)}, "
            f"predictions.shape={tuple(p.shape)}. {_REMEDY} Take a smaller offset, or "
            "more patches."
        )
    return z, p, offset

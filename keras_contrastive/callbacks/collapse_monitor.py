"""Notices when a representation collapses."""

import math
import warnings

import keras


class CollapseMonitor(keras.callbacks.Callback):
    """Warns, or stops, when all images get the same embedding.

    Unit vectors of D dimensions that are spread over the sphere have a standard
    deviation of about `1 / sqrt(D)` in each dimension; collapsed ones have 0. The
    model's `embedding_std` is compared with `min_ratio / sqrt(D)` at the end of every
    epoch. (A loss that is NaN or infinite ends every `fit`, without a callback.)

    Args:
        min_ratio: Share of the healthy deviation below which it counts as collapse.
            BYOL without a last batch norm is healthy from about 0.3 on.
        patience: Epochs in a row that must be below; training may begin low.
        stop: Whether training stops on collapse, instead of a warning.

    Attributes:
        collapsed: Whether a collapse was seen in the current run.

    Example:
        model.fit(views, callbacks=[kc.callbacks.CollapseMonitor(stop=True)])

    Reference: the measure is that of SimSiam (2021), section 4.1,
    https://arxiv.org/abs/2011.10566.
    """

    def __init__(
        self,
        min_ratio: float = 0.2,
        patience: int = 2,
        stop: bool = False,
    ):
        super().__init__()
        if not 0 < min_ratio < 1:
            raise ValueError(
                f"`min_ratio` must be in (0, 1). Received: min_ratio={min_ratio}"
            )
        if not isinstance(patience, int) or patience < 1:
            raise ValueError(
                f"`patience` must be a positive int. Received: patience={patience}"
            )
        self.min_ratio, self.patience, self.stop = min_ratio, patience, stop
        self.collapsed = False
        self._epochs_below = 0

    def on_train_begin(self, logs=None):
        """Forget the last run."""
        self.collapsed = False
        self._epochs_below = 0

    def on_epoch_end(self, epoch, logs=None):
        """Look at the spread of the embeddings."""
        deviation = float((logs or {}).get("embedding_std", math.nan))
        limit = self.min_ratio / math.sqrt(self.model.embedding_dim)
        self._epochs_below = self._epochs_below + 1 if deviation < limit else 0
        if self._epochs_below != self.patience:
            return
        self.collapsed = True
        message = (
            f"The embeddings of {type(self.model).__name__} have collapsed: their "
            f"standard deviation is {deviation:.4f} after epoch {epoch + 1}; healthy "
            f"is about {1 / math.sqrt(self.model.embedding_dim):.4f}. Lower the "
            "learning rate, check that the predictor and its batch norm are there, and "
            "that the two views differ."
        )
        if self.stop:
            self.model.stop_training = True
            print(f"\nTraining stops. {message}")
        else:
            warnings.warn(message, stacklevel=2)

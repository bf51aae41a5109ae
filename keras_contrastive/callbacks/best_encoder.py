"""The encoder of the best epoch so far, in a file."""

import math
import operator
import pathlib

import keras

from keras_contrastive.checks import check_choice
from keras_contrastive.files import write_model


class BestEncoder(keras.callbacks.Callback):
    """Keeps the encoder of the epoch with the best value of a metric, as a file.

    The file is written under a temporary name and renamed, so that it is always whole.
    A resumed run keeps it until it is beaten: the best value is that of `fit` before,
    if the same object is used again, or else of the epochs to come.

    Args:
        path: A file that ends in ".keras".
        monitor: Name of the metric.
        mode: `"max"` or `"min"`: which values are good.

    Attributes:
        best: The best value; NaN before the first.
        epoch: Its epoch, counted from 0; None before the first.

    Raises:
        ValueError: A path or a mode that is not as above; during `fit`, an epoch after
            which no callback measures the metric.

    Example:
        knn = kc.callbacks.KNNEvaluation(labelled_train, labelled_validation)
        best = kc.callbacks.BestEncoder("best.keras")
        model.fit(views, epochs=200, callbacks=[knn, best])
        encoder = keras.models.load_model("best.keras")
    """

    def __init__(self, path, monitor: str = "knn_accuracy", mode: str = "max"):
        super().__init__()
        self.path = pathlib.Path(path)
        if self.path.suffix != ".keras":
            raise ValueError(f'`path` must end in ".keras". Received: path={path!r}')
        self.monitor = monitor
        self.mode = check_choice("mode", mode, ("max", "min"))
        self.best, self.epoch = math.nan, None
        self._seen = False

    def on_train_begin(self, logs=None):
        """Look for the metric anew."""
        self._seen = False

    def on_epoch_end(self, epoch, logs=None):
        """Write the encoder, if this epoch is the best."""
        value = (logs or {}).get(self.monitor)
        if value is None:  # not measured after this epoch
            return
        self._seen = True
        better = operator.gt if self.mode == "max" else operator.lt
        if math.isnan(value) or not (self.epoch is None or better(value, self.best)):
            return
        self.best, self.epoch = float(value), epoch
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_model(self.path, self.model.encoder)

    def on_train_end(self, logs=None):
        """Say that there is no file, if nothing was measured."""
        if not self._seen and self.params.get("epochs"):
            raise ValueError(
                f"BestEncoder looks at {self.monitor!r}, which was measured after no "
                f"epoch. Received: the metrics {sorted(logs or {})}. Add a callback "
                "that measures it, such as kc.callbacks.KNNEvaluation."
            )

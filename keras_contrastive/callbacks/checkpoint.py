"""Saves a whole training after every epoch, and goes on from there."""

import json
import os
import pathlib

import h5py
import keras

from keras_contrastive.callbacks.finite_check import training_state
from keras_contrastive.finite import named, not_finite

_KEY = "keras_contrastive"


class Checkpoint(keras.callbacks.Callback):
    """One file from which an interrupted training goes on exactly.

    After every `every`-th epoch it holds encoder, heads, target, queue, probe, the
    optimizers' state, the schedules and the number of the epoch. It is written beside
    its place and then renamed: killed at any moment, a run leaves a whole file. If the
    file exists when `fit` begins, training goes on after its epoch, and a dataset of
    `keras_contrastive.data` plays the epochs that the uninterrupted run would have
    seen. A finished training is not repeated: delete the file to start again.

    Keras's `BackupAndRestore` writes weights and epoch one after the other, and a
    shuffled dataset starts again with the order of its first epoch.

    Args:
        path: The file, ending in `.weights.h5`. Its folder is made if needed.
        every: Epochs between two files; the last epoch is always saved.

    Raises:
        ValueError: If the file belongs to another method or another architecture.

    Example: run this again after a crash, unchanged.

        checkpoint = kc.callbacks.Checkpoint("runs/byol.weights.h5")
        model.fit(views, epochs=200, callbacks=[checkpoint])
    """

    def __init__(self, path: str | os.PathLike, every: int = 1):
        super().__init__()
        self.path = pathlib.Path(path)
        if not self.path.name.endswith(".weights.h5"):
            raise ValueError(
                '`path` must end in ".weights.h5", as Keras asks. '
                f"Received: path={str(path)!r}"
            )
        if not isinstance(every, int) or every < 1:
            raise ValueError(f"`every` must be a positive int. Received: every={every}")
        self.every = every
        self._epoch = None  # of the state in the file

    def on_train_begin(self, logs=None):
        """Restore the model from the file, if there is one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            self._epoch = self.model._initial_epoch = self.restore()

    def on_epoch_end(self, epoch, logs=None):
        """Write the file, if it is this epoch's turn."""
        last = epoch + 1 == self.params.get("epochs") or self.model.stop_training
        if (epoch + 1) % self.every == 0 or last:
            self.save(epoch + 1)

    def on_train_end(self, logs=None):
        """Leave no initial epoch behind for the next `fit`."""
        self.model._initial_epoch = None

    def standing(self) -> str:
        """Return a sentence that says from which state one can go on."""
        if not self.path.exists():
            return f"No epoch was completed: {self.path} does not exist yet."
        return f"{self.path} holds the state after epoch {self._epoch}."

    def save(self, epoch: int) -> None:
        """Write the state after `epoch` epochs, atomically.

        Raises:
            FloatingPointError: If it holds NaN or infinity; the file stays as it was.
        """
        bad = not_finite(training_state(self.model))
        if bad:
            raise FloatingPointError(
                f"A state with NaN or infinity in {named(bad)} is not written to "
                f"{self.path}. Its training has diverged: try a lower learning rate."
            )
        partial = self.path.with_name(".partial-" + self.path.name)
        self.model.save_weights(partial, overwrite=True)
        with h5py.File(partial, "a") as file:
            file.attrs[_KEY] = json.dumps({"epoch": epoch, **self._identity()})
        os.replace(partial, self.path)
        self._epoch = epoch

    def restore(self) -> int:
        """Load the file into the model; return how many epochs it has behind it."""
        with h5py.File(self.path, "r") as file:
            found = json.loads(file.attrs.get(_KEY, "{}"))
        epoch = found.pop("epoch", None)
        expected = self._identity()
        if found != expected:
            different = [k for k in expected if found.get(k) != expected[k]]
            raise ValueError(
                f"{self.path} is a checkpoint of another model. Expected: "
                f"{ {k: expected[k] for k in different} }. Received: "
                f"{ {k: found.get(k) for k in different} }. Build the model as it was, "
                "or give another `path`."
            )
        self.model.build_optimizer()
        self.model.load_weights(self.path)
        return epoch

    def _identity(self) -> dict:
        optimizer = self.model.optimizer
        return {
            "method": type(self.model).__name__,
            "optimizer": type(optimizer).__name__,
            "parameters": sum(w.shape.num_elements() for w in self.model.weights),
            "input_shape": list(self.model.encoder.input_shape[1:]),
        }

"""Saves a whole training after every epoch, and goes on from there."""

import hashlib
import json
import os
import pathlib

import h5py
import keras
import numpy as np

from keras_contrastive import distribute
from keras_contrastive.callbacks.checkpoint_settings import differences, settings_of
from keras_contrastive.callbacks.finite_check import spoiled
from keras_contrastive.files import MemoryFile, hold, let_go, write_bytes
from keras_contrastive.optimizers.warmup_cosine import WarmupCosine

_KEY = "keras_contrastive"
# The last bytes of a file: this and the SHA-256 of all before it. HDF5 ignores them.
_SEAL = b"keras_contrastive sha256 "
_SEAL_SIZE = len(_SEAL) + 64


class Checkpoint(keras.callbacks.Callback):
    """One file from which an interrupted training goes on exactly.

    After every `every`-th epoch it holds encoder, heads, target, queue, probe, the
    optimizers' state, the schedules and the number of the epoch. It is made in memory,
    written beside its place and then renamed: killed at any moment, or with a full
    disk, a run leaves a whole file. It has a checksum, and no state with NaN or
    infinity is ever written over a good one. `fit` runs it after all other callbacks.

    If the file exists when `fit` begins, training goes on after its epoch, and a
    dataset of `keras_contrastive.data` plays the epochs that the uninterrupted run
    would have seen. One printed line says what was found and what happens:

    - A run that has all its epochs, or that a callback such as `EarlyStopping` has
      stopped, is not trained again: delete the file to start again.
    - With more `epochs` than before it is extended. What `fit` binds to the length of
      the run, the learning rate of a recipe and the momentum, follows the schedule of
      the new length from there on. A schedule of your own that has ended, and would
      train at rate 0, is refused.
    - Another number of steps per epoch, and other settings of the optimizer, are named;
      the new ones hold. So a run that has diverged goes on from its last good epoch
      with a lower learning rate.

    On several machines the chief writes the file and all workers read it: it lies where
    all of them see it.

    Keras's `BackupAndRestore` writes weights and epoch one after the other, and a
    shuffled dataset starts again with the order of its first epoch.

    Args:
        path: A file that ends in ".weights.h5".
        every: Epochs between two files; the end of a run is always saved.

    Raises:
        ValueError: If the file is damaged, or belongs to another method, architecture,
            loss, temperature or kind of optimizer; the difference is named.
        RuntimeError: If another process trains with this file.
        OSError: If it cannot be written; the file stays as it was.

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
        self._lock = None
        self._saved: int | None = None  # number of epochs behind the state in the file
        self._done = 0  # number of epochs behind the model
        self._trained = False  # in this `fit`
        self._settings = None

    def on_train_begin(self, logs=None):
        """Restore the model from the file, if there is one, and say so."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.release()
        if distribute.is_chief(self.model.distribute_strategy):
            self._lock = self._lock_file()
        self._done, self._trained = 0, False
        # Now: callbacks may change a learning rate later.
        self._settings = settings_of(self.model)
        if self.path.exists():
            self.model._initial_epoch = self._go_on()
        distribute.check_agreement(
            self.model.distribute_strategy, epochs_in_the_checkpoint=self._done
        )

    def on_epoch_end(self, epoch, logs=None):
        """Write the file, if it is this epoch's turn."""
        self._done, self._trained = epoch + 1, True
        if self._done % self.every == 0 or self._done == self.params.get("epochs"):
            self.save(self._done)

    def on_train_end(self, logs=None):
        """Write what other callbacks have made of the last epoch: its best weights."""
        if self._trained:
            self.save(self._done, stopped=self._done < self.params["epochs"])
        self.model._initial_epoch = None
        self.release()

    def release(self) -> None:
        """Let other processes train with this file."""
        if self._lock is not None:
            let_go(self._lock)
            self._lock = None

    def _lock_file(self):
        try:
            return hold(self.path.with_name(f".lock-{self.path.name}"))
        except BlockingIOError as error:
            raise RuntimeError(
                f"{self.path} belongs to a training that is running: {error.strerror}. "
                "Wait for it, end it, or give this one another `path`."
            ) from None

    def standing(self) -> str:
        """Return a sentence that says from which state one can go on."""
        if self._saved is None:
            return f"{self.path} holds no state of this run yet."
        return f"{self.path} holds the state after epoch {self._saved}."

    def save(self, epoch: int, stopped: bool = False) -> None:
        """Write the state after `epoch` epochs, atomically.

        Args:
            epoch: Number of epochs that the run has behind it.
            stopped: Whether a callback has ended the run there.

        Raises:
            FloatingPointError: If it holds NaN, infinity or a weight above 1e8; the
                file stays as it was.
            OSError: If it cannot be written; the file stays as it was.
        """
        found = spoiled(self.model)
        if found:
            raise FloatingPointError(
                f"{found}: this state is not written to {self.path}. Its training has "
                "diverged: try a lower learning rate."
            )
        if not distribute.is_chief(self.model.distribute_strategy):
            return
        params = self.params or {}  # none outside of `fit`
        about = {
            "stopped": stopped,
            "epochs": params.get("epochs"),
            "steps": params.get("steps"),
            "settings": self._settings or settings_of(self.model),
        }
        file = MemoryFile(".weights.h5")
        self.model.save_weights(file)
        with h5py.File(file, "a") as content:
            content.attrs[_KEY] = json.dumps({"epoch": epoch, **self._identity()})
            content[_KEY] = np.frombuffer(json.dumps(about).encode(), "uint8")
        seal = _SEAL + hashlib.sha256(file.getbuffer()).hexdigest().encode()
        file.seek(0, os.SEEK_END)
        file.write(seal)
        write_bytes(self.path, file.getbuffer())
        self._saved = epoch

    def restore(self) -> int:
        """Load the file into the model; return how many epochs it has behind it."""
        return self._load()[0]

    def _go_on(self) -> int:
        """Restore, say what was found, and return the epoch to begin with."""
        epoch, about, changed = self._load()
        self._saved = self._done = epoch
        epochs, steps = self.params["epochs"], self.params["steps"]
        planned, stopped = about.get("epochs") or epochs, about.get("stopped")
        if epoch >= epochs or (stopped and epochs <= planned):
            found = f"this run has all its epochs ({epoch})"
            if stopped:
                found = (
                    f"a callback has stopped this run after {epoch} of {planned} epochs"
                )
            print(
                f"{self.path}: {found}; nothing is trained. Give `fit` more `epochs` "
                "to extend it, or delete the file to start again."
            )
            return epochs
        said = f"going on after epoch {epoch} of {epochs}."
        if epochs != planned:
            length = f"{planned} epoch{'s' * (planned > 1)}"
            said += f" It had {length}: {self._schedules(epoch, epochs)}."
        if steps and about.get("steps") and steps != about["steps"]:
            said += f" An epoch had {about['steps']} steps and has {steps} now."
        if changed:
            said += f" Changed since, and used now: {'; '.join(changed)}."
        print(f"{self.path}: {said}")
        return epoch

    def _schedules(self, epoch, epochs) -> str:
        """Return what becomes of the schedules of a run whose length has changed."""
        optimizer = self.model.optimizer
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        rate, end = optimizer._learning_rate, ""
        if isinstance(rate, WarmupCosine) and (rate.bound_by_fit or not rate.bound):
            end = ", the learning rate too"
        elif isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
            step = int(optimizer._iterations)
            last = step + (epochs - epoch) * (self.params["steps"] or 2) - 1
            if float(rate(step)) == float(rate(last)) == 0:
                raise ValueError(
                    f"{self.path} holds the state after epoch {epoch}. The schedule of "
                    f"the learning rate has ended there: up to epoch {epochs} it is 0. "
                    f"Compile with a schedule for {epochs} epochs."
                )
            now = f"{float(rate(step)):.3g}"
            end = f", but the learning rate has its own, which is at {now} here"
        return f"from here on schedules are those of {epochs} epochs{end}"

    def _load(self):
        """Load the file; return epoch, what else it says, and what is different now."""
        content, sealed = _unsealed(self.path)
        file = MemoryFile(".weights.h5", content)
        try:
            with h5py.File(file, "r") as h5:
                found = json.loads(h5.attrs.get(_KEY, "{}"))
                about = json.loads(bytes(h5[_KEY][()])) if _KEY in h5 else {}
        except (OSError, KeyError, ValueError, RuntimeError) as error:
            raise _damaged(self.path, f"it is no HDF5 file ({error})") from None
        if about and not sealed:
            raise _damaged(self.path, "its checksum is missing")
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
        # A checkpoint from before settings were kept says nothing about them.
        before = about.get("settings") or {}
        now = json.loads(json.dumps(self._settings or settings_of(self.model)))
        other = differences(before.get("model"), now["model"])
        if other:
            raise ValueError(
                f"{self.path} is a checkpoint of another model, which differs in "
                f"{'; '.join(other)}. Build the model as it was, or give another "
                "`path` (and `model.load_weights` to begin with these weights)."
            )
        self.model.build_optimizer()
        self.model.load_weights(file)
        self._keep_new_learning_rate(before, now)
        return epoch, about, differences(before.get("training"), now["training"])

    def _keep_new_learning_rate(self, before, now):
        """Use a learning rate that was given anew: that of the file was loaded."""
        name = "optimizer.learning_rate"
        before = (before.get("training") or {}).get(name)
        now = now["training"].get(name)
        if None not in (before, now) and before != now:
            self.model.optimizer.learning_rate = now

    def _identity(self) -> dict:
        optimizer = self.model.optimizer
        return {
            "method": type(self.model).__name__,
            "optimizer": type(optimizer).__name__,
            "parameters": sum(w.shape.num_elements() for w in self.model.weights),
            "input_shape": list(self.model.encoder.input_shape[1:]),
        }


def _unsealed(path) -> tuple[bytes, bool]:
    """Return the HDF5 content of a checkpoint, and whether it has a checksum."""
    content = path.read_bytes()
    seal = content[-_SEAL_SIZE:]
    if not seal.startswith(_SEAL):  # written before there were checksums, or damaged
        return content, False
    content = content[:-_SEAL_SIZE]
    if hashlib.sha256(content).hexdigest().encode() != seal[len(_SEAL) :]:
        raise _damaged(path, "its checksum is another one")
    return content, True


def _damaged(path, why) -> ValueError:
    return ValueError(
        f"{path} is damaged: {why}. Nothing was loaded. Bring back a copy of it, or "
        "delete it to start again."
    )

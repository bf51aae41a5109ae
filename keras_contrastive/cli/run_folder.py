"""The folder of a run: what is in it, and whose it is.

| file | what it holds |
|---|---|
| `run.json` | command, commit and flags; the next start must have the same |
| `history.csv` | a row an epoch: metrics and seconds |
| `checkpoint.weights.h5` | the whole training after its last epoch |
| `tensorboard/` | with `--tensorboard`: the same metrics |
| `best.keras` | with `--labelled`: the encoder of the best epoch by kNN, for crops |
| `encoder.keras` | the encoder, in float32, for whole images |
| `report.html` | with `keras-contrastive report`: what was learned |
| `NAME/` | the preset: `kc.from_preset` loads it, `README.md` is its card |
"""

import csv
import io
import json
import os
import pathlib
import platform
import statistics
import subprocess
import time

import keras
import tensorflow as tf

import keras_contrastive
from keras_contrastive.files import write_bytes, write_json

# What need not agree when a run goes on.
NOT_THE_RUN = ("output", "measure", "licence", "note")
# What may change on the way, as long as both are given: a recipe has its own optimizer.
ON_THE_WAY = ("epochs", "learning_rate", "weight_decay")


def start_or_go_on(
    output: pathlib.Path, command: str, flags_now: dict, defaults: dict | None = None
) -> dict:
    """Record the flags, or see that they are those of the run that is there.

    Args:
        output: The folder, which need not exist.
        command: What makes this run.
        flags_now: The flags by their names.
        defaults: What a flag was before there was such a flag.

    Returns:
        What `run.json` holds.

    Raises:
        ValueError: It holds a run with other flags.
        OSError: It cannot be written.
    """
    record = output / "run.json"
    run = {"command": command, "commit": commit(), "flags": flags_now}
    if record.exists():
        before = json.loads(record.read_text())
        then = {**(defaults or {}), **before["flags"]}
        changed, other = _differences(then, flags_now)
        if other:
            raise ValueError(
                f"{output} holds a run with other flags ({'; '.join(other)}). Give "
                "its flags to go on with it, or another --output."
            )
        if not changed:
            return before
        print(f"{output} holds a run with other flags: {'; '.join(changed)}.")
        run["command"] = f"{before['command']}, then {command}"
    try:
        output.mkdir(parents=True, exist_ok=True)
        write_json(record, run)
    except OSError as error:
        raise OSError(
            f"Cannot write to {output}: {error.strerror}. Give --output=FOLDER."
        ) from error
    return run


def flags_of(folder: pathlib.Path) -> dict:
    """Return the flags of a run, or none if the folder is not that of one."""
    record = folder / "run.json"
    return json.loads(record.read_text())["flags"] if record.exists() else {}


def _differences(old, new):
    """What has changed as it may, and what else, in words."""
    changed, other = [], []
    for name in dict.fromkeys((*new, *old)):
        values = old.get(name), new.get(name)
        if name in NOT_THE_RUN or values[0] == values[1]:
            continue
        may_change = name in ON_THE_WAY and None not in values
        shorter = name == "epochs" and may_change and values[1] < values[0]
        words = f"{name}: {values[0]} -> {values[1]}"
        (changed if may_change and not shorter else other).append(words)
    return changed, other


class History(keras.callbacks.Callback):
    """Keeps each epoch's metrics and seconds in a CSV file, and prints how fast it is.

    It is written anew every epoch: after a kill it holds epochs that the checkpoint
    does not, and which come again.

    Args:
        path: The file.
        images: Number of images of an epoch; None prints nothing.
    """

    def __init__(self, path, images=None):
        super().__init__()
        self.path = path
        self.images = images

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clock."""
        self.start = time.time()

    def on_epoch_end(self, epoch, logs=None):
        """Write the rows of the epochs up to this one."""
        row = {"epoch": epoch + 1, "seconds": time.time() - self.start, **logs}
        rows = [r for r in self.rows() if int(r["epoch"]) <= epoch] + [row]
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, dict.fromkeys(name for r in rows for name in r))
        writer.writeheader()
        writer.writerows(rows)
        write_bytes(self.path, text.getvalue().encode())
        if self.images:
            left = self.params["epochs"] - epoch - 1
            minutes = left * self.median_seconds() / 60
            speed = self.images / row["seconds"]
            print(f"{speed:,.0f} images/s, {minutes:.1f} min to go", flush=True)

    def rows(self):
        """Return what is in the file, but for rows that are torn."""
        if not self.path.exists():
            return []
        with self.path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        whole = [r for r in rows if None not in r and None not in r.values()]
        return [r for r in whole if r["epoch"].isdigit()]

    def median_seconds(self) -> float | None:
        """Return the length of the median epoch."""
        seconds = [float(row["seconds"]) for row in self.rows()]
        return statistics.median(seconds) if seconds else None

    def minutes(self, epochs: int) -> float | None:
        """Return the length of a run: its median epoch times the epochs."""
        seconds = self.median_seconds()
        return None if seconds is None else round(seconds * epochs / 60, 1)


def commit() -> str:
    """Return the commit of the code, if it is a checkout, or else the version."""
    package = pathlib.Path(keras_contrastive.__file__).parent
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=package,
        capture_output=True,
        text=True,
    )
    ours = (package.parent / ".git").exists()  # not of a project that we lie in
    if ours and done.stdout:
        return done.stdout.strip()
    return f"version {keras_contrastive.__version__}"


def hardware() -> str:
    """Return the GPUs, or the CPU, in words."""
    gpus = tf.config.list_physical_devices("GPU")
    names = [tf.config.experimental.get_device_details(g)["device_name"] for g in gpus]
    if names:
        return ", ".join(names)
    info = pathlib.Path("/proc/cpuinfo")
    lines = info.read_text().split("\n") if info.exists() else []
    models = [line for line in lines if line.startswith("model name")]
    model = models[0].split(":")[1].strip() if models else platform.processor()
    count = len(os.sched_getaffinity(0))
    return f"{count} core{'s' * (count > 1)} of {model}"

"""Trainings that are killed at random moments end with the weights of one that is not.

    python tests/attacks/train_kills.py 20         # 20 kills, POSIX

A process trains with a `Checkpoint` and is ended by SIGKILL, again and again until one
comes to the end of its epochs. Its weights, optimizer included, must be those of a run
without a kill, bit for bit, and beside the checkpoint nothing may be left.
"""

import hashlib
import itertools
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
sys.path[:0] = [os.path.join(TESTS, "methods"), TESTS]

import keras  # noqa: E402
from helpers import arrays, build  # noqa: E402

import keras_contrastive as kc  # noqa: E402
from keras_contrastive.callbacks.finite_check import training_state  # noqa: E402

METHODS = ("byol", "moco")  # both have a target, one a queue


class FirstStep(keras.callbacks.Callback):
    """Says that training has begun."""

    def on_train_batch_end(self, batch, logs=None):
        """Say it after every batch; the other process reads the first."""
        print("step", flush=True)


def train(name, folder):
    """Train twenty epochs, and write the digest of all that was learned."""
    folder = pathlib.Path(folder)
    (images, _), labels = arrays(64)
    views = kc.data.views_from_arrays(
        images, labels, augmentation=kc.augmentations.simclr(8), batch_size=8, seed=1
    )
    model = build(name, num_classes=4)
    schedule = kc.optimizers.WarmupCosine(0.3, warmup_epochs=1)
    model.compile(keras.optimizers.SGD(schedule, momentum=0.9), jit_compile=False)
    checkpoint = kc.callbacks.Checkpoint(folder / "run.weights.h5")
    model.fit(views, epochs=20, verbose=0, callbacks=[FirstStep(), checkpoint])
    digest = hashlib.sha256()
    for variable in training_state(model):
        digest.update(keras.ops.convert_to_numpy(variable).tobytes())
    (folder / "digest").write_text(digest.hexdigest())


def finish(name, folder, kill_after=None):
    """Train to the end, or kill it that many seconds after its first step.

    Returns:
        The seconds from the first step to the end, or None if it was killed.
    """
    call = (
        f"import train_kills as t; t.train({name!r}, t.pathlib.Path({str(folder)!r}))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([HERE, *sys.path])}
    victim = subprocess.Popen(
        [sys.executable, "-c", call],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    while victim.stdout.readline() not in ("step\n", ""):
        pass  # what it has found
    begin = time.monotonic()
    try:
        status = victim.wait(kill_after)
    except subprocess.TimeoutExpired:
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        return None
    assert status == 0, f"exit status {status}"
    return time.monotonic() - begin


def main():
    """Kill, go on, compare, count."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    whole, seconds, kills, runs, bad = {}, {}, 0, 0, []
    with tempfile.TemporaryDirectory() as scratch:
        for name in METHODS:
            folder = pathlib.Path(scratch, f"whole-{name}")
            folder.mkdir()
            seconds[name] = finish(name, folder)
            whole[name] = (folder / "digest").read_text()
        for name in itertools.cycle(METHODS):
            if kills >= count:
                break
            runs += 1
            folder = pathlib.Path(scratch, f"{runs}")
            folder.mkdir()
            ended = None
            while ended is None:
                after = random.uniform(0, seconds[name]) if kills < count else None
                ended = finish(name, folder, after)
                kills += ended is None
            if (folder / "digest").read_text() != whole[name]:
                bad.append(f"run {runs}, {name}: other weights")
            left = {f.name for f in folder.iterdir()} - {"digest", "run.weights.h5"}
            if left:
                bad.append(f"run {runs}, {name}: {sorted(left)} are left")
    print(f"{kills} kills of {runs} trainings, {len(bad)} bad", *bad, sep="\n  ")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()

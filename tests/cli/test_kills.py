"""Ten SIGKILLs at random moments, the same command again each time: the same run.

One process imports TensorFlow and forks every run: a start takes no seconds then.
"""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_contrastive as kc
from keras_contrastive.cli.networks import load_encoder

COMMAND = (
    "pretrain data --encoder=tiny --size=8 --crop=6 --batch_size=8 --epochs=20 "
    "--policy=strength=0 --policy=blur=0 --learning_rate=0.1"
).split()
FORKS = """
import json, os, pathlib, random, signal, sys, time

from keras_contrastive.cli.main import main

def run(output, epochs=None, file="checkpoint.weights.h5", delay=0.0):
    "Return the exit code, or -9 if it was killed: a while after a file has changed."
    pid, path, changes = os.fork(), pathlib.Path(output, file), 0
    if not pid:
        os.dup2(os.open(f"{output}.log", os.O_CREAT | os.O_APPEND | os.O_WRONLY), 1)
        os.dup2(1, 2)
        os._exit(main([*sys.argv[1:], f"--output={output}"]))
    before = path.stat().st_mtime_ns if path.exists() else None
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        now = path.stat().st_mtime_ns if path.exists() else None
        changes, before = changes + (now != before), now
        if epochs is not None and changes >= epochs:
            time.sleep(delay)
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)

draw = random.Random(0)
starts = [(0, "checkpoint.weights.h5", 3)]  # before the first epoch, or in it
epochs = [(draw.randint(1, 2), "checkpoint.weights.h5", 0.1) for _ in range(7)]
ends = [(1, name, 0.1) for name in ("encoder.keras", "simclr_tiny_data/metadata.json")]
kills = [
    run("killed", changes, file, draw.uniform(0, longest))
    for changes, file, longest in (*starts, *epochs, *ends)
]
print(json.dumps([run("whole"), *kills, run("killed")]))
"""


@pytest.fixture
def folder(tmp_path):
    """Images as arrays, and an encoder that is traced at once."""
    pixels = np.random.default_rng(0).integers(0, 256, (32, 8, 8, 3), "uint8")
    for i, image in enumerate(pixels):
        path = tmp_path / "data" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        keras.utils.save_img(path, image, scale=False)
    x = keras.Input((8, 8, 3))
    y = keras.layers.Conv2D(4, 2, strides=2)(x)
    y = keras.layers.GlobalAveragePooling2D()(y)
    kc.save_to_preset(keras.Model(x, y), tmp_path / "tiny")
    return tmp_path


@pytest.mark.slow
def test_kills_leave_the_run_that_nothing_interrupted(folder):
    done = subprocess.run(
        [sys.executable, "-c", FORKS, *COMMAND],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    log = (folder / "killed.log").read_text()
    whole, *killed, last = json.loads(done.stdout)
    assert (whole, last) == (0, 0), log[-2000:]
    assert killed == [-9] * 10, log[-2000:]
    names = [
        sorted(
            p.relative_to(folder / run).as_posix() for p in (folder / run).rglob("*")
        )
        for run in ("whole", "killed")
    ]
    assert names[0] == names[1]
    weights = [
        load_encoder(str(folder / run)).get_weights() for run in ("whole", "killed")
    ]
    for expected, found in zip(*weights, strict=True):
        np.testing.assert_array_equal(found, expected)
    rows = (folder / "killed/history.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == [str(i) for i in range(1, 21)]

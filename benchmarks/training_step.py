"""Samples/s of a whole train step: this package and lightly with PyTorch, in one run.

    python benchmarks/training_step.py
    python benchmarks/training_step.py --method=SimCLR --batch_size=64 --repeats=3

ResNet-18 of width 64 with a small stem, 32 pixels, views in memory: forward, loss,
backward, SGD, and BYOL's target. lightly as in its examples, with channels_last and
autocast. Each contender has a process of its own and stands still while others are
measured, in turns. The machine's limit, a large matrix product and a convolution, is
measured in the same turns, and the share of it that the network's convolutions reach.
Prints a table and writes JSON. About 50 minutes on 2 CPU cores. POSIX only.
"""

import contextlib
import itertools
import os
import pathlib
import shlex
import signal
import statistics
import sys

from absl import app, flags
from inference import processor
from input_pipeline import cores, recipe
from peers import environment
from peers.contender import Contender

FLAGS = flags.FLAGS
HERE = pathlib.Path(__file__).parent
OURS, LIGHTLY = "keras_contrastive", "lightly"
HEADS = {
    "SimCLR": (512, 128),
    "BYOL": (1024, 256),
    "VICReg": (2048, 2048, 2048),
    "BarlowTwins": (2048, 2048, 2048),
}
LIMITS = ("matrix product", "convolution")
# Multiplications and additions of the ResNet's convolutions for one image, forward.
FORWARD_GFLOPS = 1.11
# Of two views; backward counts twice, and BYOL's target adds one.
PASSES = {"SimCLR": 6, "BYOL": 8, "VICReg": 6, "BarlowTwins": 6}
NAMES = ("method", "batch_size", "precision")


def define_flags():
    """Define the flags of the script."""
    define_shared_flags(["SimCLR", "BYOL", "VICReg"], "training_step.json")
    flags.DEFINE_multi_integer("batch_size", [64, 256], "Pairs of views in a step.")
    precisions = ["float32", "mixed_bfloat16"]
    flags.DEFINE_multi_enum("precision", precisions, precisions, "Policies of Keras.")


def define_shared_flags(methods, results):
    """Define those of `gpu.py`, too."""
    home = "~/.cache/keras_contrastive/peers/lightly"
    flags.DEFINE_multi_enum("method", methods, list(HEADS), "Methods.")
    flags.DEFINE_integer("repeats", 5, "Runs of each; the table has their median.")
    flags.DEFINE_float("seconds", 5.0, "Shortest run.")
    flags.DEFINE_string("peer_env", home, "lightly's virtual environment.")
    flags.DEFINE_string("pip_options", "", "More options of its `pip install`.")
    file = f"{HERE}/results/{results}"
    flags.DEFINE_string("json_file", file, "Where the numbers are written.")


def compare(task, limits=LIMITS, gpu=False):
    """Return the samples/s of each contender's runs, and the limits in GFLOP/s."""
    options = shlex.split(FLAGS.pip_options)
    peer = environment.python_with(environment.LIGHTLY, FLAGS.peer_env, options)
    starts = {
        OURS: (sys.executable, "own_step.py", task),
        LIGHTLY: (peer, "lightly_step.py", task),
        **{x: (sys.executable, "own_step.py", task | {"product": x}) for x in limits},
    }
    runs, versions = {name: [] for name in starts}, {}
    with contextlib.ExitStack() as stack:
        contenders = {}
        for name, (python, script, told) in starts.items():
            contender = Contender(name, python, HERE / "peers" / script, told, gpu)
            stack.callback(contender.close)
            versions |= contender.wait_until_ready()["versions"]
            contenders[name] = contender
        for _ in range(FLAGS.repeats):
            for name, contender in contenders.items():
                speed = contender.run()["samples_per_second"]
                runs[name].append(speed / 1000 if name in LIMITS else speed)
    return {**{k: task[k] for k in NAMES}, "runs": runs, "versions": versions}


def table(records):
    """Return the medians as Markdown, with the least and the most."""
    head = ("method", "batch", "precision", OURS, LIGHTLY, "ratio", "of the limit")
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for record in records:
        runs = record["runs"]
        speed = {name: statistics.median(of) for name, of in runs.items()}
        cells = [str(record[key]) for key in NAMES]
        for name in (OURS, LIGHTLY):
            least, most = min(runs[name]), max(runs[name])
            cells.append(f"{speed[name]:.1f} ({least:.1f} to {most:.1f})")
        reached = speed[OURS] * FORWARD_GFLOPS * PASSES[record["method"]]
        limits = [f"{100 * reached / speed[x]:.0f} %" for x in LIMITS if x in speed]
        cells += [f"{speed[OURS] / speed[LIGHTLY]:.2f} x", ", ".join(limits)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(argv):
    """Measure each combination, print and write after each."""
    from keras_contrastive.files import write_json

    os.environ.update(CUDA_VISIBLE_DEVICES="-1", TF_CPP_MIN_LOG_LEVEL="2")
    # A terminated run ends its stopped processes too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    records = []
    run = {
        "seconds": FLAGS.seconds,
        "warm_up_seconds": 0,
        "warm_up_batches": 1,
        "least_batches": 2,
    }
    every = itertools.product(FLAGS.method, FLAGS.batch_size, FLAGS.precision)
    for values in every:
        task = dict(zip(NAMES, values, strict=True))
        task |= {"head": HEADS[task["method"]], "size": 32, "run": run}
        records.append(compare(task))
        print(table(records[-1:]).splitlines()[-1], flush=True)
        write_json(FLAGS.json_file, {**recipe(), "records": records})
    print(f"\n{processor()}, {cores()} cores\n\n{table(records)}")


if __name__ == "__main__":
    define_flags()
    app.run(main)

"""A train step of a large batch by micro-batches, and plain steps of smaller batches.

    python benchmarks/micro_batches.py                       # an hour on two cores
    python benchmarks/micro_batches.py --cases=64,64/16 --width=8

SimCLR with a ResNet-18 for small images. A case is a batch, or a batch and the size of
its micro-batches. Every case runs in a process of its own: one step that traces and two
that are timed, of which the faster one counts; with --steps=1 a first step that is
timed, tracing included. Memory is the peak of the whole process, TensorFlow included.
"""

import json
import pathlib
import resource
import subprocess
import sys
import time

from absl import app, flags

from keras_contrastive.files import write_json

FLAGS = flags.FLAGS
_RESULTS = pathlib.Path(__file__).parent / "results"
flags.DEFINE_list("cases", "256,512,4096/256,4096/128", "Batches, `N` or `N/micro`.")
flags.DEFINE_integer("width", 64, "Width of the ResNet.")
flags.DEFINE_integer("size", 32, "Side of the images.")
flags.DEFINE_integer("steps", 3, "Steps of each case.")
flags.DEFINE_string("json_file", str(_RESULTS / "micro_batches.json"), "The results.")
flags.DEFINE_string("worker", None, "Internal: a case, to run here.")


def main(argv):
    """Run every case and print it."""
    if FLAGS.worker:
        print(json.dumps(measure(*map(int, FLAGS.worker.split("/")))))
        return
    results = {}
    for case in FLAGS.cases:
        results[case] = in_process(case)
        print(f"{case:>10} {results[case]['seconds']:8.1f} s a step", end="")
        print(
            f"{1000 * results[case]['seconds'] / int(case.split('/')[0]):8.1f}", end=""
        )
        print(f" ms an image{results[case]['gib']:7.2f} GiB", flush=True)
    write_json(pathlib.Path(FLAGS.json_file), results)


def in_process(case):
    """Return seconds and memory of one case."""
    command = [sys.executable, __file__, f"--worker={case}", f"--width={FLAGS.width}"]
    command += [f"--size={FLAGS.size}", f"--steps={FLAGS.steps}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure(batch, micro_batch=None):
    """Return seconds of a step, and the peak in GiB of the process after all steps."""
    import numpy as np

    import keras_contrastive as kc

    shape = (FLAGS.size, FLAGS.size, 3)
    encoder = kc.encoders.resnet(depth=18, width=FLAGS.width, input_shape=shape)
    model = kc.SimCLR(encoder)
    model.compile(micro_batch_size=micro_batch)
    random = np.random.default_rng(0)
    views = tuple(
        random.uniform(0, 255, (batch, *shape)).astype("float32") for _ in range(2)
    )
    seconds = []
    for _ in range(FLAGS.steps):
        start = time.perf_counter()
        model.train_on_batch(views)
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"seconds": min(seconds[1:] or seconds), "gib": peak}


if __name__ == "__main__":
    app.run(main)

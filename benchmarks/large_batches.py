"""NT-Xent of large batches: all pairs at once, and in blocks.

    python benchmarks/large_batches.py                       # minutes
    python benchmarks/large_batches.py --batches=256,512 --repeats=1

Value and gradient for the embeddings of N images in two views. Every case runs in a
process of its own, --repeats times, and the median counts; its memory is the peak of
the process less what it was with the embeddings and a loss of two of them.
"""

import json
import pathlib
import resource
import statistics
import subprocess
import sys
import time

from absl import app, flags

from keras_contrastive.files import write_figure, write_json

FLAGS = flags.FLAGS
_RESULTS = pathlib.Path(__file__).parent / "results"
flags.DEFINE_list("batches", "512,1024,2048,4096,8192,16384,32768", "Sizes N.")
flags.DEFINE_integer("plain", 4096, "Largest batch that is compared all at once.")
flags.DEFINE_integer("dim", 128, "Width of the embeddings.")
flags.DEFINE_integer("repeats", 3, "Runs of each case.")
flags.DEFINE_string("json_file", str(_RESULTS / "large_batches.json"), "The results.")
flags.DEFINE_string("worker", None, "Internal: `plain` or `blocks`, to run here.")


def main(argv):
    """Run every case, print, draw."""
    sizes = [int(n) for n in FLAGS.batches]
    if FLAGS.worker:
        print(json.dumps(measure(sizes[0], FLAGS.worker == "plain")))
        return
    results = {}
    for n in sizes:
        for form in ("plain", "blocks"):
            if form == "blocks" or n <= FLAGS.plain:
                runs = [in_process(n, form) for _ in range(FLAGS.repeats)]
                median = {k: statistics.median(r[k] for r in runs) for k in runs[0]}
                results[f"{form} {n}"] = {**median, "runs": runs}
                print(f"{form:7}{n:7} {median['seconds']:8.3f} s", end="")
                print(f"{median['gib']:7.2f} GiB", flush=True)
    path = pathlib.Path(FLAGS.json_file)
    write_json(path, results)
    chart(results, path.with_suffix(".png"))


def in_process(n, form):
    """Return seconds and memory of one case."""
    command = [sys.executable, __file__, f"--worker={form}", f"--batches={n}"]
    done = subprocess.run(
        [*command, f"--dim={FLAGS.dim}"], stdout=subprocess.PIPE, check=True
    )
    return json.loads(done.stdout)


def measure(n, plain):
    """Return seconds and GiB of a value with its gradient; the first call traces."""
    import numpy as np
    import tensorflow as tf

    import keras_contrastive as kc

    random = np.random.default_rng(0)
    z = random.standard_normal((2, n, FLAGS.dim), dtype="float32")
    z = [tf.constant(view) for view in z]
    loss = kc.losses.NTXentLoss(0.1, block_size=0 if plain else None)

    @tf.function
    def step(z_1, z_2):
        with tf.GradientTape() as tape:
            tape.watch([z_1, z_2])
            value = loss(z_1, z_2)
        return value, tape.gradient(value, [z_1, z_2])

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20

    step(z[0][:2], z[1][:2])
    before, start = peak(), time.perf_counter()
    step(*z)
    if time.perf_counter() - start < 5:  # what was traced in it counts otherwise
        start = time.perf_counter()
        step(*z)
    return {"seconds": time.perf_counter() - start, "gib": peak() - before}


def chart(results, path):
    """Draw nanoseconds for each pair, and memory, against N."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    for form, color in (("plain", "#8a95a0"), ("blocks", "#c0392b")):
        rows = {int(k.split()[1]): v for k, v in results.items() if k.startswith(form)}
        times = [1e9 * row["seconds"] / (2 * n) ** 2 for n, row in rows.items()]
        left.plot([*rows], times, "o-", color=color, label=form)
        memory = [row["gib"] for row in rows.values()]
        right.plot([*rows], memory, "o-", color=color, label=form)
    left.set(ylabel="ns for each pair", xlabel="images N", ylim=(0, None))
    right.set(ylabel="GiB", xlabel="images N", ylim=(0, None))
    for panel in (left, right):
        panel.set_xscale("log", base=2)
        panel.legend()
        panel.spines[["top", "right"]].set_visible(False)
    write_figure(path, figure, dpi=150)


if __name__ == "__main__":
    app.run(main)

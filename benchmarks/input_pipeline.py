"""Two-view samples/s of SimCLR's full policy: this package and its peers, in one run.

    python benchmarks/input_pipeline.py                        # all sizes, all peers
    python benchmarks/input_pipeline.py --size=96 --profile    # and our single stages

Random resized crop, flip, colour jitter, grayscale and blur, for images of 32 and 96
pixels in memory and for JPEG files of 500 x 400 at 224 pixels. Each pipeline lives in
its own process; they are measured in turns, so that noise hits all alike, and all but
one stand still. lightly gets a virtual environment of its own, outside the repository;
a peer that cannot be installed or run is named and left out. Prints a table, writes
JSON and a bar chart; sizes not run keep their earlier results there. About 10 minutes
on 2 CPU cores. POSIX only.
"""

import contextlib
import datetime
import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import tempfile

import numpy as np
from absl import app, flags
from inference import processor
from peers import environment
from peers.contender import Contender
from pipeline_report import COPY, LIGHTLY, OURS, STAGE, chart, table

FLAGS = flags.FLAGS
HERE = pathlib.Path(__file__).parent
PEERS = {
    OURS: "own_pipeline.py",
    LIGHTLY: "lightly_pipeline.py",
    "keras-cv": "keras_cv_pipeline.py",
    "keras (partial policy)": "keras_core_pipeline.py",
    COPY: "memory_copy.py",
}
POLICY = {  # what `kc.augmentations.simclr` does, as the peers are told
    "area": (0.08, 1.0),
    "aspect_ratio": (3 / 4, 4 / 3),
    "flip_probability": 0.5,
    "jitter": (0.8, 0.8, 0.8, 0.2),  # times strength
    "jitter_probability": 0.8,
    "gray_probability": 0.2,
    "blur_probability": 0.5,
    "sigma": (0.1, 2.0),
}
# Strengths as in the papers' recipes for CIFAR and for ImageNet.
SIZES = {
    32: {"strength": 0.5, "batch_size": 256, "source": "arrays", "images": 20_000},
    96: {"strength": 1.0, "batch_size": 128, "source": "arrays", "images": 5_000},
    224: {"strength": 1.0, "batch_size": 64, "source": "files", "images": 512},
}
LINKS = 8  # names of each file: epochs of 4,096 files, so that their ends count little
STAGES = {0: "read and batch", 1: "+ crop and flip", -1: "+ colour, no blur"}


def define_flags():
    home = "~/.cache/keras_contrastive/peers/lightly"
    flags.DEFINE_multi_enum("size", list(map(str, SIZES)), list(map(str, SIZES)), "px.")
    flags.DEFINE_multi_enum("peer", list(PEERS), list(PEERS), "What is measured.")
    flags.DEFINE_bool("profile", False, "Measure the stages of our pipeline too.")
    flags.DEFINE_integer("repeats", 5, "Runs of each; the table has their median.")
    flags.DEFINE_float("seconds", 3.0, "Shortest run.")
    flags.DEFINE_integer("workers", cores(), "Worker processes of lightly's loader.")
    flags.DEFINE_string("peer_env", home, "lightly's virtual environment.")
    flags.DEFINE_string("pip_options", "", "More options of its `pip install`.")
    file = f"{HERE}/results/input_pipeline.json"
    flags.DEFINE_string("json_file", file, "The numbers; the chart lies beside them.")


def cores():
    """Number of cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def make_task(size, folder):
    """What the pipelines of one size are told; makes the images they read."""
    setup = SIZES[size]
    if setup["source"] == "arrays":
        path, source_size = folder / f"{size}.npy", (size, size)
        np.save(path, np.concatenate(list(pictures(setup["images"], source_size))))
    else:
        path, source_size = folder / "jpeg", (400, 500)
        write_files(path, pictures(setup["images"], source_size))
    return {
        **POLICY,
        **setup,
        "size": size,
        "kernel_size": 2 * (size // 10 // 2) + 1,
        "path": str(path),
        "source_size": source_size,
        "workers": FLAGS.workers,
        "run": {
            "seconds": FLAGS.seconds,
            "warm_up_seconds": FLAGS.seconds / 4,
            "warm_up_batches": 2,
            "least_batches": 6,
        },
    }


def pictures(count, shape):
    """Smooth random pictures with detail at all scales, as photographs have it.

    Yields:
        uint8 batches of shape `(n, height, width, 3)`.
    """
    import tensorflow as tf

    rng = np.random.default_rng(0)
    octaves = [2**i for i in range(1, 10) if 2**i <= min(shape)]
    for start in range(0, count, 64):
        batch = min(64, count - start)
        image = np.full((batch, *shape, 3), 128, "float32")
        for cells in octaves:
            noise = rng.normal(0, 100 / cells**0.8, (batch, cells, cells, 3))
            image += tf.image.resize(noise.astype("float32"), shape, "bicubic")
        yield np.clip(image, 0, 255).astype("uint8")


def write_files(folder, batches):
    """JPEG files in one class folder per name; further names are hard links."""
    import tensorflow as tf

    for link in range(LINKS):
        (folder / f"{link}").mkdir(parents=True)
    images = (image for batch in batches for image in batch)
    for number, image in enumerate(images):
        first = folder / "0" / f"{number:04}.jpg"
        first.write_bytes(tf.io.encode_jpeg(image, quality=90).numpy())
        for link in range(1, LINKS):
            os.link(first, folder / f"{link}" / first.name)


def start_all(task, stack, out):
    """Contenders whose pipeline yields a batch, by name, with what it is made of.

    Args:
        task: From `make_task`.
        stack: ExitStack that ends the processes.
        out: Dictionary that gets the reasons for those left out.
    """
    contenders = {}

    def start(name, script, task):
        python = sys.executable
        try:
            if name == LIGHTLY:
                options = shlex.split(FLAGS.pip_options)
                python = environment.python_with(
                    environment.LIGHTLY, FLAGS.peer_env, options
                )
            contender = Contender(name, python, HERE / "peers" / script, task)
            stack.callback(contender.close)
            contenders[name] = contender, contender.wait_until_ready()
        except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
            out[name] = str(error)

    for name in FLAGS.peer:
        print(f"  starting {name}", flush=True)
        start(name, PEERS[name], task)
    if FLAGS.profile:
        for stage, name in STAGES.items():
            start(STAGE + name, PEERS[OURS], {**task, "stage": stage})
    return contenders


def check_alike(contenders):
    """Raise unless all pipelines make the same amount of float32."""
    expected = None
    for name, (_, batch) in contenders.items():
        made = {key: batch[key] for key in ("views", "values", "dtypes")}
        expected = expected or made
        if made != expected:
            raise RuntimeError(f"{name} makes {made}, others make {expected}")


def compare(size, folder):
    """Record of one size: every pipeline's runs, and how they were made."""
    task = make_task(size, folder)
    out = {}
    with contextlib.ExitStack() as stack:
        contenders = start_all(task, stack, out)
        check_alike(contenders)
        rows = {
            name: {"samples_per_second": [], "versions": batch["versions"]}
            for name, (_, batch) in contenders.items()
        }
        for turn in range(FLAGS.repeats):
            for name in list(rows):
                try:
                    speed = contenders[name][0].run()["samples_per_second"]
                except RuntimeError as error:
                    out[name] = str(error)
                    del rows[name]
                    continue
                rows[name]["samples_per_second"].append(speed)
                print(f"  run {turn + 1}: {name:25} {speed:10,.0f}/s", flush=True)
    files = list(pathlib.Path(task["path"]).glob("0/*.jpg"))
    if files:
        size_kb = np.mean([file.stat().st_size for file in files]) / 1000
        source = f"JPEG, 500 x 400, {size_kb:.0f} kB"
    else:
        source = "arrays"
    del task["path"]
    return {**task, "source": source, **recipe(), "rows": rows, "out": out}


def recipe():
    """What is needed to make the numbers again."""

    def git(*arguments):
        process = subprocess.run(
            ["git", "-C", HERE, *arguments], capture_output=True, text=True
        )
        return process.stdout.strip()

    changed = git("status", "--porcelain", "--", HERE.parent / "keras_contrastive")
    script = f"benchmarks/{pathlib.Path(sys.argv[0]).name}"
    command = ["python", script, *sys.argv[1:]]
    return {
        "command": shlex.join(command),
        "commit": git("rev-parse", "HEAD") + (" and changes" if changed else ""),
        "date": datetime.date.today().isoformat(),
        "processor": processor(),
        "cores": cores(),
        "python": sys.version.split()[0],
    }


def merged(path, results):
    """Write `results` over those in the file, and return all of them."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    everything = json.loads(path.read_text()) if path.exists() else {}
    everything.update(results)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(everything, indent=2) + "\n")
    os.replace(temporary, path)
    return everything


def main(argv):
    del argv
    os.environ.update(CUDA_VISIBLE_DEVICES="-1", TF_CPP_MIN_LOG_LEVEL="2")
    # A terminated run ends its stopped processes too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for size in FLAGS.size:
            print(f"{size} px", flush=True)
            results[size] = compare(int(size), pathlib.Path(folder))
    everything = merged(FLAGS.json_file, results)
    print(f"\n{processor()}, {cores()} cores\n\n{table(results)}\n")
    try:
        chart(everything, pathlib.Path(FLAGS.json_file).with_suffix(".png"))
    except ImportError:
        print('No chart: pip install "keras-contrastive[plots]"')
    return 0


if __name__ == "__main__":
    define_flags()
    app.run(main)

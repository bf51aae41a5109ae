"""Latency and throughput of one encoder in every form it is deployed in, in one run.

    python benchmarks/inference.py                     # ResNet-18, 64 wide, 32 x 32
    python benchmarks/inference.py --depth 50 --stem imagenet --size 224

In-process Keras (`predict`, and a direct call), SavedModel, the TF-Lite variants, ONNX,
and the same network in PyTorch eager. Every contender runs alone in its own process
with the same number of threads; those whose packages are missing are left out and
named. Prints a table and writes JSON; p50 and p95 in milliseconds, images/s at the
large batch. About 3 minutes on 2 CPU cores.
"""

import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import time

import numpy as np
from absl import app, flags

FLAGS = flags.FLAGS


def define_flags():
    flags.DEFINE_integer("depth", 18, "Depth of the ResNet.")
    flags.DEFINE_integer("width", 64, "Channels of its first stage.")
    flags.DEFINE_enum("stem", "small", ["small", "imagenet"], "Its stem.")
    flags.DEFINE_integer("size", 32, "Side of the images.")
    flags.DEFINE_integer("threads", os.cpu_count(), "Threads of each contender.")
    flags.DEFINE_integer("repeats", 50, "Calls per measurement.")
    flags.DEFINE_integer("batch", 32, "The large batch.")
    flags.DEFINE_string("json_file", None, "Where the numbers are written.")
    flags.DEFINE_string("worker", None, "Internal: the contender to run here.")
    flags.DEFINE_string("folder", None, "Internal: where the artefacts are.")


def measure(call, batch_sizes, size, repeats):
    """Milliseconds per call, after three that do not count."""
    results = []
    for batch_size in batch_sizes:
        rng = np.random.default_rng(0)
        images = rng.uniform(0, 255, (batch_size, size, size, 3)).astype("float32")
        times = []
        for _ in range(repeats + 3):
            start = time.perf_counter()
            call(images)
            times.append(1000 * (time.perf_counter() - start))
        p50, p95 = np.percentile(times[3:], [50, 95])
        results.append({"batch_size": batch_size, "p50_ms": p50, "p95_ms": p95})
    return results


def keras_worker(direct):
    import keras
    import tensorflow as tf

    import keras_contrastive.layers  # noqa: F401

    tf.config.threading.set_intra_op_parallelism_threads(FLAGS.threads)
    tf.config.threading.set_inter_op_parallelism_threads(FLAGS.threads)
    encoder = keras.models.load_model(pathlib.Path(FLAGS.folder) / "encoder.keras")
    if direct:
        return lambda images: encoder(images, training=False).numpy()
    return lambda images: encoder.predict(images, verbose=0)


def torch_worker():
    import torch
    from torch import nn

    torch.set_num_threads(FLAGS.threads)
    torch.manual_seed(0)
    model = _torch_resnet(nn, FLAGS.depth, FLAGS.width, FLAGS.stem).eval()

    def call(images):
        with torch.inference_mode():
            x = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
            return model(x).numpy()

    return call


def _torch_resnet(nn, depth, width, stem):
    """The network of `keras_contrastive.encoders.resnet` in PyTorch."""
    blocks = {
        10: (1, 1, 1, 1),
        18: (2, 2, 2, 2),
        34: (3, 4, 6, 3),
        50: (3, 4, 6, 3),
        101: (3, 4, 23, 3),
        152: (3, 8, 36, 3),
    }[depth]
    expansion = 4 if depth >= 50 else 1

    def conv_norm(inputs, outputs, kernel, stride):
        conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(outputs))

    class Block(nn.Module):
        def __init__(self, inputs, channels, stride):
            super().__init__()
            outputs = expansion * channels
            if expansion == 4:
                shapes = [(1, 1, channels), (3, stride, channels), (1, 1, outputs)]
            else:
                shapes = [(3, stride, channels), (3, 1, channels)]
            layers, current = [], inputs
            for kernel, step, filters in shapes:
                layers += [conv_norm(current, filters, kernel, step), nn.ReLU()]
                current = filters
            self.main = nn.Sequential(*layers[:-1])
            same = stride == 1 and inputs == outputs
            self.shortcut = (
                nn.Identity() if same else conv_norm(inputs, outputs, 1, stride)
            )

        def forward(self, x):
            return (self.main(x) + self.shortcut(x)).relu()

    if stem == "small":
        layers = [conv_norm(3, width, 3, 1), nn.ReLU()]
    else:
        layers = [conv_norm(3, width, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    current = width
    for stage, count in enumerate(blocks):
        channels = width * 2**stage
        for block in range(count):
            stride = 2 if stage and not block else 1
            layers.append(Block(current, channels, stride))
            current = expansion * channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def run_worker():
    """In a process of its own: measure one contender and print JSON."""
    workers = {
        "Keras predict": lambda: keras_worker(direct=False),
        "Keras call": lambda: keras_worker(direct=True),
        "PyTorch eager": torch_worker,
    }
    call = workers[FLAGS.worker]()
    sizes = (1, FLAGS.batch)
    print(json.dumps(measure(call, sizes, FLAGS.size, FLAGS.repeats)))


def in_own_process(name, folder):
    command = [sys.executable, __file__, f"--worker={name}", f"--folder={folder}"]
    for flag in ("depth", "width", "stem", "size", "threads", "repeats", "batch"):
        command.append(f"--{flag}={FLAGS[flag].value}")
    process = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
    )
    if process.returncode:
        raise RuntimeError(process.stderr.strip().splitlines()[-1])
    return json.loads(process.stdout.splitlines()[-1])


def processor():
    """Name of the CPU, and whether it has int8 dot products."""
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    name = next(x.split(":")[1].strip() for x in text.splitlines() if "model name" in x)
    return f"{name}, {'with' if 'avx512_vnni' in text else 'without'} VNNI"


def main(argv):
    del argv
    if FLAGS.worker:
        return run_worker()
    import keras

    from keras_contrastive import encoders, export
    from keras_contrastive.export import clean_process, reference
    from keras_contrastive.files import write_json

    keras.utils.set_random_seed(0)
    shape = (FLAGS.size, FLAGS.size, 3)
    encoder = encoders.resnet(FLAGS.depth, FLAGS.width, FLAGS.stem, shape)
    images = reference.synthetic_images(shape, 64)
    sizes = (1, FLAGS.batch)
    options = {"batch_sizes": sizes, "repeats": FLAGS.repeats}
    results = {}

    def attempt(name, function):
        try:
            results[name] = function()
        except (ImportError, RuntimeError) as error:
            print(f"{name} is left out: {error}")

    def artefact(runner, path, threads, **more):
        _, facts = clean_process.run(
            runner, path, images, threads=threads, **options, **more
        )
        return facts["latency"]

    def lite(variant):
        given = images if variant == "int8" else None
        path = export.to_tflite(encoder, folder, variant, given)
        return artefact("tflite", path, [FLAGS.threads])

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        encoder.save(folder / "encoder.keras")
        for name in ("Keras predict", "Keras call"):
            attempt(name, lambda name=name: in_own_process(name, folder))
        saved = export.to_saved_model(encoder, folder / "saved_model", images=images)
        attempt(
            "SavedModel",
            lambda: artefact("saved_model", saved, FLAGS.threads, latency_only=True),
        )
        for variant in ("float32", "float16", "dynamic", "int8"):
            attempt(f"TF-Lite {variant}", lambda variant=variant: lite(variant))
        attempt(
            "ONNX",
            lambda: artefact("onnx", export.to_onnx(encoder, folder), [FLAGS.threads]),
        )
        attempt("PyTorch eager", lambda: in_own_process("PyTorch eager", folder))

    print(
        f"\nResNet-{FLAGS.depth}, width {FLAGS.width}, {FLAGS.stem} stem, {shape[0]} x "
        f"{shape[1]}, {FLAGS.threads} threads; {processor()}\n"
    )
    many = f"batch {FLAGS.batch} p50"
    print(f"{'':18}{'batch 1 p50':>12}{'p95':>9}{many:>14}{'p95':>9}{'images/s':>10}")
    for name, (one, many) in results.items():
        speed = 1000 * many["batch_size"] / many["p50_ms"]
        print(
            f"{name:18}{one['p50_ms']:12.2f}{one['p95_ms']:9.2f}"
            f"{many['p50_ms']:14.2f}{many['p95_ms']:9.2f}{speed:10.0f}"
        )
    if FLAGS.json_file:
        content = {"processor": processor(), "threads": FLAGS.threads, "ms": results}
        write_json(FLAGS.json_file, content)
    return 0


if __name__ == "__main__":
    define_flags()
    app.run(main)

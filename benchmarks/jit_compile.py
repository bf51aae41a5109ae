"""Time of one train step with and without XLA, in one run: what `compile()` chooses.

    python benchmarks/jit_compile.py                  # SimCLR, ResNet-18, 32 x 32
    python benchmarks/jit_compile.py --method=BYOL --precision=mixed_bfloat16

Prints milliseconds a step (the median of rounds in turn) for `jit_compile="auto"`, True
and False, and images/s; `--json_file` keeps them. XLA's compilation is not counted.
"""

import statistics
import sys
import time

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags

import keras_contrastive as kc
from keras_contrastive.files import write_json

FLAGS = flags.FLAGS
FILE = sys.argv[0]  # as absl names the module of a script
CHOICES = {"auto": "auto", "XLA": True, "no XLA": False}


def define_flags():
    """Define the flags of the script."""
    flags.DEFINE_enum("method", "SimCLR", ["SimCLR", "BYOL", "SCE"], "Method.")
    flags.DEFINE_integer("depth", 18, "Depth of the ResNet.")
    flags.DEFINE_integer("width", 16, "Channels of its first stage.")
    flags.DEFINE_integer("size", 32, "Side of the images.")
    flags.DEFINE_integer("batch_size", 128, "Images per step.")
    flags.DEFINE_integer("rounds", 7, "Measurements of each.")
    flags.DEFINE_integer("steps", 3, "Steps of a measurement.")
    flags.DEFINE_string("precision", "float32", "Policy of Keras.")
    flags.DEFINE_string("json_file", None, "Where the numbers are written.")


def new_model(jit_compile):
    """Return a compiled model of the method."""
    keras.utils.set_random_seed(0)
    shape = (FLAGS.size, FLAGS.size, 3)
    encoder = kc.encoders.resnet(FLAGS.depth, FLAGS.width, input_shape=shape)
    model = getattr(kc, FLAGS.method)(encoder)
    model.compile(keras.optimizers.SGD(0.01), jit_compile=jit_compile)
    model.build_optimizer()
    model.make_train_function()
    return model


def main(argv):
    """Measure in turn, print, write."""
    keras.config.set_dtype_policy(FLAGS.precision)
    shape = (FLAGS.batch_size, FLAGS.size, FLAGS.size, 3)
    rng = np.random.default_rng(0)
    views = tuple(rng.uniform(0, 255, shape).astype("float32") for _ in range(2))
    steps = iter(tf.data.Dataset.from_tensors((views,)).repeat())
    models = {name: new_model(choice) for name, choice in CHOICES.items()}
    times = {name: [] for name in models}
    for turn in range(FLAGS.rounds + 1):
        for name, model in models.items():
            start = time.perf_counter()
            for _ in range(FLAGS.steps):
                model.train_function(steps)
            if turn:  # the first turn traces and compiles
                times[name].append((time.perf_counter() - start) / FLAGS.steps)
    medians = {name: statistics.median(t) for name, t in times.items()}

    device = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    print(
        f"{FLAGS.method}, ResNet-{FLAGS.depth} width {FLAGS.width}, {FLAGS.size} px, "
        f"batch {FLAGS.batch_size}, {FLAGS.precision}, {device}"
    )
    for name, median in medians.items():
        chosen = f" (XLA {'on' if models[name].jit_compile else 'off'})"
        print(
            f"{name + chosen:18}{1000 * median:8.0f} ms/step"
            f"{FLAGS.batch_size / median:8.0f} images/s"
            f"{median / medians['no XLA']:7.2f} x the time without XLA"
        )
    if FLAGS.json_file:
        own = {flag.name: flag.value for flag in FLAGS.get_key_flags_for_module(FILE)}
        write_json(FLAGS.json_file, {"flags": own, "seconds": times})


if __name__ == "__main__":
    define_flags()
    app.run(main)

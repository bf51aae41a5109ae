"""What `fit`, the momentum target, the probe and the metrics add to a compiled step.

    python benchmarks/overheads.py               # ResNet-18 of width 16, 32 pixels
    python benchmarks/overheads.py --width=64 --batch_size=64

Each is left out of a model that is otherwise the same; both are measured in turns, and
the table has the median of the turns' ratios, with the least and the most. About 10
minutes on 2 CPU cores.
"""

import statistics
import sys
import time

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags
from inference import processor
from input_pipeline import recipe

import keras_contrastive as kc
from keras_contrastive.files import write_json

FLAGS = flags.FLAGS


def define_flags():
    """Define the flags of the script."""
    flags.DEFINE_integer("depth", 18, "Depth of the ResNet.")
    flags.DEFINE_integer("width", 16, "Channels of its first stage.")
    flags.DEFINE_integer("batch_size", 128, "Pairs of views in a step.")
    flags.DEFINE_integer("rounds", 7, "Turns of each.")
    flags.DEFINE_integer("steps", 20, "Steps of a turn, an epoch of `fit`.")
    flags.DEFINE_string("json_file", None, "Where the numbers are written.")


class Still(kc.callbacks.MomentumUpdate):
    """Leaves the target where it is."""

    def update(self, model, step, moved):
        return tf.constant(1.0)


class WithoutMetrics(kc.SimCLR):
    """Records the loss alone."""

    def _record(self, loss, outputs, batch, applied):
        return {"loss": loss}


def compiled(make, **arguments):
    """Return a compiled model that has been built."""
    keras.utils.set_random_seed(0)
    shape = (32, 32, 3)
    encoder = kc.encoders.resnet(FLAGS.depth, FLAGS.width, input_shape=shape)
    rule = arguments.pop("momentum_update", None)
    model = make(encoder, **arguments)
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    model.compile(optimizer, momentum_update=rule)
    model.build_optimizer()
    model.make_train_function()
    return model


def steps_of(model, data):
    """Return a function that runs a turn's steps of the compiled model."""

    def steps():
        batches = iter(data)
        for _ in range(FLAGS.steps):
            logs = model.train_function(batches)
        return float(logs["loss"])

    return steps


def cases(data):
    """Return, by name, the steps with and those without what is measured."""
    simclr, byol = compiled(kc.SimCLR), compiled(kc.BYOL)
    probe, bare = compiled(kc.SimCLR, num_classes=10), compiled(WithoutMetrics)
    still = compiled(kc.BYOL, momentum_update=Still(1.0))
    fitted = compiled(kc.SimCLR)
    plain = steps_of(simclr, data)

    def fit():
        fitted.fit(data.take(FLAGS.steps), verbose=0)

    return {
        "fit": (fit, plain),
        "momentum": (steps_of(byol, data), steps_of(still, data)),
        "probe": (steps_of(probe, data), plain),
        "metrics": (plain, steps_of(bare, data)),
    }


def seconds(function):
    """Return how long a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main(argv):
    """Measure in turns, print, write."""
    rng = np.random.default_rng(0)
    shape = (FLAGS.batch_size, 32, 32, 3)
    views = tuple(rng.uniform(0, 255, shape).astype("float32") for _ in range(2))
    labels = rng.integers(0, 10, FLAGS.batch_size)
    data = tf.data.Dataset.from_tensors((views, labels)).repeat()
    pairs = cases(data)
    found = {name: [] for name in pairs}
    for turn in range(FLAGS.rounds + 1):
        for name, functions in pairs.items():
            order = functions if turn % 2 else functions[::-1]
            times = dict(zip(order, map(seconds, order), strict=True))
            if turn:  # the first one traces
                found[name].append([times[function] for function in functions])
    print(f"ResNet-{FLAGS.depth} of width {FLAGS.width}, batch {FLAGS.batch_size}")
    for name, rows in found.items():
        more = [100 * (with_it / without - 1) for with_it, without in rows]
        print(
            f"{name:10} {statistics.median(more):+5.1f} %  "
            f"({min(more):+.1f} to {max(more):+.1f})"
        )
    if FLAGS.json_file:
        own = FLAGS.get_key_flags_for_module(sys.argv[0])
        settings = {flag.name: flag.value for flag in own if flag.name != "json_file"}
        facts = {**recipe(), "processor": processor(), "flags": settings}
        write_json(FLAGS.json_file, {**facts, "seconds": found})


if __name__ == "__main__":
    define_flags()
    app.run(main)

"""Makes the embedded sample of Fashion-MNIST from TensorFlow Datasets.

    python scripts/make_sample.py

Hardware: any, a minute. Result: keras_contrastive/assets/fashion_mnist_sample.npz,
the same arrays for the same seed.
"""

import pathlib

import numpy as np
import tensorflow_datasets as tfds
from absl import app, flags, logging

_ASSETS = pathlib.Path(__file__).parents[1] / "keras_contrastive" / "assets"
_MAX_BYTES = 6_000_000


def define_flags():
    """Defines the command line."""
    flags.DEFINE_string(
        "output", str(_ASSETS / "fashion_mnist_sample.npz"), "File to write."
    )
    flags.DEFINE_integer("train_per_class", 1000, "Images per class, train split.")
    flags.DEFINE_integer("test_per_class", 200, "Images per class, test split.")
    flags.DEFINE_integer("seed", 2017, "Which images are drawn, and their order.")


def balanced(x, y, per_class, rng):
    """`per_class` images of every class, shuffled."""
    chosen = [
        rng.choice(np.flatnonzero(y == label), per_class, replace=False)
        for label in np.unique(y)
    ]
    chosen = rng.permutation(np.concatenate(chosen))
    return x[chosen], y[chosen].astype(np.uint8)


def main(argv):
    """Draws the sample and writes it."""
    del argv
    rng = np.random.default_rng(flags.FLAGS.seed)
    arrays = {}
    for split in ("train", "test"):
        x, y = tfds.as_numpy(
            tfds.load(
                "fashion_mnist",
                split=split,
                batch_size=-1,
                as_supervised=True,
                shuffle_files=False,
            )
        )
        per_class = flags.FLAGS[f"{split}_per_class"].value
        arrays[f"x_{split}"], arrays[f"y_{split}"] = balanced(x, y, per_class, rng)
    np.savez_compressed(flags.FLAGS.output, **arrays)
    size = pathlib.Path(flags.FLAGS.output).stat().st_size
    logging.info("Wrote %s: %.2f MB", flags.FLAGS.output, size / 1e6)
    if size > _MAX_BYTES:
        raise ValueError(
            f"The sample must be at most {_MAX_BYTES} bytes. Received: {size}."
        )


if __name__ == "__main__":
    define_flags()
    app.run(main)

"""Checkpoints with a flipped bit, or cut short, are refused and change nothing.

    python tests/attacks/checkpoint_flips.py 200   # 200 flips and 200 cuts

Training on a damaged file must end with its path and a remedy, before a weight moves.
"""

import pathlib
import random
import sys
import tempfile

TESTS = pathlib.Path(__file__).parent.parent
sys.path[:0] = [str(TESTS / "methods"), str(TESTS)]

from helpers import build, dataset, sgd  # noqa: E402
from keras.ops import convert_to_numpy  # noqa: E402

import keras_contrastive as kc  # noqa: E402
from keras_contrastive.callbacks.finite_check import training_state  # noqa: E402


def flip(content):
    """Flip one bit."""
    damaged, place = bytearray(content), random.randrange(len(content))
    damaged[place] ^= 1 << random.randrange(8)
    return bytes(damaged)


def cut(content):
    """Leave out the end, one byte of it or more."""
    return content[: random.randrange(len(content))]


def main():
    """Damage, train, count."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "run.weights.h5")

        def fit(model, epochs):
            checkpoint = kc.callbacks.Checkpoint(path)
            model.fit(dataset(), epochs=epochs, verbose=0, callbacks=[checkpoint])

        model = build("byol")
        model.compile(sgd(), jit_compile=False)
        fit(model, 1)
        good = path.read_bytes()
        before = [convert_to_numpy(v).copy() for v in training_state(model)]
        worst = 0
        for damage in (flip, cut):
            refused, bad = 0, []
            for _ in range(count):
                path.write_bytes(damage(good))
                try:
                    fit(model, 2)
                    bad.append("accepted")
                except ValueError as error:
                    refused += 1
                    if f"{path} is damaged" not in str(error):
                        bad.append(str(error)[:300])
                after = [convert_to_numpy(v) for v in training_state(model)]
                if any((a != b).any() for a, b in zip(before, after, strict=True)):
                    bad.append("weights have changed")
            print(
                f"{damage.__name__}: {refused} of {count} refused, {len(bad)} bad",
                *bad[:5],
            )
            worst += len(bad)
    sys.exit(bool(worst))


if __name__ == "__main__":
    main()

"""The bound: a plain copy of the bytes of two float32 views, by one thread.

It goes through 256 MB, so that no cache holds them.
"""

import itertools

import numpy as np
import protocol


def batches(task):
    shape = (2, task["batch_size"], task["size"], task["size"], 3)
    count = max(2, 2**28 // (4 * int(np.prod(shape))))
    sources = np.random.default_rng(0).random((count, *shape), dtype="float32")
    targets = np.zeros_like(sources)
    for index in itertools.cycle(range(count)):
        np.copyto(targets[index], sources[index])
        yield targets[index]


if __name__ == "__main__":
    protocol.serve(batches, {"numpy": np.__version__}, protocol.describe)

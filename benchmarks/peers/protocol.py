"""What every pipeline's process does: get ready, then one timed run per line of input.

Needs the standard library only: it runs in the environments of all peers. A pipeline is
a function from the task (a dict, see `Contender`) to an endless iterator over batches,
each a pair of views as arrays or tensors; so is a train step, which yields what it was
trained on.
"""

import json
import math
import sys
import time

MARK = "RESULT "  # libraries may print to standard output too


def serve(make_batches, versions, describe=None):
    """Run `make_batches(task)` for the process that started this one.

    Args:
        make_batches: Function from the task to an endless iterator over batches.
        versions: Dictionary from package to version, for the record.
        describe: Function from the first batch to a dictionary, for the record.
    """
    task = json.loads(sys.argv[1])
    batches = make_batches(task)
    first = next(batches)
    _reply({"versions": versions, **(describe(first) if describe else {})})
    for _ in sys.stdin:
        _reply(measure(batches, **task["run"]))


def describe(views):
    """What a pair of views is made of, to see that all peers make the same."""
    shapes = [tuple(int(side) for side in view.shape) for view in views]
    # TensorFlow and NumPy types have a name; PyTorch's is "torch.float32".
    dtypes = [str(getattr(x.dtype, "name", x.dtype)).split(".")[-1] for x in views]
    return {
        "views": len(shapes),
        "values": [math.prod(shape) for shape in shapes],
        "shape": shapes[0],
        "dtypes": dtypes,
    }


def measure(batches, seconds, warm_up_seconds, warm_up_batches, least_batches):
    """Samples (pairs of views) per second, after a warm-up that empties all buffers.

    Args:
        batches: Endless iterator over batches; the length of its first view counts.
        seconds: Shortest time that is measured.
        warm_up_seconds: Shortest time before that.
        warm_up_batches: Fewest batches before that.
        least_batches: Fewest batches that are measured.

    Returns:
        Dictionary with `samples`, `seconds` and their quotient `samples_per_second`.
    """
    _take(batches, warm_up_seconds, warm_up_batches)
    samples, elapsed = _take(batches, seconds, least_batches)
    return {
        "samples": samples,
        "seconds": elapsed,
        "samples_per_second": samples / elapsed,
    }


def _take(batches, seconds, least_batches):
    samples = count = elapsed = 0
    start = time.perf_counter()
    while elapsed < seconds or count < least_batches:
        samples += len(next(batches)[0])
        count += 1
        elapsed = time.perf_counter() - start
    return samples, elapsed


def _reply(content):
    print(MARK + json.dumps(content), flush=True)

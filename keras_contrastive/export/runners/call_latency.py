"""How long a call takes; all that the runners share."""

import time

import numpy as np


def latencies(call, images, threads, batch_sizes, repeats):
    """Milliseconds per call, p50 and p95, after three calls that do not count."""
    results = []
    for batch_size in batch_sizes:
        batch = np.resize(images, (batch_size, *images.shape[1:]))
        times = []
        for _ in range(repeats + 3):
            start = time.perf_counter()
            call(batch)
            times.append(1000 * (time.perf_counter() - start))
        p50, p95 = np.percentile(times[3:], [50, 95])
        results.append(
            {
                "batch_size": batch_size,
                "threads": threads,
                "p50_ms": p50,
                "p95_ms": p95,
            }
        )
    return results

"""Features of an ONNX file by onnxruntime alone: `run_onnx.py FILE FOLDER`.

FOLDER holds images.npz and options.json; outputs.npz and facts.json are written to it.
Imports neither TensorFlow nor Keras.
"""

import json
import pathlib
import sys
import time

import numpy as np
import onnxruntime


def session_of(path, threads=0):
    """A session on the CPU; 0 threads leave the number to onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = threads
    return onnxruntime.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"]
    )


def measure(path, images, threads, batch_sizes, repeats):
    """Milliseconds per call, p50 and p95, after three calls that do not count."""
    session = session_of(path, threads)
    name = session.get_inputs()[0].name
    results = []
    for batch_size in batch_sizes:
        batch = np.resize(images, (batch_size, *images.shape[1:]))
        times = []
        for _ in range(repeats + 3):
            start = time.perf_counter()
            session.run(None, {name: batch})
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


def main(path, folder):
    """Run all images, describe the file, and measure it if that is asked for."""
    options = json.loads((folder / "options.json").read_text())
    images = np.load(folder / "images.npz")["images"].astype("float32")
    session = session_of(path)
    (given,), (result,) = session.get_inputs(), session.get_outputs()
    parts = np.split(images, range(64, len(images), 64))
    features = [session.run(None, {given.name: part})[0] for part in parts]
    facts = {
        "input": {"name": given.name, "dtype": "float32", "shape": str(given.shape)},
        "output": {"name": result.name, "dtype": "float32", "shape": str(result.shape)},
        "latency": [],
    }
    for threads in options.get("threads", []):
        facts["latency"] += measure(
            path, images, threads, options["batch_sizes"], options["repeats"]
        )
    np.savez(folder / "outputs.npz", features=np.concatenate(features))
    (folder / "facts.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))

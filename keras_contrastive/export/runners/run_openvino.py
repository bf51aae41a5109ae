"""Features of an OpenVINO model by OpenVINO alone: `run_openvino.py FILE FOLDER`.

FOLDER holds images.npz and options.json; outputs.npz and facts.json are written to it.
Imports neither TensorFlow nor Keras.
"""

import json
import pathlib
import sys
import time

import numpy as np
import openvino


def compiled(path, threads=0):
    """The model on the CPU, in float32; 0 threads leave the number to OpenVINO."""
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    if threads:
        options["INFERENCE_NUM_THREADS"] = threads
    return openvino.Core().compile_model(str(path), "CPU", options)


def measure(path, images, threads, batch_sizes, repeats):
    """Milliseconds per call, p50 and p95, after three calls that do not count."""
    model = compiled(path, threads)
    results = []
    for batch_size in batch_sizes:
        batch = np.resize(images, (batch_size, *images.shape[1:]))
        times = []
        for _ in range(repeats + 3):
            start = time.perf_counter()
            model(batch)
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
    """Run all images, describe the model, and measure it if that is asked for."""
    options = json.loads((folder / "options.json").read_text())
    images = np.load(folder / "images.npz")["images"].astype("float32")
    model = compiled(path)
    parts = np.split(images, range(64, len(images), 64))
    features = [model(part)[0] for part in parts]
    facts = {
        side: {
            "name": port.get_any_name(),
            "dtype": "float32",
            "shape": str(port.get_partial_shape()),
        }
        for side, port in (("input", model.inputs[0]), ("output", model.outputs[0]))
    }
    facts["latency"] = []
    for threads in options.get("threads", []):
        facts["latency"] += measure(
            path, images, threads, options["batch_sizes"], options["repeats"]
        )
    np.savez(folder / "outputs.npz", features=np.concatenate(features))
    (folder / "facts.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))

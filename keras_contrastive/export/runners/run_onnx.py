"""Features of an ONNX file by onnxruntime alone: `run_onnx.py FILE FOLDER`.

FOLDER holds images.npz and options.json; outputs.npz and facts.json are written to it.
Imports neither TensorFlow nor Keras.
"""

import json
import pathlib
import sys

import numpy as np
import onnxruntime
from call_latency import latencies


def session_of(path, threads=0):
    """A session on the CPU; 0 threads leave the number to onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = threads
    return onnxruntime.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"]
    )


def measure(path, images, threads, batch_sizes, repeats):
    """Milliseconds per call with that number of threads."""
    session = session_of(path, threads)
    name = session.get_inputs()[0].name

    def call(batch):
        session.run(None, {name: batch})

    return latencies(call, images, threads, batch_sizes, repeats)


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

"""Features of an OpenVINO model by OpenVINO alone: `run_openvino.py FILE FOLDER`.

FOLDER holds images.npz and options.json; outputs.npz and facts.json are written to it.
Imports neither TensorFlow nor Keras.
"""

import json
import pathlib
import sys

import numpy as np
import openvino
from call_latency import latencies


def compiled(path, threads=0):
    """The model on the CPU, in float32; 0 threads leave the number to OpenVINO."""
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    if threads:
        options["INFERENCE_NUM_THREADS"] = threads
    return openvino.Core().compile_model(str(path), "CPU", options)


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
        facts["latency"] += latencies(
            compiled(path, threads),
            images,
            threads,
            options["batch_sizes"],
            options["repeats"],
        )
    np.savez(folder / "outputs.npz", features=np.concatenate(features))
    (folder / "facts.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))

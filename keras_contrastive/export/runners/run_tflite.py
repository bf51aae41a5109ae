"""Features of a TF-Lite file by ai-edge-litert alone: `run_tflite.py FILE FOLDER`.

FOLDER holds images.npz and options.json; outputs.npz and facts.json are written to it.
Imports neither TensorFlow nor Keras.
"""

import json
import pathlib
import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from call_latency import latencies


class Runner:
    """One interpreter, resized when the batch size changes."""

    def __init__(self, path, threads=None):
        self.interpreter = Interpreter(model_path=str(path), num_threads=threads)
        self.interpreter.allocate_tensors()
        (self.input,) = self.interpreter.get_input_details()
        (self.output,) = self.interpreter.get_output_details()
        self.fixed_batch = int(self.input["shape_signature"][0])
        self.batch_size = int(self.input["shape"][0])

    def prepare(self, images):
        """Resize to this batch and set it, in the dtype of the input."""
        if len(images) != self.batch_size:
            self.interpreter.resize_tensor_input(self.input["index"], images.shape)
            self.interpreter.allocate_tensors()
            self.batch_size = len(images)
        dtype, (scale, zero) = self.input["dtype"], self.input["quantization"]
        if dtype != np.float32:
            limits = np.iinfo(dtype)
            images = np.round(images / scale) + zero
            images = np.clip(images, limits.min, limits.max)
        self.interpreter.set_tensor(self.input["index"], images.astype(dtype))

    def run(self):
        """Run on what was set; return the features in float32."""
        self.interpreter.invoke()
        features = self.interpreter.get_tensor(self.output["index"])
        scale, zero = self.output["quantization"]
        if self.output["dtype"] == np.float32:
            return features
        return (features.astype("float32") - zero) * np.float32(scale)


def variant_of(runner) -> str:
    """Which of the four variants a file is, by the dtypes of its tensors."""
    if runner.input["dtype"] != np.float32:
        return "int8"
    dtypes = {tensor["dtype"] for tensor in runner.interpreter.get_tensor_details()}
    if np.int8 in dtypes:
        return "dynamic"
    return "float16" if np.float16 in dtypes else "float32"


def describe(details):
    """An input or output for the manifest."""
    scale, zero_point = details["quantization"]
    description = {
        "shape": [int(n) if n > 0 else "batch" for n in details["shape_signature"]],
        "dtype": np.dtype(details["dtype"]).name,
    }
    if scale:
        description |= {"scale": float(scale), "zero_point": int(zero_point)}
        description["real_value"] = "scale * (value - zero_point)"
    return description


def measure(path, images, threads, batch_sizes, repeats):
    """Milliseconds per call of the batch sizes that the file takes."""
    runner = Runner(path, threads)

    def call(batch):
        runner.prepare(batch)
        runner.run()

    sizes = [x for x in batch_sizes if runner.fixed_batch in (x, -1)]
    return latencies(call, images, threads, sizes, repeats)


def main(path, folder):
    """Run all images, describe the file, and measure it if that is asked for."""
    options = json.loads((folder / "options.json").read_text())
    images = np.load(folder / "images.npz")["images"].astype("float32")
    runner = Runner(path)
    batch_size = runner.fixed_batch if runner.fixed_batch > 0 else 64
    features = []
    for start in range(0, len(images), batch_size):
        runner.prepare(images[start : start + batch_size])
        features.append(runner.run())
    (signature,) = runner.interpreter.get_signature_list().items()
    operations = {x["op_name"] for x in runner.interpreter._get_ops_details()}
    facts = {
        "variant": variant_of(runner),
        "signature": {"name": signature[0], **signature[1]},
        "input": describe(runner.input),
        "output": describe(runner.output),
        "operations": sorted(operations - {"DELEGATE"}),
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

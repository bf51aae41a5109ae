"""Run an artefact in a new Python process that knows nothing of this package."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np

from keras_contrastive import files

_RUNNERS = pathlib.Path(__file__).parent / "runners"


def run(runner: str, artefact, images, encoded=(), **options):
    """Let `runners/<runner>.py` compute features, without keras_contrastive and keras.

    Args:
        runner: `"saved_model"`, `"tflite"`, `"onnx"` or `"openvino"`.
        artefact: Path of the folder or file.
        images: Array `(n, height, width, channels)`.
        encoded: List of bytes, image files for `serve_bytes`.
        **options: Handed to the runner, as JSON.

    Returns:
        `(outputs, facts)`: a dict of float32 arrays, and what the runner says about
        itself (modules that were imported, latency, details of inputs and outputs).

    Raises:
        RuntimeError: The process failed; its last words are in the message.
    """
    images = np.asarray(images)
    with files.scratch_folder(images.nbytes + sum(map(len, encoded))) as folder:
        np.savez(folder / "images.npz", images=images)  # `save` hides a full disk
        for index, data in enumerate(encoded):
            (folder / f"{index:05d}.image").write_bytes(data)
        (folder / "options.json").write_text(json.dumps(options))
        # No GPU: the reference is of the CPU too, and the parent may hold its memory.
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
        environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        environment.pop("PYTHONSAFEPATH", None)  # runners import their neighbour
        script = str(_RUNNERS / f"run_{runner}.py")
        process = subprocess.run(
            [sys.executable, script, str(artefact), str(folder)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        if process.returncode:
            raise RuntimeError(
                f"{str(artefact)!r} does not run in a process of its own (exit status "
                f"{process.returncode}):\n{process.stdout[-3000:]}"
            )
        with np.load(folder / "outputs.npz") as outputs:
            arrays = {name: outputs[name] for name in outputs.files}
        return arrays, json.loads((folder / "facts.json").read_text())

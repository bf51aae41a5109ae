"""Features of a SavedModel by TensorFlow alone: `run_saved_model.py MODEL FOLDER`.

FOLDER holds images.npz, *.image and options.json; outputs.npz and facts.json are
written to it. Neither keras nor keras_contrastive can be imported here, so that what
works here works without them. (`import tensorflow` imports keras if it can.)
"""

import json
import pathlib
import sys

import numpy as np
from call_latency import latencies


def main(model_path, folder):
    """Run every signature over the images, in several batch sizes."""
    options = json.loads((folder / "options.json").read_text())
    sys.modules["keras"] = sys.modules["keras_contrastive"] = None
    import tensorflow as tf

    threads = options.get("threads", 0)  # 0: as TensorFlow likes, one a core
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    images = np.load(folder / "images.npz")["images"]
    output = options.get("output", "features")
    signatures = tf.saved_model.load(str(model_path)).signatures

    def call(name, array):
        signature = signatures[name]
        (argument,) = signature.structured_input_signature[1]
        dtype = signature.structured_input_signature[1][argument].dtype
        return signature(**{argument: tf.cast(array, dtype)})[output].numpy()

    def in_batches(name, batch_size):
        parts = np.split(images, range(batch_size, len(images), batch_size))
        return np.concatenate([call(name, part) for part in parts])

    outputs, facts = {}, {"signatures": sorted(signatures), "output": output}
    if not options.get("latency_only"):
        for name in sorted(set(signatures) - {"serve_bytes"}):
            outputs[name] = in_batches(name, 64)
        # Any batch size: one, and an odd number.
        few = images[: min(3, len(images))]
        outputs["batch_of_one"] = call("serving_default", few[:1])
        outputs["batch_of_three"] = call("serving_default", few)
        encoded = [x.read_bytes() for x in sorted(folder.glob("*.image"))]
        if "serve_bytes" in signatures and encoded:
            result = signatures["serve_bytes"](
                image_bytes=tf.constant([*encoded, b"no image"])
            )
            *good, bad = result["ok"].numpy()
            facts["marks_bad_files"] = bool(all(good) and not bad)
            outputs["serve_bytes"] = result[output].numpy()[: len(encoded)]
    if options.get("repeats"):
        facts["latency"] = latencies(
            lambda batch: call("serving_default", batch),
            images.astype("float32"),
            threads,
            options["batch_sizes"],
            options["repeats"],
        )
    names = {name.split(".")[0] for name, module in sys.modules.items() if module}
    facts["imported"] = sorted(names & {"keras", "keras_contrastive"})
    np.savez(folder / "outputs.npz", **outputs)
    (folder / "facts.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))

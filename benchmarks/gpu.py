"""Samples/s of a train step on a GPU: ours with XLA, lightly with torch.compile.

    python benchmarks/gpu.py           # one GPU
    python benchmarks/gpu.py --tiny    # small images and batches: it also runs on a CPU

ResNet-18 with a small stem at 32 pixels, batch 512; ResNet-50 at 224 pixels, batch 256;
mixed_bfloat16, and autocast; views in memory. The contenders are those of
`training_step.py`. Prints a table for each network and writes JSON. It has not run on
a GPU yet. POSIX only.
"""

import os

import training_step
from absl import app, flags
from input_pipeline import recipe
from training_step import HEADS

FLAGS = flags.FLAGS
NETWORKS = {
    "ResNet-18, 32 px": {"depth": 18, "stem": "small", "size": 32, "batch_size": 512},
    "ResNet-50, 224 px": {
        **{"depth": 50, "stem": "imagenet", "size": 224, "batch_size": 256}
    },
}
TINY = {"size": 32, "batch_size": 4}


def define_flags():
    """Define the flags of the script."""
    training_step.define_shared_flags(list(HEADS), "gpu.json")
    flags.adopt_module_key_flags(training_step)  # so that --help shows them
    flags.DEFINE_bool("tiny", False, "Images of 32 pixels, batches of 4.")


def main(argv):
    """Measure each method on each network."""
    from keras_contrastive.files import write_json

    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"  # two processes share the memory
    run = {
        **{"seconds": FLAGS.seconds, "warm_up_seconds": 0},
        **{"warm_up_batches": 3, "least_batches": 3},
    }
    records = {}
    for name, network in NETWORKS.items():
        records[name] = []
        for method in FLAGS.method:
            task = {**network, **(TINY if FLAGS.tiny else {}), "method": method}
            task |= {"precision": "mixed_bfloat16", "jit_compile": True, "gpu": True}
            task |= {"head": HEADS[method], "run": run}
            records[name].append(training_step.compare(task, limits=(), gpu=True))
            write_json(FLAGS.json_file, {**recipe(), "records": records})
        print(f"{name}\n\n{training_step.table(records[name])}\n", flush=True)


if __name__ == "__main__":
    define_flags()
    app.run(main)

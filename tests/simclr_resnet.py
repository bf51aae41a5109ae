"""The authors' ResNet of SimCLR version 2, in a process of its own, to an .npz file.

    python tests/simclr_resnet.py FOLDER DEPTH WIDTH_MULTIPLIER STEM SIZE OUTPUT

FOLDER holds google-research/simclr. Needs tf_keras, as its code is of Keras 2. Weights
and moving statistics are random; the file has them layer by layer, images and features,
in inference and in training.
"""

import os
import sys

os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy as np
import tensorflow as tf
from absl import flags


def main(folder, depth, multiplier, stem, size, output):
    """Build, fill, run, write."""
    flags.DEFINE_float("sk_ratio", 0.0625, "")
    flags.DEFINE_float("se_ratio", 0.0, "")
    flags.DEFINE_bool("global_bn", False, "")
    flags.DEFINE_float("batch_norm_decay", 0.9, "")
    flags.DEFINE_string("train_mode", "pretrain", "")
    flags.DEFINE_integer("fine_tune_after_block", -1, "")
    flags.FLAGS(["simclr_resnet"])
    sys.path.insert(0, f"{folder}/tf2")
    import resnet

    network = resnet.resnet(int(depth), int(multiplier), cifar_stem=stem == "small")
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 1, (16, int(size), int(size), 3)).astype("float32")
    network(images, training=False)
    arrays = {"images": 255 * images}
    kinds = tf.keras.layers.Conv2D, tf.keras.layers.BatchNormalization
    leaves = [x for x in network._flatten_layers() if isinstance(x, kinds)]
    for number, layer in enumerate(leaves):
        for index, weight in enumerate(layer.weights):
            if isinstance(layer, tf.keras.layers.Conv2D):
                value = rng.normal(0, np.prod(weight.shape[:3]) ** -0.5, weight.shape)
            else:
                value = rng.uniform(0.5, 1.5, weight.shape)
            weight.assign(value)
            arrays[f"{number:03d}_{index}"] = weight.numpy()
    arrays["inference"] = network(images, training=False).numpy()
    arrays["training"] = network(images, training=True).numpy()
    np.savez(output, **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""This package's pipeline: `kc.data` with `kc.augmentations.simclr`.

With `stage` in the task only its first operations run: that profiles it.
"""

import keras
import numpy as np
import protocol
import tensorflow as tf

import keras_contrastive as kc


def batches(task):
    policy = kc.augmentations.simclr(
        task["size"],
        strength=task["strength"],
        blur=task["blur_probability"],
        area=tuple(task["area"]),
    )
    if "stage" in task:
        policy = shortened(policy, task["stage"])
    options = {"augmentation": policy, "batch_size": task["batch_size"], "seed": 0}
    if task["source"] == "arrays":
        dataset = kc.data.views_from_arrays(np.load(task["path"]), **options)
    else:
        dataset = kc.data.views_from_directory(task["path"], labels=False, **options)
    while True:
        for (views,) in dataset:
            yield views


def shortened(policy, stage):
    """The policy with the operations `[:stage]` of each view.

    With none of them the views are the centre of the image: what is left is reading,
    decoding and batching.
    """
    if stage:
        return kc.layers.Views([branch[:stage] for branch in policy.branches])
    height, width = policy.branches[0][0].size

    def centre(images):
        top = (tf.shape(images)[1] - height) // 2
        left = (tf.shape(images)[2] - width) // 2
        images = images[:, top : top + height, left : left + width]
        images = tf.cast(tf.ensure_shape(images, (None, height, width, 3)), tf.float32)
        return images, images

    return centre


if __name__ == "__main__":
    versions = {
        "keras_contrastive": kc.__version__,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
    }
    protocol.serve(batches, versions, protocol.describe)

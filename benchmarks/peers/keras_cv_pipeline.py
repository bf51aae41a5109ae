"""keras-cv's own layers in `tf.data`.

Differences that its layers leave: the aspect ratio of the crop is uniform, not
log-uniform; brightness is added, not multiplied; the order of the jitter is fixed.
"""

import keras
import keras_cv
import protocol
import tensorflow as tf
import tf_source


def batches(task):
    layers = keras_cv.layers
    size = task["size"]
    operations = [
        layers.RandomCropAndResize(
            (size, size), tuple(task["area"]), tuple(task["aspect_ratio"])
        ),
        layers.RandomFlip("horizontal", task["flip_probability"]),
        layers.RandomApply(
            layers.RandomColorJitter(**tf_source.jitter(task)),
            task["jitter_probability"],
        ),
        layers.RandomApply(
            layers.Grayscale(output_channels=3), task["gray_probability"]
        ),
        layers.RandomApply(
            layers.RandomGaussianBlur(task["kernel_size"], tuple(task["sigma"])),
            task["blur_probability"],
        ),
    ]
    return tf_source.view_pairs(task, tf_source.in_turn(operations))


if __name__ == "__main__":
    versions = {
        "keras_cv": keras_cv.__version__,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
    }
    protocol.serve(batches, versions, protocol.describe)

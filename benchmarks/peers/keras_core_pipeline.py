"""The layers of Keras itself in `tf.data`: less than the full policy.

Keras has no random resized crop: a RandomCrop of 73 % of the shorter side (the root of
the mean area 0.54) and a Resizing stand in for it. Place of the crop and sigma of the
blur are drawn once per batch. The jitter cannot be left out for some images, so it
always applies; brightness is added, and its order is fixed.
"""

import keras
import protocol
import tensorflow as tf
import tf_source


def batches(task):
    layers = keras.layers
    size, blur = task["size"], task["blur_probability"]
    side = round(0.73 * task["source_size"][0])
    operations = [
        layers.RandomCrop(side, side),
        layers.Resizing(size, size),
        layers.RandomFlip("horizontal"),
        layers.RandomColorJitter(**tf_source.jitter(task)),
        layers.RandomGrayscale(task["gray_probability"]),
        layers.RandomGaussianBlur(
            (blur, blur), task["kernel_size"], tuple(task["sigma"])
        ),
    ]
    return tf_source.view_pairs(task, tf_source.in_turn(operations))


if __name__ == "__main__":
    versions = {"keras": keras.__version__, "tensorflow": tf.__version__}
    protocol.serve(batches, versions, protocol.describe)

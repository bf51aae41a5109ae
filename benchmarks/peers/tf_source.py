"""Batches of raw images as the guides of Keras and tf.data build them."""

import numpy as np
import tensorflow as tf


def view_pairs(task, augment):
    """Endless pairs of views.

    Shuffled, decoded in parallel, batched, then augmented a batch at a time in
    parallel, and prefetched.

    Args:
        task: See `Contender`.
        augment: Function from a batch of images to one view of each.
    """
    if task["source"] == "arrays":
        images = tf.data.Dataset.from_tensor_slices(np.load(task["path"]))
        images = images.shuffle(10 * task["batch_size"])
    else:
        images = tf.data.Dataset.list_files(task["path"] + "/*/*.jpg", shuffle=True)
        images = images.map(decode, tf.data.AUTOTUNE)
    pairs = (
        images.batch(task["batch_size"], drop_remainder=True)
        .map(lambda x: (augment(x), augment(x)), tf.data.AUTOTUNE)
        .prefetch(tf.data.AUTOTUNE)
    )
    while True:
        yield from pairs


def jitter(task):
    """Arguments of the RandomColorJitter of keras-cv, and of Keras.

    Their saturation factor f multiplies by f / (1 - f); their hue shift is half the
    factor.
    """
    brightness, contrast, saturation, hue = (
        task["strength"] * value for value in task["jitter"]
    )
    low, high = max(0, 1 - saturation), 1 + saturation
    return {
        "value_range": (0, 255),
        "brightness_factor": brightness,
        "contrast_factor": contrast,
        "saturation_factor": (low / (1 + low), high / (1 + high)),
        "hue_factor": 2 * hue,
    }


def in_turn(layers):
    """Function that applies layers one after the other."""

    def augment(images):
        images = tf.cast(images, tf.float32)
        for layer in layers:
            images = layer(images, training=True)
        return images

    return augment


def decode(path):
    image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
    return tf.ensure_shape(image, (400, 500, 3))

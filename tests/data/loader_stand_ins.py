"""Tiny images and augmentations whose effect can be read off the views."""

import keras
import numpy as np
import tensorflow as tf


class Jitter(keras.layers.Layer):
    """Two views: the images plus one seeded random number per image and view."""

    def call(self, images, seed):
        images = tf.cast(images, tf.float32)
        shape = (tf.shape(images)[0], 1, 1, 1)
        return tuple(
            images
            + tf.random.stateless_uniform(
                shape, tf.random.experimental.stateless_fold_in(seed, number)
            )
            for number in range(2)
        )


class Shrink(keras.layers.Layer):
    """Two equal views of 2x2 pixels: any image size in, one size out."""

    def call(self, images):
        small = tf.image.resize(tf.cast(images, tf.float32), (2, 2))
        return small, small


def numbered_images(count, size=4, channels=3):
    """uint8 images; all pixels of image i are i."""
    images = np.arange(count, dtype=np.uint8)[:, None, None, None]
    return np.tile(images, (1, size, size, channels))


def one_pass(dataset):
    """(views_1, views_2, labels) of a whole pass, labels None without."""
    elements = list(dataset)
    views = [
        np.concatenate([element[0][v].numpy() for element in elements])
        for v in range(len(elements[0][0]))
    ]
    if len(elements[0]) == 1:
        return (*views, None)
    return (*views, np.concatenate([element[1].numpy() for element in elements]))


def numbers(view):
    """Which numbered images a view shows (jitter is below 1)."""
    return np.floor(view[:, 0, 0, 0]).astype(int)

"""Policies that begin with a crop: cut while decoding, the rest on whole batches."""

from typing import TypeGuard

import tensorflow as tf

from keras_contrastive.image_headers import read_header
from keras_contrastive.image_io import decode, decode_jpeg_part, upright_size
from keras_contrastive.layers.random_resized_crop import RandomResizedCrop
from keras_contrastive.layers.views import Views, layer_seeds


class CropFirst:
    """A `Views` policy in two steps: the crops of one image, then all the rest.

    `crops` takes one image of any size. `rest` takes batches, for after the crop all
    images have one size. With one key and a batch of one image both together give
    what `policy(images, key)` gives, to the rounding of float32.

    Of a JPEG only the smallest window that holds the crops of all views is decoded,
    once. One window for each of two views takes 1.4 times as long (500x400 pixels):
    each covers about half of the image, and what is compressed in front of a window
    has to be read in any case.

    Args:
        policy: A policy for which `begins_with_crop` is true.
        channels: 1 or 3, for encoded images.
    """

    def __init__(self, policy: Views, channels: int):
        self._policy = policy
        self._channels = channels

    def crops(self, content, key):
        """The crop of each view, resized and flipped.

        Args:
            content: The bytes of an image file, or `(height, width, channels)`.
            key: int32 of shape (2,).

        Returns:
            Tuple of float32 `(*size, channels)`, one for each view.
        """
        if content.dtype != tf.string:
            return self._from_image(content, key)
        header = read_header(content)
        return tf.cond(
            _is_whole_jpeg(content),
            lambda: self._from_jpeg(header, key),
            lambda: self._from_image(decode(header, self._channels), key),
        )

    def rest(self, crops, key):
        """The views of a batch: all layers behind the crop.

        Args:
            crops: Tuple of float32 `(batch, *size, channels)`, one for each view.
            key: int32 of shape (2,).

        Returns:
            Tuple of float32 `(batch, *size, channels)`.
        """
        return tuple(
            self._policy.run(view, images, key, first=1)
            for view, images in enumerate(crops)
        )

    def _from_image(self, image, key):
        return self._cut(image, *self._draw(tf.shape(image), key))

    def _from_jpeg(self, header, key):
        shape = upright_size(header)
        boxes, flips = self._draw(shape, key)
        # One pixel more on each side: at its edges a decoder interpolates halved
        # colour channels differently. With it every pixel of the crops is exact.
        start = tf.maximum(tf.reduce_min(boxes[:, :2], axis=0) - 1, 0)
        end = tf.reduce_max(boxes[:, :2] + boxes[:, 2:], axis=0) + 1
        size = tf.minimum(end, shape) - start
        image = decode_jpeg_part(header, tf.concat([start, size], 0), self._channels)
        return self._cut(image, boxes - tf.concat([start, (0, 0)], 0), flips)

    def _draw(self, shape, key):
        """Boxes (top, left, height, width), int32 `(views, 4)`, and flips."""
        # `draw` looks at the shape alone, and no channels take no memory.
        images = tf.zeros([1, shape[0], shape[1], 0])
        drawn = [
            branch[0].draw(layer_seeds(key, view)(0), images)
            for view, branch in enumerate(self._policy.branches)
        ]
        sides = ("top", "left", "height", "width")
        boxes = tf.stack([tf.stack([t[side][0] for side in sides]) for t in drawn])
        return tf.cast(boxes, tf.int32), [t["flip"][0] for t in drawn]

    def _cut(self, image, boxes, flips):
        """What `RandomResizedCrop` does, by operations that are fast for one image."""
        crops = []
        for view, (branch, flip) in enumerate(
            zip(self._policy.branches, flips, strict=True)
        ):
            top, left, height, width = tf.unstack(boxes[view])
            crop = image[top : top + height, left : left + width]
            crop = tf.image.resize(crop, branch[0].size)
            crop = _flipped(crop, flip)
            crops.append(tf.ensure_shape(crop, (*branch[0].size, image.shape[-1])))
        return tuple(crops)


def begins_with_crop(augmentation) -> TypeGuard[Views]:
    """Whether all views of a policy begin with `RandomResizedCrop`."""
    # Exact types: a subclass may do something else to the images.
    return type(augmentation) is Views and all(
        type(branch[0]) is RandomResizedCrop for branch in augmentation.branches
    )


def _flipped(image, flip):
    return tf.cond(flip, lambda: tf.reverse(image, [1]), lambda: image)


def _is_whole_jpeg(content):
    # One that ends early must be noticed also where its crops lie before the end, so
    # it is decoded to the end. The same for one with something behind its end.
    padded = tf.strings.join([b"\0\0", content])  # `substr` wants two characters
    return tf.logical_and(
        tf.equal(tf.strings.substr(content, 0, 3), b"\xff\xd8\xff"),
        tf.equal(tf.strings.substr(padded, -2, 2), b"\xff\xd9"),
    )

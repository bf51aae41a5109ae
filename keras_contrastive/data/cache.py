"""What a loader keeps in memory between epochs."""

import numpy as np
import tensorflow as tf

from keras_contrastive.data.bad_examples import BadExamples
from keras_contrastive.data.diagnosis import Diagnosis
from keras_contrastive.data.options import Options
from keras_contrastive.data.source import Source
from keras_contrastive.image_io import decode_image, resize_and_center_crop

PARALLEL = {"num_parallel_calls": tf.data.AUTOTUNE, "deterministic": True}


class Cache:
    """What of a source is kept in memory, and what is left to do per epoch.

    `records` is what an epoch starts from: `(index, (record,))` or
    `(index, (record, label))`. `read` makes of one such record the bytes of a file,
    or an image where the source or the cache holds images; `load` makes an image.
    """

    def __init__(self, source: Source, options: Options, bad: BadExamples):
        self._source = source
        self._options = options
        self._bad = bad
        self._seen = np.zeros(source.size, bool)
        self.in_memory = options.cache_encoded or options.cache_decoded
        self.records = source.numbered(options.worker, options.workers)
        self.diagnosis = Diagnosis(source, self.records)
        if options.cache_decoded:
            self._keep(lambda record: self._decode(self._read(record)))
            self.read = self.load = tf.identity
        elif options.cache_encoded:
            self._keep(self._read)
            self.read, self.load = tf.identity, self._decode
        else:
            self.read = self._read
            self.load = lambda record: self._decode(self._read(record))

    def indices(self):
        """Dataset of the indices that `records` gives, without the records."""
        if not self.in_memory:
            return self.diagnosis.indices
        return tf.data.Dataset.from_tensor_slices(np.flatnonzero(self._seen))

    def filled(self, epoch):
        """`epoch`, after everything to be kept in memory is there.

        `Dataset.cache` keeps nothing unless it has been read to its end, and an
        epoch that drops a remainder never gets there.
        """
        if not self.in_memory:
            return epoch
        filled = False

        def is_filled():
            return np.bool_(filled)

        def see(indices):
            self._seen[indices] = True
            return np.int64(0)

        def end():
            nonlocal filled
            filled = True
            if self._seen.sum() < self._source.size // self._options.workers:
                self._bad.add(self.diagnosis.missing(self._seen))
            return np.int64(0)

        def fill():
            indices = self.records.map(lambda index, record: index).batch(1024)
            indices = indices.map(lambda i: tf.numpy_function(see, [i], tf.int64))
            with tf.control_dependencies([indices.reduce(np.int64(0), tf.add)]):
                return tf.numpy_function(end, [], tf.int64)

        ready = tf.numpy_function(is_filled, [], tf.bool)
        count = tf.cond(ready, lambda: tf.zeros((), tf.int64), fill)
        with tf.control_dependencies([count]):
            return tf.identity(epoch)

    def _read(self, record):
        return tf.io.read_file(record) if self._source.is_path else record

    def _decode(self, record):
        if self._source.is_encoded:
            image = decode_image(record, self._options.channels)
            if self._options.image_size is None:
                height, width = self._source.image_shape
                image = tf.ensure_shape(image, (height, width, None))
        else:
            image = record
        if self._options.image_size is not None:
            image = resize_and_center_crop(image, self._options.image_size)
        return image

    def _keep(self, function):
        @tf.autograph.experimental.do_not_convert
        def make(index, record):
            image_or_bytes, *label = record
            return index, (function(image_or_bytes), *label)

        self.records = self.records.map(make, **PARALLEL).ignore_errors().cache()

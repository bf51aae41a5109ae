"""From single examples, encoded or decoded, to batches of views."""

import functools

import numpy as np
import tensorflow as tf

from keras_contrastive.data.array_checks import HIGHEST, LOWEST
from keras_contrastive.data.bad_examples import BadExamples, Diagnosis, Replay, watch
from keras_contrastive.data.epochs import (
    PARALLEL,
    Epochs,
    finished,
    order_key,
    play,
    shuffled,
    view_key,
)
from keras_contrastive.data.options import Options
from keras_contrastive.data.source import Source
from keras_contrastive.data.view_maker import ViewMaker
from keras_contrastive.image_io import decode_image, resize_and_center_crop


def views_from_source(source: Source, options: Options) -> tf.data.Dataset:
    """Return the dataset that `views_from_directory`, `_tfds` and `_dataset` return.

    A pass: records in the order of the epoch (the source may raise, but not for ever)
    -> decoded (in parallel, which may fail as well; of floats those outside of
    [0, 255], NaN too, are left out) -> the first `steps * batch` that succeeded ->
    batches -> views (in parallel). Images of different sizes are cropped one by one,
    before batching, if that is what the policy begins with; by any other policy they
    get their views then.
    """
    options.channels = options.channels or 3
    if source.is_encoded and source.decode is None and options.channels not in (1, 3):
        raise ValueError(
            "`channels` must be 1 or 3 for encoded images other than TIFF files. "
            f"Received: channels={options.channels}."
        )
    size = source.size // options.workers
    steps = options.steps(size, source.name)
    batch = options.local_batch_size
    wanted = steps * batch if options.drop_remainder else size
    same_size = options.image_size is not None or None not in source.image_shape
    if options.augmentation is None and not same_size:
        raise ValueError(
            f"The images of {source.name} can have different sizes, and raw images "
            "make a batch only if they have one. Received: augmentation=None, "
            "image_size=None. Pass image_size=(height, width), or an augmentation."
        )
    bad = BadExamples(source.name, options.on_error == "raise", source.remedy)
    cached = Cache(source, options, bad)
    make_views = ViewMaker(options.augmentation)
    crop_first = None
    if not same_size and options.augmentation is not None:
        from keras_contrastive.data.crop_first import CropFirst, begins_with_crop

        if begins_with_crop(options.augmentation):
            crop_first = CropFirst(options.augmentation, options.channels)

    def order(epoch, records):
        if not options.shuffle:
            return records
        key = order_key(options.seed, epoch)
        # Caches hold what they shuffle in memory anyway: no smaller buffer.
        buffer_size = size if cached.in_memory else min(size, source.shuffle_buffer)
        return shuffled(records, buffer_size, key)

    def twice(epoch, records):
        """The order of the epoch, and the same again to stand in for bad examples.

        The second costs nothing while nobody asks for it. No batch then holds an image
        twice, unless fewer can be read than make a batch.
        """
        # `concatenate` would take an error at the seam for the end.
        return tf.data.Dataset.range(2).flat_map(lambda _: order(epoch, records))

    def examples(epoch):
        epoch = cached.filled(epoch)
        records = twice(epoch, cached.records).enumerate()
        return play(epoch, records.filter(is_in_range) if source.is_float else records)

    def is_in_range(position, record):
        image = record[1][0]  # NaN is not in it either
        return tf.reduce_all((image >= LOWEST) & (image <= HIGHEST))

    @tf.autograph.experimental.do_not_convert
    def load(epoch, numbered):
        position, (index, (record, *label)) = numbered
        key = view_key(options.seed, epoch, position, options.worker)
        if same_size:
            images = cached.load(record)
        elif crop_first:
            images = crop_first.crops(cached.read(record), key)
        else:
            images = make_views.single(cached.load(record), key)
        return epoch, position, (images, index, *label)

    @tf.autograph.experimental.do_not_convert
    def augment(epoch, step, element):
        images, ids, *labels = element
        key = view_key(options.seed, epoch, step, options.worker)
        if same_size:
            images = make_views(images, key)
        elif crop_first:
            images = crop_first.rest(images, key)
        return epoch, options.element(images, ids, *labels)

    replayed = Epochs()

    @functools.cache
    def replay():
        """The order of an epoch, with indices in the place of records."""
        indices = cached.indices()
        return replayed.dataset().flat_map(lambda epoch: twice(epoch, indices))

    @functools.lru_cache(maxsize=2)
    def replay_of(epoch):
        replayed.next = epoch  # read when the replay begins, at the first gap
        return Replay(replay())

    def on_gap(epoch, first, numbers):
        missing = np.setdiff1d(np.arange(first, numbers[-1]), numbers)
        replay = replay_of(epoch)
        bad.add(cached.diagnosis.name(replay[position] for position in missing))

    epochs = Epochs()
    dataset = epochs.dataset().flat_map(examples).map(load, **PARALLEL)
    make_views.check()
    dataset = _or_give_up(
        dataset.ignore_errors(), lambda: bad.give_up(cached.diagnosis.first)
    )
    dataset = dataset.take(wanted).batch(batch, options.drop_remainder)
    dataset = dataset.map(lambda epoch, positions, e: (epoch[0], positions, e))
    dataset = watch(dataset, on_gap).map(augment, **PARALLEL)
    make_views.check()
    return finished(dataset, epochs, steps, options, on_end=bad.warn)


def images_from_source(source: Source, options: Options) -> tf.data.Dataset:
    """Return the dataset that `images_from_directory` and `_tfds` return."""
    check_one_size(source, options)
    dataset = views_from_source(source, options)

    @tf.autograph.experimental.do_not_convert
    def alone(images, *labels):
        return (*images, *labels) if labels else images[0]

    return dataset.map(alone)


def check_one_size(source: Source, options: Options):
    """Refuse images that make no batch."""
    if options.image_size is None and None in source.image_shape:
        raise ValueError(
            "`image_size` must be given: a batch holds images of one size, and those "
            f"of {source.name} can differ. Received: image_size=None. Pass the side, "
            "or (height, width), of the encoder's input."
        )


def _or_give_up(dataset, raises):
    """Return `dataset`, which raises where more is asked for than it has."""
    spec = dataset.element_spec

    def give_up(_):
        called = tf.numpy_function(raises, [], tf.int64)
        with tf.control_dependencies([called]):
            return tf.nest.map_structure(tf.identity, _empty(spec))

    return dataset.concatenate(tf.data.Dataset.range(1).map(give_up))


def _empty(spec):
    """Return zeros (empty strings) that fit an element spec."""
    return tf.nest.map_structure(
        lambda s: tf.zeros([n or 1 for n in s.shape], s.dtype), spec
    )


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
        if source.decode is not None:  # no part of such a file is decoded alone
            self.read = self.load

    def indices(self):
        """Return a dataset of the indices that `records` gives, without the records."""
        if not self.in_memory:
            return self.diagnosis.indices
        return tf.data.Dataset.from_tensor_slices(np.flatnonzero(self._seen))

    def filled(self, epoch):
        """Return `epoch` after everything to be kept in memory is there.

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
            if self._source.decode is None:
                image = decode_image(record, self._options.channels)
            else:
                image = self._source.decode(record)
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

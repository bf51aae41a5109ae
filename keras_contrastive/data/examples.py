"""From single examples, encoded or decoded, to batches of views."""

import functools

import numpy as np
import tensorflow as tf

from keras_contrastive.data.array_checks import HIGHEST, LOWEST
from keras_contrastive.data.bad_examples import BadExamples, watch
from keras_contrastive.data.cache import PARALLEL, Cache
from keras_contrastive.data.crop_first import CropFirst, begins_with_crop
from keras_contrastive.data.diagnosis import Replay
from keras_contrastive.data.epochs import Epochs
from keras_contrastive.data.options import Options
from keras_contrastive.data.pipeline import finished, play
from keras_contrastive.data.seeds import order_key, shuffled, view_key
from keras_contrastive.data.source import Source
from keras_contrastive.data.views import ViewMaker


def views_from_source(source: Source, options: Options) -> tf.data.Dataset:
    """The dataset that `views_from_directory`, `_tfds` and `_dataset` return.

    A pass: records in the order of the epoch (the source may raise, but not for ever)
    -> decoded (in parallel, which may fail as well; of floats those outside of
    [0, 255], NaN too, are left out) -> the first `steps * batch` that succeeded ->
    batches -> views (in parallel). Images of different sizes are cropped one by one,
    before batching, if that is what the policy begins with; by any other policy they
    get their views then.
    """
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
    if not same_size and begins_with_crop(options.augmentation):
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

    @functools.lru_cache(maxsize=2)
    def replay_of(epoch):
        """The order of an epoch, with indices in the place of records."""
        indices = cached.indices()
        replay = tf.data.Dataset.from_tensors(np.int64(epoch)).flat_map(
            lambda e: twice(e, indices)
        )
        return Replay(replay)

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


def _or_give_up(dataset, raises):
    """`dataset`, and an error for who asks for more than it has."""
    spec = dataset.element_spec

    def give_up(_):
        called = tf.numpy_function(raises, [], tf.int64)
        with tf.control_dependencies([called]):
            return tf.nest.map_structure(tf.identity, _empty(spec))

    return dataset.concatenate(tf.data.Dataset.range(1).map(give_up))


def _empty(spec):
    """Zeros (empty strings) that fit an element spec."""
    return tf.nest.map_structure(
        lambda s: tf.zeros([n or 1 for n in s.shape], s.dtype), spec
    )

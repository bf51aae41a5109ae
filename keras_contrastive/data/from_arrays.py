"""`views_from_arrays`: two-view batches from images in memory."""

import tensorflow as tf

from keras_contrastive.data.array_checks import checked_images, checked_labels
from keras_contrastive.data.epochs import Epochs
from keras_contrastive.data.options import Options
from keras_contrastive.data.pipeline import finished, play
from keras_contrastive.data.seeds import order_key, view_key
from keras_contrastive.data.views import ViewMaker
from keras_contrastive.image_io import resize_and_center_crop


def views_from_arrays(
    x,
    y=None,
    *,
    augmentation,
    batch_size: int = 256,
    seed: int | None = None,
    shuffle: bool = True,
    drop_remainder: bool = True,
    image_size: int | tuple[int, int] | None = None,
    channels: int = 3,
    cache_encoded: bool = False,
    cache_decoded: bool = False,
    on_error: str = "replace",
    input_context: tf.distribute.InputContext | None = None,
    with_ids: bool = False,
) -> tf.data.Dataset:
    """Batches of views from arrays.

    One pass is one epoch of known length (`len(dataset)`), in a new full shuffle
    each time. A whole batch is augmented at once, batches in parallel and in a
    fixed order. The images are copied once, into a tensor that all epochs share.

    Args:
        x: Images in [0, 255], shape `(n, height, width, channels)`: uint8, other
            integers (stored as uint8) or floats (stored as float32).
        y: Labels, integers of shape `(n,)` or `(n, 1)`; -1 for an example without
            one. `None`: no labels at all.
        augmentation: Layer or function from a batch of images to a tuple of views,
            for example `kc.augmentations.simclr(32)`. If its call has a `seed`
            argument it gets an int32 tensor of shape (2,) and must draw from it
            alone; a foreign layer without one (those of keras-cv) is called with
            the images only, and its views are then not repeatable, because batches
            are made in parallel. `None`: the images as they are, for an
            augmentation inside the model.
        batch_size: Examples per batch. With `input_context` of all replicas together.
        seed: Integer >= 0. Order and views of epoch `e` depend on `(seed, e)` alone,
            whatever the parallelism; see `set_epoch`. `None`: a seed from Python's
            `random`, which `keras.utils.set_random_seed` fixes.
        shuffle: Whether to shuffle anew in every epoch.
        drop_remainder: Whether to leave out the last, smaller batch of an epoch.
            Contrastive losses and queues want batches of one size.
        image_size: Side, or `(height, width)`, to which images are brought before
            the augmentation: largest centred part of that aspect ratio, resized with
            antialiasing. `None`: as they are.
        channels: 1 or 3, for files; arrays keep what they have.
        cache_encoded: For files; arrays are in memory as they are.
        cache_decoded: For files; arrays are in memory as they are.
        on_error: For files; arrays have nothing to decode.
        input_context: From `strategy.distribute_datasets_from_function`. Every worker
            then reads its own share, and batches are those of one replica.
        with_ids: Whether to yield the number of each example too, from 0 on: its place
            in `x`, the same in every epoch, for methods that remember every example.

    Returns:
        Dataset of `((view_1, view_2), labels)`, without `y` of `((view_1, view_2),)`;
        with `augmentation=None` of `((images,), labels)` or `((images,),)`. With ids,
        a dict is in the place of the labels: `{"label": labels, "id": ids}`, without
        `y` `{"id": ids}`. Labels and ids are int64 of shape `(batch_size,)`.

    Raises:
        ValueError: if the images are not a rank-4 numeric array of finite values in
            [0, 255] (and not of [0, 1]), if labels are no integers or not as many
            as images, if there are fewer images than `batch_size`, or if the
            augmentation does not return a tuple of views.

    Example:
        >>> (x, y), _ = kc.data.load_sample()
        >>> policy = kc.augmentations.simclr(28)
        >>> dataset = kc.data.views_from_arrays(x, y, augmentation=policy, seed=0)
        >>> (view_1, view_2), labels = next(iter(dataset))
        >>> len(dataset), labels.shape
        (39, TensorShape([256]))
    """
    options = Options(
        augmentation=augmentation,
        batch_size=batch_size,
        seed=seed,
        shuffle=shuffle,
        drop_remainder=drop_remainder,
        image_size=image_size,
        channels=channels,
        cache_encoded=cache_encoded,
        cache_decoded=cache_decoded,
        on_error=on_error,
        input_context=input_context,
        with_ids=with_ids,
    )
    images = checked_images(x)
    labels = None if y is None else checked_labels(y, len(images))
    size = len(images) // options.workers
    steps = options.steps(size, "`x`")
    batch = options.local_batch_size

    # On the CPU even where a GPU is the default: tf.data reads it from there.
    with tf.device("CPU:0"):
        images = tf.constant(images)
        labels = None if labels is None else tf.constant(labels)

    def batches(epoch):
        order = tf.range(images.shape[0], dtype=tf.int64)
        if options.shuffle:
            key = order_key(options.seed, epoch)
            order = tf.random.experimental.stateless_shuffle(order, key)
        order = order[options.worker :: options.workers][:size]
        indices = tf.data.Dataset.from_tensor_slices(order)
        indices = indices.batch(batch, options.drop_remainder).take(steps)
        return play(epoch, indices.enumerate())

    make_views = ViewMaker(options.augmentation)

    @tf.autograph.experimental.do_not_convert
    def load(epoch, numbered):
        step, indices = numbered
        chosen = tf.gather(images, indices)
        if options.image_size is not None:
            chosen = resize_and_center_crop(chosen, options.image_size)
        key = view_key(options.seed, epoch, step, options.worker)
        label = () if labels is None else (tf.gather(labels, indices),)
        return epoch, options.element(make_views(chosen, key), indices, *label)

    epochs = Epochs()
    dataset = epochs.dataset().flat_map(batches)
    dataset = dataset.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    make_views.check()
    return finished(dataset, epochs, steps, options)

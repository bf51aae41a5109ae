"""Images in memory: batches of views to train on, or of images for evaluation."""

import tensorflow as tf

from keras_contrastive.data.array_checks import checked_images, checked_labels
from keras_contrastive.data.epochs import (
    PARALLEL,
    Epochs,
    finished,
    order_key,
    play,
    view_key,
)
from keras_contrastive.data.options import Options, plain, takes_options
from keras_contrastive.data.view_maker import ViewMaker
from keras_contrastive.image_io import resize_and_center_crop


@takes_options
def views_from_arrays(
    x,
    y=None,
    *,
    options: Options,
) -> tf.data.Dataset:
    """Return batches of views from arrays.

    One pass is one epoch of known length (`len(dataset)`), in a new full shuffle
    each time. A whole batch is augmented at once, batches in parallel and in a
    fixed order. The images are copied once, into a tensor that all epochs share.

    Args:
        x: Images in [0, 255], shape `(n, height, width, channels)` with any number of
            channels: uint8, other integers (stored as uint8) or floats (stored as
            float32). Those of uint16 are divided by 257 and stored as float32, see
            `value_range`.
        y: Labels, integers of shape `(n,)` or `(n, 1)`; -1 for an example without
            one. `None`: no labels at all.
        options: Keywords of `Options`.

    Returns:
        Dataset of `((view_1, view_2), labels)`, without `y` of `((view_1, view_2),)`;
        with `augmentation=None` of `((images,), labels)` or `((images,),)`. With ids,
        a dict is in the place of the labels: `{"label": labels, "id": ids}`, without
        `y` `{"id": ids}`. Labels and ids are int64 of shape `(batch_size,)`.

    Raises:
        ValueError: If the images are not a rank-4 numeric array of finite values in
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
    images = checked_images(x, options.value_range)
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
    dataset = dataset.map(load, **PARALLEL)
    make_views.check()
    return finished(dataset, epochs, steps, options)


def images_from_arrays(
    x,
    y=None,
    *,
    image_size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    batch_size: int = 256,
    value_range: tuple[float, float] | None = None,
) -> tf.data.Dataset:
    """Return images in memory in batches, for evaluation, made to fit an encoder.

    Args:
        x: Images in [0, 255], as in `views_from_arrays`.
        y: Labels, as in `views_from_arrays`; `None`: no labels.
        image_size: As in `images_from_directory`; `None`: as they are.
        channels: 3 repeats gray images, 1 takes the luminance of colour images;
            `None`: as they are.
        batch_size: Images per batch; the last one may be smaller.
        value_range: As in `views_from_arrays`.

    Returns:
        Finite dataset of `(images, labels)`, or of `images` without `y`: uint8 or
        float32 `(batch, height, width, channels)` in [0, 255], int64 `(batch,)`. Its
        attribute `class_names` is None.

    Raises:
        ValueError: as in `views_from_arrays`; images of other than 1 or 3 channels
            that are to have another number of them.

    Example:
        >>> _, (x, y) = kc.data.load_sample()
        >>> images = kc.data.images_from_arrays(x, y, image_size=32, channels=3)
        >>> next(iter(images))[0].shape
        TensorShape([256, 32, 32, 3])
    """
    options = plain(image_size, channels, batch_size)
    x = checked_images(x, value_range)
    if channels not in (None, x.shape[-1]) and {channels, x.shape[-1]} != {1, 3}:
        raise ValueError(
            "`channels` can be changed from 1 to 3 and back only. Received: "
            f"channels={channels}, x.shape={x.shape}. Choose channels of `x` first, "
            "for example x[..., :3]."
        )
    parts = (x,) if y is None else (x, checked_labels(y, len(x)))

    @tf.autograph.experimental.do_not_convert
    def fit(images, *labels):
        if channels == 3 and images.shape[-1] == 1:
            images = tf.image.grayscale_to_rgb(images)
        elif channels == 1 and images.shape[-1] == 3:
            images = tf.image.rgb_to_grayscale(images)
        if options.image_size is not None:
            images = resize_and_center_crop(images, options.image_size)
        return (images, *labels) if labels else images

    # On the CPU even where a GPU is the default: tf.data reads it from there.
    with tf.device("CPU:0"):
        dataset = tf.data.Dataset.from_tensor_slices(parts)
    dataset = dataset.batch(options.batch_size).map(fit, **PARALLEL)
    dataset = dataset.prefetch(tf.data.AUTOTUNE)
    dataset.class_names = None
    return dataset

import numpy as np
import pytest
import tensorflow as tf
from loader_stand_ins import Jitter, Shrink, numbered_images, numbers, one_pass

import keras_contrastive.data as data

X, Y = numbered_images(10), np.arange(10)
ARRAYS = tf.data.Dataset.from_tensor_slices((X, Y))


def views(dataset=ARRAYS, **options):
    options = {"augmentation": Jitter(), "batch_size": 4, "seed": 3} | options
    return data.views_from_dataset(dataset, **options)


def test_decoded_images_and_labels():
    view_1, view_2, labels = one_pass(views())
    np.testing.assert_array_equal(numbers(view_1), labels)
    np.testing.assert_array_equal(numbers(view_2), labels)
    assert labels.dtype == np.int64 and len(set(labels)) == 8


@pytest.mark.parametrize("buffer", [None, 3])
def test_order_and_views_depend_on_seed_and_epoch_alone(buffer):
    dataset = views(shuffle_buffer=buffer)
    epochs = [one_pass(dataset)[0] for _ in range(2)]
    tf.random.set_seed(0)  # the global seed has no say
    other = views(shuffle_buffer=buffer)
    data.set_epoch(other, 1)
    np.testing.assert_array_equal(one_pass(other)[0], epochs[1])
    assert not np.array_equal(*map(numbers, epochs))


def test_forms_of_elements():
    images = ARRAYS.map(lambda x, y: x)
    assert one_pass(views(images))[2] is None
    assert one_pass(views(images.map(lambda x: (x,))))[2] is None
    named = ARRAYS.map(lambda x, y: {"image": x, "label": y[None], "other": x})
    np.testing.assert_array_equal(
        one_pass(views(named, shuffle=False))[2], np.arange(8)
    )
    assert one_pass(views(named, label_key=None))[2] is None
    floats = ARRAYS.map(lambda x, y: (tf.cast(x, tf.float64), y))
    (raw,), _ = next(iter(views(floats, augmentation=None)))
    assert raw.dtype == tf.float32


def test_encoded_images_of_any_size_and_bad_ones():
    encoded = [tf.io.encode_png(image).numpy() for image in X]
    encoded[4] = b"rubbish"
    dataset = tf.data.Dataset.from_tensor_slices((encoded, Y))
    options = {"augmentation": Shrink(), "batch_size": 5}
    with pytest.warns(UserWarning, match="1 unreadable image.*\n  example 4"):
        view, _, labels = one_pass(views(dataset, **options))
    assert len(view) == 10 and 4 not in labels
    np.testing.assert_array_equal(numbers(view), labels)
    with pytest.raises(tf.errors.OpError, match="example 4"):
        one_pass(views(dataset, on_error="raise", **options))


def generated(fails, count=40, encoded=False):
    """A dataset from a generator that raises in the place of one example."""

    def images():
        for i in range(count):
            if i == fails:
                raise ValueError(f"boom at {i}")
            yield tf.io.encode_png(image(i)).numpy() if encoded else image(i), i

    def image(i):
        return np.full((4, 4, 3), i, np.uint8)

    spec = (
        tf.TensorSpec((), tf.string) if encoded else tf.TensorSpec((4, 4, 3), "uint8")
    )
    signature = (spec, tf.TensorSpec((), tf.int64))
    return tf.data.Dataset.from_generator(images, output_signature=signature)


@pytest.mark.parametrize("encoded", [False, True])
def test_a_generator_that_raises_is_quoted(encoded):
    dataset = generated(35, encoded=encoded)
    options = {"augmentation": Shrink(), "num_examples": 40, "batch_size": 8}
    text = "example 35: ValueError: boom at 35"
    warned = pytest.warns(UserWarning, match=f"5 unreadable image.*\\n  {text}")
    for cached in (False, True):
        with warned:
            view, _, labels = one_pass(views(dataset, cache_decoded=cached, **options))
        assert len(labels) == 40 and set(labels) == set(range(35))
        np.testing.assert_array_equal(numbers(view), labels)
    with pytest.raises(tf.errors.OpError, match=text):
        one_pass(views(dataset, on_error="raise", **options))


def test_one_element_that_raises_and_damaged_tfrecords(tmp_path):
    def broken(x, y):
        tf.debugging.Assert(y != 4, ["no four"])
        return x, y

    text = "1 unreadable image.*\n  example 4: .*no four"
    with pytest.warns(UserWarning, match=text):
        labels = one_pass(views(ARRAYS.map(broken), batch_size=5))[2]
    assert len(labels) == 10 and set(labels) == set(range(10)) - {4}

    path = tmp_path / "own.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for image in X:
            writer.write(tf.io.encode_png(image).numpy())
    content = bytearray(path.read_bytes())
    content[len(content) * 3 // 4] ^= 1
    path.write_bytes(content)
    records = tf.data.TFRecordDataset(str(path)).map(lambda x: (x, tf.constant(1)))
    options = {"num_examples": 10, "augmentation": Shrink(), "batch_size": 5}
    text = "example 7: corrupted record .*own.tfrecord: corrupted record at"
    with pytest.warns(UserWarning, match=f"3 unreadable image.*\\n  {text}"):
        one_pass(views(records, **options))
    with pytest.raises(tf.errors.OpError, match=text):
        one_pass(views(records, on_error="raise", **options))


def test_length_must_be_known():
    unknown = ARRAYS.filter(lambda x, y: y < 9)
    with pytest.raises(ValueError, match="Pass num_examples="):
        views(unknown)
    assert len(one_pass(views(unknown, num_examples=9, drop_remainder=False))[0]) == 9
    assert len(views(ARRAYS.repeat(), num_examples=8)) == 2
    with pytest.raises(ValueError, match="must be finite"):
        views(ARRAYS.repeat())
    with pytest.raises(ValueError, match="is empty"):
        views(ARRAYS.take(0))
    with pytest.raises(ValueError, match="num_examples=0"):
        views(num_examples=0)


@pytest.mark.parametrize(
    "dataset, options, message",
    [
        (ARRAYS.batch(2), {}, r"dataset\.unbatch\(\)"),
        (ARRAYS.map(lambda x, y: (x[..., 0], y)), {}, r"image\[\.\.\., None\]"),
        (ARRAYS.map(lambda x, y: (x, x)), {}, "integer scalar.*two views"),
        (ARRAYS.map(lambda x, y: (x, y / 2)), {}, "integer scalar"),
        (ARRAYS.map(lambda x, y: (x, y, y)), {}, "must be image, "),
        (ARRAYS.map(lambda x, y: ((x, x), y)), {}, "must be image, "),
        (ARRAYS.map(lambda x, y: {"x": x}), {}, r"one of \['x'\].*'image'"),
        (
            ARRAYS.map(lambda x, y: {"image": x}),
            {"label_key": "y"},
            r"one of \['image'\].*'y'",
        ),
        (X, {}, "views_from_arrays"),
        (ARRAYS, {"batch_size": 11}, "`dataset` has 10 examples"),
        (ARRAYS, {"augmentation": lambda x: x}, "returned one tensor"),
    ],
)
def test_errors_say_what_is_wrong(dataset, options, message):
    with pytest.raises(ValueError, match=message):
        views(dataset, **options)


@pytest.mark.parametrize("black", [0, 20])  # what comes first says nothing
def test_value_ranges_that_are_not_those_of_images(black):
    x = np.concatenate([np.zeros_like(X[[0] * black]), X]).astype("float32") * 25

    def views_of(images):
        return views(tf.data.Dataset.from_tensor_slices(images))

    for images, message in [
        (x / 255, r"Multiply by 255: map the images to image \* 255"),
        ((x - 127) / 60 * (x > 0), "Undo the normalisation"),
        (((x - 128) * (x > 0)).astype("int32"), "Undo the normalisation"),
        (x.astype("uint16"), "16 bits are divided by 257.*largest value of 200"),
        (x * 1000, r"Received: values in \[25000, 200000\]"),
    ]:
        with pytest.raises(ValueError, match=message):
            views_of(images)
    for good in (x, x.astype("uint8"), x.astype("int32"), np.zeros_like(x)):
        one_pass(views_of(good))
    deep = one_pass(views_of((x * 257).astype("uint16")))[0]
    np.testing.assert_array_equal(deep, one_pass(views_of(x))[0])


def test_rounding_of_a_resize_is_no_other_range():
    white = np.full_like(X, 255, "float32") + 1e-4  # as tf.image.resize gives it
    assert white.max() > 255
    dataset = tf.data.Dataset.from_tensor_slices(white)
    assert len(one_pass(views(dataset, on_error="raise"))[0]) == 8
    assert (
        len(one_pass(data.views_from_arrays(white, augmentation=None, batch_size=8))[0])
        == 8
    )


def test_images_out_of_range_further_on_are_named():
    x = np.concatenate([X] * 2).astype("float32")
    x[12] *= 1000
    dataset = views(tf.data.Dataset.from_tensor_slices(x), batch_size=5)
    with pytest.warns(
        UserWarning, match=r"1 unreadable.*\n  example 12: .* of \[0, 255"
    ):
        assert len(one_pass(dataset)[0]) == 20


def test_float_images_that_are_no_images():
    floats = ARRAYS.map(lambda x, y: (tf.cast(x, tf.float32), y))
    for factor, message in ((1 / 255, r"image \* 255"), (-1.0, "Undo the normal")):
        with pytest.raises(ValueError, match=message):
            views(floats.map(lambda x, y, f=factor: (x * f, y)))
    broken = floats.map(lambda x, y: (tf.where(y == 4, np.nan, x), y))
    dataset = views(broken, batch_size=5)
    for _ in range(2):
        with pytest.warns(UserWarning, match="1 unreadable.*\n  example 4: NaN"):
            view, _, labels = one_pass(dataset)
        assert len(view) == 10 and np.isfinite(view).all() and 4 not in labels
    with pytest.raises(tf.errors.OpError, match="example 4: NaN or infinite"):
        one_pass(views(broken, batch_size=5, on_error="raise"))
    with pytest.raises(tf.errors.OpError, match="More than half"):
        one_pass(views(floats.map(lambda x, y: (x * np.nan, y))))

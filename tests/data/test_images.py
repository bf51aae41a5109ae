import numpy as np
import pytest
import tensorflow as tf
from loader_stand_ins import numbered_images

import keras_contrastive.data as data

X, Y = numbered_images(5, size=6), np.arange(5)


@pytest.fixture
def folder(tmp_path):
    """Image i is i everywhere; two classes, one file without."""
    for number, name in enumerate(
        ["b/0.png", "a/1.png", "2.png", "a/x/3.png", "b/4.PNG"]
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tf.io.encode_png(X[number]).numpy())
    return tmp_path


def rows(dataset):
    """(what each image shows, labels) of a whole pass."""
    images, labels = zip(*dataset.as_numpy_iterator(), strict=True)
    return np.concatenate(images)[:, 0, 0, 0].tolist(), np.concatenate(labels).tolist()


def images_of(folder, **options):
    options = {"image_size": 4, "batch_size": 2} | options
    return data.images_from_directory(folder, **options)


def test_a_folder_in_order(folder):
    dataset = images_of(folder)
    names = [path.removeprefix(f"{folder}/") for path in dataset.file_paths]
    assert names == ["2.png", "a/1.png", "a/x/3.png", "b/0.png", "b/4.PNG"]
    assert dataset.class_names == ["a", "b"] and len(dataset) == 3
    for _ in range(2):  # every pass is the same
        assert rows(dataset) == ([2, 1, 3, 0, 4], [-1, 0, 0, 1, 1])
    images, labels = next(iter(images_of(folder, channels=1, image_size=(4, 6))))
    assert images.shape == (2, 4, 6, 1) and images.dtype == tf.uint8
    assert labels.dtype == tf.int64


def test_a_folder_without_labels(folder):
    for dataset in (images_of(folder / "b"), images_of(folder / "a", labels=False)):
        (images,) = dataset.take(1)
        assert images.shape == (2, 4, 4, 3) and len(dataset) == 1
        assert len(dataset.file_paths) == 2
    assert images_of(folder, labels=False).class_names is None


def test_broken_files_are_named_or_left_out(folder):
    for name in ("b/z.png", "a/1a.jpg"):  # at the end and in the middle
        (folder / name).write_bytes(b"rubbish")
        with pytest.raises(tf.errors.OpError, match=f"{name}: .*on_error=.skip"):
            list(images_of(folder))
    with pytest.warns(UserWarning, match="2 unreadable.*left out") as caught:
        dataset = images_of(folder, on_error="skip")
    message = str(caught[0].message)
    assert len(caught) == 1 and "a/1a.jpg: " in message and "b/z.png: " in message
    assert rows(dataset) == ([2, 1, 3, 0, 4], [-1, 0, 0, 1, 1])
    assert len(dataset) == 3 and len(dataset.file_paths) == 5
    only_broken = folder / "broken"
    only_broken.mkdir()
    (only_broken / "a.png").write_bytes(b"")
    with pytest.raises(ValueError, match="None of the 1 images.*a.png: Input is empty"):
        images_of(only_broken, on_error="skip")


def test_arrays_fit_an_encoder():
    dataset = data.images_from_arrays(X, Y, image_size=(3, 4), channels=1, batch_size=2)
    assert rows(dataset) == ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4])
    assert dataset.class_names is None and len(dataset) == 3
    images, _ = next(iter(dataset))
    assert images.shape == (2, 3, 4, 1) and images.dtype == tf.uint8
    gray = X[..., :1] / 2.0
    (images,) = data.images_from_arrays(gray, channels=3)
    assert images.shape == (5, 6, 6, 3) and images.dtype == tf.float32
    np.testing.assert_array_equal(images, np.repeat(gray, 3, -1))
    (images,) = data.images_from_arrays(gray)
    np.testing.assert_array_equal(images, gray)
    red = np.full((1, 2, 2, 3), (255, 0, 0), "uint8")
    (luminance,) = data.images_from_arrays(red, channels=1)
    assert abs(int(luminance[0, 0, 0, 0]) - 76) <= 1
    many = np.zeros((1, 2, 2, 4), "uint8")
    assert next(iter(data.images_from_arrays(many))).shape == many.shape
    with pytest.raises(ValueError, match=r"channels=3, x.shape=\(1, 2, 2, 4\)"):
        data.images_from_arrays(many, channels=3)


def test_errors_say_what_is_wrong(folder):
    with pytest.raises(ValueError, match="`image_size` must be given.*the encoder"):
        data.images_from_directory(folder)
    with pytest.raises(ValueError, match='"raise" or "skip".*replace'):
        images_of(folder, on_error="replace")
    with pytest.raises(ValueError, match="`batch_size` must be.*=0"):
        images_of(folder, batch_size=0)
    with pytest.raises(ValueError, match="must have the same length"):
        data.images_from_arrays(X, Y[:3])

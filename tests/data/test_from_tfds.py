import shutil
import struct

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from loader_stand_ins import Jitter, numbered_images, numbers, one_pass

import keras_contrastive.data as data


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which the data set `tiny` lies prepared, without its code."""
    folder = tmp_path_factory.mktemp("tfds")
    x = numbered_images(10, size=4)
    examples = {"image": list(x), "label": np.arange(10), "extra": np.zeros((10, 2))}
    tfds.dataset_builders.TfDataBuilder(
        name="tiny",
        version="1.0.0",
        split_datasets={
            split: tf.data.Dataset.from_tensor_slices(examples)
            for split in ("train", "test")
        },
        features=tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(4, 4, 3)),
                "label": tfds.features.ClassLabel(num_classes=10),
                "extra": tfds.features.Tensor(shape=(2,), dtype=np.float64),
            }
        ),
        data_dir=folder,
    ).download_and_prepare()
    return folder


def views(folder, name="tiny", split="train", **options):
    options = {"augmentation": Jitter(), "batch_size": 4, "seed": 3} | options
    return data.views_from_tfds(name, split, data_dir=folder, **options)


def test_a_prepared_data_set_is_read(folder, capfd):
    dataset = views(folder)
    assert len(dataset) == 2
    view_1, _, labels = one_pass(dataset)
    assert view_1.shape == (8, 4, 4, 3) and len(set(labels)) == 8
    np.testing.assert_array_equal(numbers(view_1), labels)
    assert "tiny" not in "".join(capfd.readouterr())  # TFDS keeps quiet


def test_order_and_views_depend_on_seed_and_epoch_alone(folder):
    dataset, other = views(folder), views(folder, cache_encoded=True)
    epochs = [one_pass(dataset)[0] for _ in range(2)]
    assert not np.array_equal(*map(numbers, epochs))
    for expected in epochs:
        np.testing.assert_array_equal(one_pass(other)[0], expected)


def test_ids_are_places_in_the_split(folder):
    images, order = data.images_from_tfds("tiny", "train", data_dir=folder), {}
    for image in images.unbatch():
        order[len(order)] = int(image[0][0, 0, 0])
    for (view_1, _), targets in views(folder, with_ids=True):
        places = [order[i] for i in targets["id"].numpy()]
        assert places == list(numbers(view_1.numpy())) == list(targets["label"].numpy())


def test_split_parts_keys_and_channels(folder):
    assert len(views(folder, split="train[:80%]+test")) == 4
    assert one_pass(views(folder, label_key=None))[2] is None
    assert one_pass(views(folder, channels=1))[0].shape == (8, 4, 4, 1)
    (images,), _ = next(iter(views(folder, augmentation=None)))
    assert images.dtype == tf.uint8 and images.shape == (4, 4, 4, 3)


def test_images_in_order(folder):
    dataset = data.images_from_tfds("tiny", "test", batch_size=4, data_dir=folder)
    assert dataset.class_names == [str(n) for n in range(10)] and len(dataset) == 3
    images, labels = zip(*dataset.as_numpy_iterator(), strict=True)
    shown = np.concatenate(images)[:, 0, 0, 0]
    np.testing.assert_array_equal(shown, np.concatenate(labels))
    np.testing.assert_array_equal(np.sort(shown), np.arange(10))
    options = {"image_size": 3, "channels": 1, "label_key": None, "data_dir": folder}
    dataset = data.images_from_tfds("tiny", "test[:40%]", **options)
    (images,) = dataset
    assert images.shape == (4, 3, 3, 1) and dataset.class_names is None


def damaged(folder, tmp_path, how):
    """A copy of the data set whose file is damaged in its sixth record."""
    shutil.copytree(folder, tmp_path / how)
    (file,) = (tmp_path / how).glob("tiny/*/*-train.tfrecord*")
    content = bytearray(file.read_bytes())
    starts = [0]
    while starts[-1] < len(content):  # length, its checksum, the data, its checksum
        (length,) = struct.unpack_from("<Q", content, starts[-1])
        starts.append(starts[-1] + 12 + length + 4)
    if how == "flipped":
        content[starts[5] + 40] ^= 4
    else:
        del content[starts[5] + (40 if how == "truncated" else 0) :]
    file.write_bytes(content)
    return tmp_path / how, file


@pytest.mark.parametrize(
    "options",
    [
        {},
        pytest.param({"cache_encoded": True}, marks=pytest.mark.slow),
        pytest.param({"shuffle": False}, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(
    "how, text",
    [
        ("flipped", r"example 5: corrupted record.*-train.*: corrupted record at"),
        ("truncated", r"example 5: truncated record.*-train.*: truncated record at"),
        ("shortened", r"example 5: .*contained only 5.*-train.*: 5 of 10 records"),
    ],
)
def test_damaged_records_are_named_and_replaced_or_raised(
    folder, tmp_path, how, text, options
):
    path, file = damaged(folder, tmp_path, how)
    dataset = views(path, batch_size=5, **options)
    with pytest.warns(UserWarning, match=f"5 unreadable image.*\\n  {text}"):
        view, _, labels = one_pass(dataset)
    assert len(labels) == 10
    np.testing.assert_array_equal(numbers(view), labels)
    assert len(set(labels)) == 5
    with pytest.raises(tf.errors.OpError, match=text) as error:
        one_pass(views(path, batch_size=5, on_error="raise", **options))
    assert "Cannot read an image of 'tiny'" in str(error.value)


def test_an_empty_file_is_given_up(folder, tmp_path):
    path, file = damaged(folder, tmp_path, "shortened")
    file.write_bytes(b"")
    with pytest.raises(tf.errors.OpError, match="More than half.*tiny.*\n.*0 of 10"):
        one_pass(views(path))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"name": "tinny"}, "Did you mean 'tiny'.*data_dir="),
        ({"name": "cifar1O"}, "'cifar10'"),
        ({"split": "trian"}, r"one of \['test', 'train'\].*'trian'"),
        ({"image_key": "extra"}, r"image feature of 'tiny': \['image'\]"),
        ({"label_key": "extra"}, "`label_key` must name an integer feature"),
        ({"label_key": "class"}, "`label_key` must name an integer feature"),
        ({"batch_size": 11}, "has 10 examples"),
    ],
)
def test_errors_say_what_is_wrong(folder, options, message):
    with pytest.raises(ValueError, match=message):
        views(folder, **options)


def test_without_a_network(folder, monkeypatch):
    import requests

    def no_network(url, **options):
        raise requests.exceptions.ConnectionError(url)

    monkeypatch.setattr(requests, "head", no_network)
    message = "cannot be reached.*Prepared in .*tiny.*TFDS_DATA_DIR.*load_sample"
    with pytest.raises(RuntimeError, match=message):
        views(folder, name="cifar10")


def test_a_download_that_fails(folder, monkeypatch):
    import requests

    def fail(self, **options):
        raise OSError("disk full\nand more")

    monkeypatch.setattr(requests, "head", lambda url, **options: None)
    monkeypatch.setattr(
        tfds.core.DatasetBuilder, "download_and_prepare", fail, raising=True
    )
    with pytest.raises(RuntimeError, match="OSError.*disk full.*TFDS_DATA_DIR"):
        views(folder, name="cifar10")

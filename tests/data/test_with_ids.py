"""Every loader can say which example is which; pixels of image i are i."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from loader_stand_ins import Jitter, Shrink, numbered_images, numbers

import keras_contrastive as kc
from keras_contrastive import data

X = numbered_images(10)
Y = np.arange(10) % 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Ten numbered images of three classes; sorted paths are in another order."""
    folder = tmp_path_factory.mktemp("folder")
    for number, (image, label) in enumerate(zip(X, Y, strict=True)):
        path = folder / str(label) / f"{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(tf.io.encode_jpeg(image, quality=100).numpy())
    return folder


def one_pass(dataset):
    """Which image each row shows, its label and its id, over a whole pass."""
    shown, labels, ids = [], [], []
    for views, targets in dataset:
        assert len(set(targets["id"].numpy())) == len(targets["id"])
        shown.append(numbers(views[0].numpy()))
        labels.append(targets["label"].numpy())
        ids.append(targets["id"].numpy())
    return (np.concatenate(column) for column in (shown, labels, ids))


def from_arrays(folder, **options):
    return data.views_from_arrays(X, Y, **options)


def from_dataset(folder, **options):
    dataset = tf.data.Dataset.from_tensor_slices((X, Y))
    return data.views_from_dataset(dataset, **options)


def from_directory(folder, **options):
    return data.views_from_directory(folder, **options)


def crop():
    """Begins with a crop, so that files are cut while they are decoded."""
    layer = kc.layers.RandomResizedCrop(4, area=(0.9, 1.0))
    return kc.layers.Views([[layer], [layer]])


@pytest.mark.parametrize(
    "loader, options",
    [
        (from_arrays, {}),
        (from_dataset, {}),
        (from_dataset, {"cache_decoded": True, "shuffle_buffer": 3}),
        (from_directory, {"augmentation": crop(), "cache_encoded": True}),
        *(
            pytest.param(from_directory, options, marks=pytest.mark.slow)
            for options in ({"augmentation": Shrink()}, {"image_size": 4})
        ),
    ],
)
def test_ids_are_the_places_of_the_examples_in_every_epoch(folder, loader, options):
    options = {"augmentation": Jitter(), "batch_size": 3, "seed": 1} | options
    order = np.arange(10)
    if loader is from_directory:  # of list_images
        files = data.list_images(folder)[0]
        order = np.array([int(file.split("/")[-1][0]) for file in files])
    dataset = loader(folder, with_ids=True, drop_remainder=False, **options)
    epochs = []
    for _ in range(2):
        shown, labels, ids = one_pass(dataset)
        assert sorted(ids) == list(range(10)) and ids.dtype == np.int64
        np.testing.assert_array_equal(shown, order[ids])
        np.testing.assert_array_equal(labels, Y[order[ids]])
        epochs.append(ids)
    assert not np.array_equal(*epochs)
    again = loader(folder, with_ids=True, drop_remainder=False, **options)
    assert data.set_epoch(again, 1)  # a restart
    np.testing.assert_array_equal(list(one_pass(again))[2], epochs[1])
    plain = loader(folder, drop_remainder=False, **options)
    targets = np.concatenate([element[1] for element in plain])
    np.testing.assert_array_equal(targets, Y[order[epochs[0]]])  # nothing else changes


@pytest.mark.parametrize("loader", [from_arrays, from_dataset])
def test_workers_have_different_ids(loader):
    found = []
    for worker in range(2):
        context = tf.distribute.InputContext(2, worker, num_replicas_in_sync=2)
        dataset = loader(
            None,
            augmentation=Jitter(),
            batch_size=4,
            seed=1,
            with_ids=True,
            input_context=context,
        )
        shown, _, ids = one_pass(dataset)
        np.testing.assert_array_equal(shown, ids)
        found += list(ids)
    assert len(found) == len(set(found)) == 8


def test_without_labels_there_are_ids_alone():
    dataset = data.views_from_arrays(X, augmentation=None, batch_size=5, with_ids=True)
    views, targets = next(iter(dataset))
    assert len(views) == 1 and list(targets) == ["id"]


@pytest.mark.parametrize(
    "cache",
    [
        {},
        pytest.param({"cache_encoded": True}, marks=pytest.mark.slow),
        pytest.param({"cache_decoded": True}, marks=pytest.mark.slow),
    ],
)
def test_a_stand_in_has_its_own_id_and_none_comes_twice_in_a_batch(tmp_path, cache):
    for number, image in enumerate(X):
        content = tf.io.encode_png(image).numpy() if number % 4 else b"rubbish"
        (tmp_path / f"{number}.png").write_bytes(content)
    dataset = data.views_from_directory(
        tmp_path,
        augmentation=Shrink(),
        batch_size=5,
        seed=0,
        with_ids=True,
        **cache,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names the bad ones
        for _ in range(6):
            seen = [(v[0], t["id"].numpy()) for v, t in dataset]
            assert [len(set(ids)) for _, ids in seen] == [5, 5]
            for view, ids in seen:
                np.testing.assert_array_equal(numbers(view.numpy()), ids)


@pytest.mark.parametrize("source", ["arrays", "files"])
def test_a_method_of_one_view_trains_on_a_loader(tmp_path, source):
    policy = kc.layers.Views([[kc.layers.RandomResizedCrop(8)]])
    options = {"augmentation": policy, "batch_size": 4, "with_ids": True}
    if source == "arrays":
        dataset = data.views_from_arrays(X + 100, **options)
    else:
        for number, image in enumerate(X):
            path = tmp_path / f"{number}.jpg"
            path.write_bytes(tf.io.encode_jpeg(image).numpy())
        dataset = data.views_from_directory(tmp_path, **options)
    images = keras.Input((8, 8, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(images)
    encoder = keras.Model(images, keras.layers.Dense(3)(pooled))
    model = kc.InstanceDiscrimination(
        encoder, keras.layers.Dense(4), num_examples=10, num_negatives=4
    )
    model.compile("sgd")
    before = model.bank.value.numpy()
    model.fit(dataset, epochs=1, verbose=0)
    assert np.sum(np.any(model.bank.value != before, axis=1)) == 8

"""Big folders and long runs: what a loader opens, keeps and leaves behind."""

import ctypes
import gc
import os
import pathlib
import sys
import warnings

import numpy as np
import pytest
import tensorflow as tf
from loader_stand_ins import Shrink

import keras_contrastive.data as data
from keras_contrastive.data import examples

SLOW = pytest.mark.slow  # folders go the same way, and further
STATM = pathlib.Path("/proc/self/statm")
BATCHES, PASSES, BATCH = 2_000, 20, 2
SHAPE = (64, 64, 3)


def resident():
    """Bytes of memory that this process occupies now."""
    gc.collect()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)  # what threads have freed, and glibc keeps, is no leak
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def grown(dataset, keep=None):
    """Bytes that `BATCHES` batches leave behind, in `PASSES` epochs."""
    assert len(dataset) * PASSES == BATCHES
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(PASSES // 4):  # until the allocator has what it needs
            for _ in dataset:
                pass
        before = resident()
        for _ in range(PASSES):
            for batch in dataset:
                if keep is not None:
                    keep.append(batch[0][0].numpy().copy())
    return resident() - before


@pytest.mark.skipif(not STATM.exists(), reason="needs /proc")
@SLOW
@pytest.mark.parametrize("source", ["arrays", "folder"])
def test_memory_is_flat_over_2000_batches(tmp_path, source):
    # A leaked batch of uint8 images is 24 KiB: all of them make 47 MiB.
    bound = BATCHES * BATCH * np.prod(SHAPE) / 2
    count = BATCHES // PASSES * BATCH
    options = {"augmentation": lambda x: (x, x), "batch_size": BATCH, "seed": 0}
    images = np.random.default_rng(0).integers(0, 256, (count, *SHAPE), np.uint8)
    if source == "arrays":
        dataset = data.views_from_arrays(images, **options)
        assert grown(dataset, keep=[]) > bound  # such a leak would be seen
    else:
        for number, image in enumerate(images[:-1]):
            content = tf.io.encode_jpeg(image).numpy()
            (tmp_path / f"{number:03}.jpg").write_bytes(content)
        (tmp_path / "bad.jpg").write_bytes(b"")  # an epoch's warning leaks nothing
        dataset = data.views_from_directory(tmp_path, drop_remainder=False, **options)
    assert grown(dataset) < bound


def calls_of(function):
    """How many calls of Python and C functions a call makes."""
    count = 0

    def see(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(see)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


def test_a_start_opens_no_file_and_its_work_grows_with_their_number(
    tmp_path, monkeypatch
):
    def refuse(path, *args, **kwargs):
        assert not str(path).endswith(".jpg"), f"{path} is opened"
        return stat(path, *args, **kwargs)

    stat = os.stat
    calls = []
    for count in (500, 2_000):
        for number in range(count):
            # Empty: whoever lets TensorFlow read one fails, too.
            folder = tmp_path / str(count) / f"class{number % 5}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number}.jpg").touch()
        path = tmp_path / str(count)
        with monkeypatch.context() as patch:
            patch.setattr("builtins.open", refuse)
            patch.setattr("os.open", refuse)
            patch.setattr("os.stat", refuse)
            dataset = data.views_from_directory(
                path, augmentation=Shrink(), on_error="raise", batch_size=10
            )
        assert len(dataset) == count // 10
        calls.append(calls_of(lambda path=path: data.list_images(path)))
    assert calls[1] < 4.5 * calls[0]  # 4 times the files; squared it were 16
    with pytest.raises(tf.errors.OpError, match="cannot be read"):
        next(iter(dataset))


@pytest.mark.parametrize("source", ["paths", "bytes"])
def test_the_shuffle_buffer_holds_paths_or_bytes(tmp_path, monkeypatch, source):
    buffers = []

    def spy(dataset, buffer_size, key):
        buffers.append(dataset.element_spec)
        return dataset

    monkeypatch.setattr(examples, "shuffled", spy)
    content = tf.io.encode_jpeg(np.zeros((8, 8, 3), np.uint8)).numpy()
    (tmp_path / "0.jpg").write_bytes(content)
    options = {"augmentation": Shrink(), "batch_size": 1}
    if source == "paths":
        dataset = data.views_from_directory(tmp_path, **options)
    else:
        encoded = tf.data.Dataset.from_tensors(content)
        dataset = data.views_from_dataset(encoded, **options)
    next(iter(dataset))
    scalar = tf.TensorSpec((), tf.string)
    assert buffers and all(record == (scalar,) for _, record in buffers)

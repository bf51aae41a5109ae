import json
import multiprocessing
import os
import pathlib

import numpy as np
import pytest
import tensorflow as tf

import keras_contrastive as kc
from keras_contrastive.data import DatasetCache
from keras_contrastive.image_io import decode_image


def picture(height, width, seed=0):
    """A smooth picture, which JPEG keeps nearly as it is."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (4, 4, 3)).astype("float32")
    image = tf.image.resize(coarse, (height, width), "bicubic")
    return tf.cast(tf.clip_by_value(image, 0, 255), tf.uint8)


@pytest.fixture
def photos(tmp_path):
    """Two classes; wide, tall, small, PNG, PNG of 16 bits, and a damaged file."""
    folder = tmp_path / "photos"
    for name in ("cat/wide.jpg", "cat/tall.JPG", "dog/small.jpg", "dog/deep.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
    jpeg = tf.io.encode_jpeg
    (folder / "cat/wide.jpg").write_bytes(jpeg(picture(60, 90), quality=98).numpy())
    (folder / "cat/tall.JPG").write_bytes(jpeg(picture(80, 50, 1)).numpy())
    (folder / "dog/small.jpg").write_bytes(jpeg(picture(20, 30)).numpy())
    (folder / "dog/plain.png").write_bytes(tf.io.encode_png(picture(64, 64)).numpy())
    deep = tf.cast(picture(64, 64), tf.uint16) * 257
    (folder / "dog/deep.png").write_bytes(tf.io.encode_png(deep).numpy())
    (folder / "dog/broken.jpg").write_bytes(b"\xff\xd8\xff no image")
    return folder


def shape_of(path):
    return tuple(decode_image(path.read_bytes()).shape)


def test_images_are_shortened_and_the_others_copied(photos, tmp_path):
    cache = DatasetCache(photos, tmp_path / "cache", short_side=32, quality=98)
    assert shape_of(cache.path / "cat/wide.jpg") == (32, 48, 3)
    assert shape_of(cache.path / "cat/tall.JPG") == (51, 32, 3)
    assert shape_of(cache.path / "dog/plain.png") == (32, 32, 3)
    assert (cache.path / "dog/plain.png").read_bytes()[:4] == b"\x89PNG"
    for same in ("dog/small.jpg", "dog/deep.png", "dog/broken.jpg"):
        assert (cache.path / same).read_bytes() == (photos / same).read_bytes()
    wide = decode_image((photos / "cat/wide.jpg").read_bytes())
    expected = tf.image.resize(wide, (32, 48), antialias=True)
    actual = decode_image((cache.path / "cat/wide.jpg").read_bytes())
    away = np.abs(tf.cast(actual, "float32") - expected)
    assert away.max() < 16 and away.mean() < 3
    assert repr(cache).endswith("6 images)") and cache.num_images == 6


def test_loaders_read_it_as_the_folder(photos, tmp_path):
    for odd in ("deep.png", "broken.jpg"):
        (photos / "dog" / odd).unlink()
    (photos / "labels.csv").write_text("path,label\ncat/wide.jpg,one\n")
    cache = DatasetCache(photos, tmp_path / "cache", short_side=24)
    names = [pathlib.Path(f).name for f in kc.data.list_images(cache)[0]]
    assert names == [pathlib.Path(f).name for f in kc.data.list_images(photos)[0]]
    assert kc.data.list_images(cache)[2] == ["one"]
    images = kc.data.images_from_directory(cache, image_size=16)
    assert next(iter(images))[0].shape == (4, 16, 16, 3)


def test_it_is_found_again_and_goes_on_where_it_stopped(photos, tmp_path, monkeypatch):
    made = []
    shorten = DatasetCache._shorten

    def some(self, file, target):
        if len(made) == 3:
            raise KeyboardInterrupt
        made.append(file.name)
        shorten(self, file, target)

    monkeypatch.setattr(DatasetCache, "_shorten", some)
    with pytest.raises(KeyboardInterrupt):
        DatasetCache(photos, tmp_path / "cache", short_side=32, workers=1)
    assert not (tmp_path / "cache").exists()
    first, made[:] = set(made), []
    monkeypatch.setattr(
        DatasetCache, "_shorten", lambda *a: made.append(a[1].name) or shorten(*a)
    )
    DatasetCache(photos, tmp_path / "cache", short_side=32)
    assert len(first) == len(made) == 3 and not first & set(made)
    made.clear()
    DatasetCache(photos, tmp_path / "cache", short_side=32)
    assert made == []
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["cache", "photos"]


def test_other_images_settings_and_folders_are_refused(photos, tmp_path):
    cache = tmp_path / "cache"
    DatasetCache(photos, cache, short_side=32)
    with pytest.raises(ValueError, match="other images or settings: short_side 32 and"):
        DatasetCache(photos, cache, short_side=16)
    os.utime(photos / "cat/wide.jpg", (1, 1))
    with pytest.raises(ValueError, match="of other images.*source.*Delete it"):
        DatasetCache(photos, cache, short_side=32)
    note = cache / "cache.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), "version": 0}))
    with pytest.raises(ValueError, match="version 0 and not 1"):
        DatasetCache(photos, cache, short_side=32)
    note.unlink()
    with pytest.raises(ValueError, match="must be new, or a cache"):
        DatasetCache(photos, cache)
    with pytest.raises(ValueError, match="outside of `source`"):
        DatasetCache(photos, photos / "small")
    for wrong in ({"short_side": 0}, {"quality": 101}, {"quality": 0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            DatasetCache(photos, tmp_path / "other", **wrong)


def hold_it(folder, ready, done):
    from keras_contrastive.files import hold

    lock = hold(folder / ".cache.lock")
    ready.set()
    done.wait(60)
    del lock


def test_one_process_at_a_time(photos, tmp_path):
    context = multiprocessing.get_context("fork")
    ready, done = context.Event(), context.Event()
    other = context.Process(target=hold_it, args=(tmp_path, ready, done))
    other.start()
    ready.wait(60)
    try:
        with pytest.raises(BlockingIOError, match="is being made by process"):
            DatasetCache(photos, tmp_path / "cache")
    finally:
        done.set()
        other.join()
    DatasetCache(photos, tmp_path / "cache", short_side=32)


def test_a_full_disk_is_one_sentence_and_it_goes_on(photos, tmp_path, room_for):
    with pytest.raises(OSError, match="Free space"), room_for(600):
        DatasetCache(photos, tmp_path / "cache", short_side=32)
    assert DatasetCache(photos, tmp_path / "cache", short_side=32).num_images == 6

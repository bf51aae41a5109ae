import errno
import io
import os
import struct
import warnings

import numpy as np
import pytest
import tensorflow as tf
from loader_stand_ins import Jitter, Shrink, numbered_images, numbers, one_pass

import keras_contrastive.data as data
from keras_contrastive import augmentations


def write(path, image=None, content=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    if content is None:
        content = tf.io.encode_png(image).numpy()
    path.write_bytes(content)


@pytest.fixture
def folder(tmp_path):
    """Ten numbered images, one folder."""
    for number, image in enumerate(numbered_images(10)):
        write(tmp_path / f"{number}.png", image)
    return tmp_path


def views(path, **options):
    options = {"augmentation": Shrink(), "batch_size": 2, "seed": 3} | options
    return data.views_from_directory(path, **options)


def quiet_pass(dataset):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return one_pass(dataset)


def test_class_folders_at_any_depth(tmp_path):
    images = numbered_images(5)
    write(tmp_path / "dog" / "a" / "b" / "0.PNG", images[0])
    write(tmp_path / "cat" / "1.png", images[1])
    write(
        tmp_path / "cat" / "old" / "2.jpg", content=tf.io.encode_jpeg(images[2]).numpy()
    )
    write(tmp_path / "3.png", images[3])
    write(tmp_path / ".hidden" / "4.png", images[4])
    write(tmp_path / "cat" / "._1.png", content=b"rubbish")
    write(tmp_path / "notes.txt", content=b"text")
    (tmp_path / "empty").mkdir()
    files, labels, names = data.list_images(tmp_path)
    assert names == ["cat", "dog"] and len(files) == 4 and labels.dtype == np.int64
    view, _, labels = quiet_pass(views(tmp_path, batch_size=4))
    assert dict(zip(numbers(view), labels, strict=True)) == {0: 1, 1: 0, 2: 0, 3: -1}
    assert quiet_pass(views(tmp_path, labels=False))[2] is None


def test_labels_of_a_table(folder, tmp_path):
    files = data.list_images(folder)[0]
    names = [os.path.relpath(file, folder) for file in files]
    rows = [f"{names[0]},dog,1", f"{files[3]}, cat,2", f"./{names[5]},dog,3"]
    table = folder / "labels.csv"

    def labelled(*lines, labels=True):
        table.write_text("\n".join(["path,label,more", *lines]), encoding="utf-8-sig")
        return data.list_images(folder, labels)

    _, labels, classes = labelled(*rows, f"{names[6]},,")
    assert classes == ["cat", "dog"]
    assert labels.tolist() == [1, -1, -1, 0, -1, 1, -1, -1, -1, -1]
    images = data.images_from_directory(folder, image_size=4)
    assert images.class_names == classes
    assert np.concatenate([y for _, y in images]).tolist() == labels.tolist()
    _, _, y = quiet_pass(views(folder, batch_size=10))
    assert sorted(y) == sorted(labels)
    assert data.list_images(folder, labels=False)[2] == []
    elsewhere = tmp_path / "other.csv"
    elsewhere.write_text(f"label,path\nbird,{names[1]}\n")
    assert data.list_images(folder, elsewhere)[1].tolist() == [-1, 0] + [-1] * 8
    with pytest.raises(
        ValueError, match="1 that are not there, or not read:\n.*no.png"
    ):
        labelled("no.png,dog,1")
    with pytest.raises(ValueError, match="one label.*'dog' and as 'cat', in line 3"):
        labelled(rows[0], rows[0].replace("dog", "cat"))
    table.write_text("file,class\n")
    with pytest.raises(
        ValueError, match=r"columns path and label.*\['file', 'class'\]"
    ):
        data.list_images(folder)


def test_a_flat_folder_has_no_labels(folder):
    dataset = views(folder)
    assert len(dataset) == 5
    view, _, labels = quiet_pass(dataset)
    assert labels is None and sorted(numbers(view)) == list(range(10))


def test_a_circle_of_links_ends(folder):
    (folder / "sub").mkdir()
    (folder / "sub" / "link").symlink_to(folder / "sub", target_is_directory=True)
    with pytest.warns(UserWarning, match="sub/link: read already"):
        assert len(data.list_images(folder)[0]) == 10


def test_what_cannot_be_read_is_skipped_and_named(folder, monkeypatch):
    """A pipe would hang; a link to itself, a name or a folder would abort the rest."""
    os.mkfifo(folder / "pipe.jpg")
    (folder / "loop").symlink_to("loop")
    (folder / "nowhere.png").symlink_to("nothing.png")
    (folder / "up").symlink_to(folder, target_is_directory=True)
    (folder / "locked" / "below").mkdir(parents=True)
    names = [b"caf\xe9.png", b"caf\xe9"]
    write(folder / os.fsdecode(names[0]), content=b"")
    (folder / os.fsdecode(names[1])).mkdir()
    scandir = os.scandir

    def forbidden(path):
        if os.path.basename(path) == "below":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", forbidden)  # root may read everything
    with pytest.warns(UserWarning) as caught:
        dataset = views(folder)
    (warning,) = caught
    message = str(warning.message)
    assert message.startswith(f"Below '{folder}' 7 file(s) or folder(s) are skipped:")
    for text in [
        "pipe.jpg: not a regular file",
        "loop: Too many levels of symbolic links",
        "nowhere.png: not a regular file",
        "up: read already by another path",
        "below: Permission denied",
        "caf\\xe9.png: its name is not UTF-8",
        "caf\\xe9: its name is not UTF-8",
    ]:
        assert message.count(text) == 1, text
    shown = quiet_pass(dataset)
    assert sorted(numbers(shown[0])) == list(range(10)) and shown[2] is None
    for file in folder.glob("?.png"):
        file.unlink()
    with pytest.raises(ValueError, match="must hold images.*Skipped were:\n"):
        data.list_images(folder)


def test_images_of_other_formats_are_counted_and_named(folder):
    beside = ["notes.txt", "labels.json", "Thumbs.db", "README"]
    for name in beside:
        write(folder / name, content=b"")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.list_images(folder)
    for name in ("a/1.jp2", "a/2.JP2", "b/1.heic"):
        write(folder / name, content=b"")
    message = (
        r"3 image\(s\) are in formats that are not read \(2 x .jp2, 1 x .heic\), and 4 "
        r"other file\(s\). Convert them to one of .jpg"
    )
    with pytest.warns(UserWarning, match=message):
        files, _, class_names = data.list_images(folder)
    assert len(files) == 10 and class_names == []


@pytest.mark.parametrize("image_size", [None, 4])
def test_order_and_views_depend_on_seed_and_epoch_alone(folder, image_size):
    options = {"augmentation": Jitter(), "image_size": image_size}
    dataset, other = views(folder, **options), views(folder, **options)
    epochs = [quiet_pass(dataset)[0] for _ in range(2)]
    assert not np.array_equal(numbers(epochs[0]), numbers(epochs[1]))
    assert len(np.unique(epochs[0] % 1)) == 10  # a random number per image
    tf.random.set_seed(0)  # the global seed has no say
    for expected in epochs:
        np.testing.assert_array_equal(quiet_pass(other)[0], expected)
    data.set_epoch(other, 1)
    np.testing.assert_array_equal(quiet_pass(other)[0], epochs[1])


def test_images_of_different_sizes(tmp_path):
    for number, size in enumerate([(1, 1), (3, 9), (8, 2), (30, 20)]):
        write(tmp_path / f"{number}.png", np.full((*size, 3), 50 * number, np.uint8))
    view, _, _ = quiet_pass(views(tmp_path))
    assert view.shape == (4, 2, 2, 3)
    np.testing.assert_allclose(sorted(view[:, 0, 0, 0]), [0, 50, 100, 150])
    options = {"augmentation": None, "image_size": (4, 6)}
    assert quiet_pass(views(tmp_path, **options))[0].shape == (4, 4, 6, 3)
    with pytest.raises(ValueError, match="different sizes.*image_size"):
        views(tmp_path, augmentation=None)


@pytest.mark.parametrize("channels", [1, 3])
def test_every_kind_of_good_image(tmp_path, channels):
    pil = pytest.importorskip("PIL.Image")
    rgb = pil.fromarray(np.full((6, 5, 3), (200, 100, 50), np.uint8))
    other = pil.fromarray(np.zeros((6, 5, 3), np.uint8))

    def save(name, image, **options):
        buffer = io.BytesIO()
        image.save(buffer, name.rsplit(".")[-1].replace("jpg", "jpeg"), **options)
        write(tmp_path / name, content=buffer.getvalue())

    save("cmyk.jpg", rgb.convert("CMYK"))
    save("gray.jpg", rgb.convert("L"))
    save("gray_alpha.png", rgb.convert("LA"))
    save("alpha.png", rgb.convert("RGBA"))
    save("palette.png", rgb.convert("P", palette=pil.Palette.ADAPTIVE))
    save("bits16.png", pil.fromarray(np.full((6, 5), 124 * 257, np.uint16)))
    save("plain.bmp", rgb)
    save("gray.bmp", rgb.convert("L"))
    save("animated.gif", rgb, save_all=True, append_images=[other])
    save("plain.webp", rgb, lossless=True)
    save("tiny.png", rgb.resize((1, 1)))
    files, _, _ = data.list_images(tmp_path)
    dataset = views(
        tmp_path, batch_size=1, shuffle=False, channels=channels, on_error="raise"
    )
    shown = quiet_pass(dataset)[0]
    assert shown.shape == (11, 2, 2, channels)
    luminance = 0.299 * 200 + 0.587 * 100 + 0.114 * 50
    for file, image in zip(files, shown, strict=True):
        name = os.path.basename(file)  # the folder may be number 16 of pytest
        is_gray = "gray" in name or "16" in name or channels == 1
        expected = luminance if is_gray else (200, 100, 50)
        np.testing.assert_allclose(image[0, 0], expected, atol=4, err_msg=file)


@pytest.mark.slow
def test_the_policies_of_this_package_see_every_image_at_its_size(tmp_path):
    for number, size in enumerate([(9, 5), (4, 12), (20, 6), (1, 1)]):
        write(tmp_path / f"{number}.png", np.full((*size, 3), 50 * number, np.uint8))
    options = {"augmentation": augmentations.simclr(8), "drop_remainder": False}
    first, again = (quiet_pass(views(tmp_path, **options)) for _ in range(2))
    assert first[0].shape == (4, 8, 8, 3)
    np.testing.assert_array_equal(first[0], again[0])


def bad_files(tmp_path):
    """Eight good images and one bad one of each kind; their names."""
    for number, image in enumerate(numbered_images(8, size=16)):
        write(tmp_path / f"{number}.png", image)
    noise = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    jpeg, png = tf.io.encode_jpeg(noise).numpy(), tf.io.encode_png(noise).numpy()
    bad = {
        "0a_truncated.jpg": jpeg[: len(jpeg) // 2],
        "3a_truncated.png": png[:-30],
        "5a_zero_bytes.jpg": b"",
        "7a_text.gif": b"this is not an image",
        # The header of an animated WebP; TensorFlow dies of a real one.
        "9_animated.webp": b"RIFF\0\0\0\0WEBPVP8X\n\0\0\0\x02\0\0\0" + b"\0" * 30,
        # 23,000 x 23,000: as a whole file of 64 kB it takes gigabytes.
        "9b_bomb.png": png[:16] + struct.pack(">II", 23_000, 23_000) + png[24:],
    }
    for name, content in bad.items():
        write(tmp_path / name, content=content)
    return list(bad)


# Every two of the three options together.
@pytest.mark.parametrize(
    "shuffle, image_size, cache",
    [
        (True, None, {}),
        (True, 4, {"cache_encoded": True}),
        (False, None, {"cache_encoded": True}),
        (False, 4, {}),
    ],
)
def test_bad_files_are_replaced_and_named_once(tmp_path, image_size, shuffle, cache):
    names = bad_files(tmp_path)
    dataset = views(
        tmp_path,
        image_size=image_size,
        shuffle=shuffle,
        drop_remainder=False,
        batch_size=3,
        **cache,
    )
    for _ in range(2):
        with pytest.warns(UserWarning) as caught:
            view = one_pass(dataset)[0]
        assert len(view) == 14  # the number of steps stays true
        assert set(numbers(view)) == set(range(8))
        (warning,) = caught
        message = str(warning.message)
        assert message.startswith("6 unreadable image(s)")
        for name in names:
            assert message.count(name) == 1
        assert "Input is empty" in message and "animated WebP" in message
        assert "at most 250000000 pixels" in message and "23000" in message


def test_cache_of_decoded_images_drops_bad_files_once(tmp_path):
    names = bad_files(tmp_path)
    dataset = views(tmp_path, cache_decoded=True, batch_size=14)
    with pytest.warns(UserWarning, match=r"6 unreadable image\(s\)") as caught:
        first = one_pass(dataset)[0]
    assert all(name in str(caught[0].message) for name in names)
    second = quiet_pass(dataset)[0]
    assert set(numbers(first)) == set(numbers(second)) == set(range(8))
    assert not np.array_equal(first, second)


def test_on_error_raise_names_the_file(tmp_path):
    bad_files(tmp_path)
    dataset = views(tmp_path, on_error="raise", shuffle=False)
    with pytest.raises(tf.errors.OpError, match="Cannot read an image.*0a_truncated"):
        one_pass(dataset)


def test_on_error_raise_notices_the_last_file(folder):
    write(folder / "z.png", content=b"")
    dataset = views(folder, on_error="raise", shuffle=False, drop_remainder=False)
    with pytest.raises(tf.errors.OpError, match="z.png: Input is empty"):
        one_pass(dataset)


def test_more_bad_files_than_good_ones_end_with_an_error(folder):
    for number in range(12):
        write(folder / f"bad{number}.png", content=b"")
    with pytest.raises(tf.errors.OpError, match="More than half of the images"):
        one_pass(views(folder))


@pytest.mark.parametrize("cache", ["cache_encoded", "cache_decoded"])
@pytest.mark.parametrize("shuffle", [True, False])
def test_caches_read_every_file_once(folder, cache, shuffle):
    options = {"shuffle": shuffle, "batch_size": 3}
    dataset = views(folder, **options, **{cache: True})
    first = quiet_pass(dataset)[0]
    for file in folder.iterdir():
        file.unlink()
    second = quiet_pass(dataset)[0]
    assert set(numbers(second)) <= set(range(10)) and len(second) == 9
    assert np.array_equal(first, second) == (not shuffle)


def test_workers_share_the_files(folder):
    shown = []
    for worker in range(2):
        context = tf.distribute.InputContext(2, worker, num_replicas_in_sync=2)
        shown += list(numbers(quiet_pass(views(folder, input_context=context))[0]))
    assert sorted(shown) == list(range(10))


def test_errors_of_the_folder(tmp_path, folder):
    nothing = tmp_path / "nothing"
    (nothing / "below").mkdir(parents=True)
    with pytest.raises(ValueError, match="it is empty"):
        views(nothing)
    write(nothing / "below" / "a.txt", content=b"text")
    with pytest.raises(ValueError, match=r"other files only: 1 x \.txt"):
        views(nothing)
    with pytest.raises(ValueError, match="Did you mean '.*nothing'"):
        views(tmp_path / "nothin")
    with pytest.raises(ValueError, match="which is a file"):
        views(folder / "0.png")
    with pytest.raises(ValueError, match="larger than the data set.*10 examples"):
        views(folder, batch_size=11)
    with pytest.raises(ValueError, match="returned one tensor"):
        views(folder, augmentation=lambda images: images)

import struct

import numpy as np
import pytest
import tensorflow as tf
from loader_stand_ins import one_pass

import keras_contrastive.data as data
from keras_contrastive import augmentations, layers
from keras_contrastive.data import crop_first
from keras_contrastive.data.crop_first import CropFirst, begins_with_crop
from keras_contrastive.image_headers import read_header
from keras_contrastive.image_io import decode_image, decode_jpeg_part

SIZES = [(37, 50), (16, 16), (5, 7), (64, 33), (1, 1), (40, 41)]
CROP_ONLY = layers.Views([[layers.RandomResizedCrop(12)]] * 2)


def noise(number):
    """Strong colours in every pixel: the worst case for halved colour channels."""
    generator = np.random.default_rng(number)
    return generator.integers(0, 256, (*SIZES[number], 3), np.uint8)


def jpegs():
    """JPEG files of every kind: halved colours or not, gray, progressive."""
    kinds = [{}, {"chroma_downsampling": False}, {"progressive": True}]
    encoded = [
        tf.io.encode_jpeg(noise(i), **kinds[i % 3]).numpy() for i in range(len(SIZES))
    ]
    gray = tf.io.encode_jpeg(noise(3)[..., :1], format="grayscale").numpy()
    return [*encoded, gray]


def write(folder, contents, extension):
    folder.mkdir()
    for number, content in enumerate(contents):
        (folder / f"{number}.{extension}").write_bytes(content)
    return folder


def views(source, **options):
    loader = data.views_from_directory
    if isinstance(source, tf.data.Dataset):
        loader = data.views_from_dataset
    options = {
        "augmentation": CROP_ONLY,
        "batch_size": 3,
        "seed": 3,
        "drop_remainder": False,
    } | options
    return loader(source, **options)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The same pixels as JPEG, of which windows are decoded, and as PNG."""
    folder = tmp_path_factory.mktemp("crop_first")
    pngs = [tf.io.encode_png(decode_image(j)).numpy() for j in jpegs()]
    return write(folder / "jpeg", jpegs(), "jpg"), write(folder / "png", pngs, "png")


@pytest.mark.slow
def test_the_same_views_as_of_the_whole_image(folders):
    # One layer behind the crop: tracing a whole policy takes seconds.
    branch = [layers.RandomResizedCrop(12), layers.RandomGrayscale(0.5)]
    policy = layers.Views([branch] * 2)
    jpeg, png = (views(f, augmentation=policy) for f in folders)
    for _ in range(2):
        expected = one_pass(png)
        view_1, view_2, _ = one_pass(jpeg)
        np.testing.assert_array_equal(view_1, expected[0])
        np.testing.assert_array_equal(view_2, expected[1])
        assert np.abs(view_1 - view_2).max() > 1
    data.set_epoch(jpeg, 1)
    np.testing.assert_array_equal(one_pass(jpeg)[0], view_1)


def test_files_bytes_and_decoded_images_give_the_same_stream(folders):
    files, encoded = folders[0], jpegs()
    encoded[2] = tf.io.encode_png(decode_image(encoded[2])).numpy()
    expected = one_pass(views(files, channels=1))[0]
    assert expected.shape == (7, 12, 12, 1)
    mixed = tf.data.Dataset.from_tensor_slices(encoded)
    decoded = mixed.map(lambda content: decode_image(content, 1))
    for source, options in (
        (mixed, {"channels": 1}),
        (decoded, {}),
        (files, {"channels": 1, "cache_encoded": True}),
        (files, {"channels": 1, "cache_decoded": True}),
    ):
        stream = one_pass(views(source, **options))[0]
        np.testing.assert_allclose(stream, expected, atol=1e-3)


@pytest.mark.parametrize(
    "policy",
    [
        CROP_ONLY,
        augmentations.sce(12),
        augmentations.multi_crop((12, 6), (2, 3), ((0.3, 1.0), (0.05, 0.3))),
    ],
)
def test_both_steps_are_the_policy(policy):
    split = CropFirst(policy, channels=3)
    for number, content in enumerate(jpegs()):
        key = tf.constant([number, 5])
        crops = split.crops(tf.constant(content), key)
        got = split.rest([crop[None] for crop in crops], key)
        expected = policy(decode_image(content)[None], seed=key)
        assert len(got) == len(expected)
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_allclose(a, b, atol=0.05)


def test_only_the_window_of_all_crops_is_decoded(monkeypatch):
    windows = []

    def spy(header, window, channels):
        windows.append(window.numpy())
        return decode_jpeg_part(header, window, channels)

    monkeypatch.setattr(crop_first, "decode_jpeg_part", spy)
    small = layers.RandomResizedCrop(12, area=(0.01, 0.02))
    split = CropFirst(layers.Views([[small]]), channels=3)
    for number in range(20):
        split.crops(tf.constant(jpegs()[0]), tf.constant([number, 0]))
    areas = [height * width for _, _, height, width in windows]
    assert len(areas) == 20 and max(areas) < 0.1 * 37 * 50


def turned(content, orientation):
    """A JPEG with an EXIF orientation."""
    tiff = struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, 274, 3, 1, orientation, 0, 0)
    segment = b"Exif\0\0" + tiff
    head = b"\xff\xe1" + struct.pack(">H", len(segment) + 2)
    return content[:2] + head + segment + content[2:]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_inner_pixels_of_a_window_are_exact(orientation):
    for content in jpegs():
        content = turned(content, orientation)
        image = decode_image(content).numpy()
        height, width = image.shape[:2]
        top, left = height // 3, width // 4
        window = (top, left, height - top - height // 4, width - left - width // 5)
        part = decode_jpeg_part(read_header(content), window).numpy()
        whole = image[top : top + window[2], left : left + window[3]]
        np.testing.assert_array_equal(part[1:-1, 1:-1], whole[1:-1, 1:-1])


def test_crops_of_turned_photographs_are_those_of_upright_ones():
    split, key = CropFirst(CROP_ONLY, channels=3), tf.constant([1, 2])
    for orientation in range(1, 9):
        content = turned(jpegs()[0], orientation)
        crops = split.crops(tf.constant(content), key)
        upright = tf.io.encode_png(decode_image(content))
        expected = split.crops(upright, key)
        for a, b in zip(crops, expected, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_file_that_ends_early_is_noticed_wherever_its_crops_are(tmp_path):
    contents = [tf.io.encode_jpeg(noise(0)).numpy()] * 4
    contents[1] = contents[1][:-200]
    contents[2] += b"more, which decoders do not mind"
    contents[3] = b"\xff\xd8\xff\xd9"  # begins and ends as a JPEG
    folder = write(tmp_path / "bad", contents, "jpg")
    top = layers.Views([[layers.RandomResizedCrop(4, area=(0.01, 0.02))]] * 2)
    dataset = views(folder, augmentation=top)
    for _ in range(3):
        with pytest.warns(UserWarning, match=r"2 unreadable image\(s\)") as caught:
            assert len(one_pass(dataset)[0]) == 4
        (warning,) = caught
        assert "1.jpg" in str(warning.message) and "3.jpg" in str(warning.message)
    with pytest.raises(tf.errors.OpError, match="Cannot read an image.*1.jpg"):
        one_pass(views(folder, augmentation=top, on_error="raise", shuffle=False))


def test_other_policies_are_not_split():
    class Other(layers.Views):
        pass

    branch = [layers.RandomResizedCrop(4)]
    assert begins_with_crop(CROP_ONLY)
    assert not begins_with_crop(Other([branch]))
    assert not begins_with_crop(layers.Views([branch, [layers.RandomGrayscale()]]))
    assert not begins_with_crop(None)

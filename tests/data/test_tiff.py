"""Folders of TIFFs, and PNGs of 16 bits: the same images, wherever they are read."""

import io
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_contrastive as kc
from keras_contrastive.data.epochs import view_key
from keras_contrastive.data.file_format import file_format
from keras_contrastive.layers import RandomResizedCrop
from keras_contrastive.tiff import decode_tiff

tifffile = pytest.importorskip("tifffile")

SAMPLES = {"photometric": "minisblack", "planarconfig": "contig"}
PLANES = {"photometric": "minisblack", "planarconfig": "separate"}


def pixels(*shape, dtype="uint16", highest=65535):
    return np.random.default_rng(0).integers(0, highest + 1, shape, dtype)


def encoded(image, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, image, **options)
    return file.getvalue()


def folder_of(path, images, **options):
    for i, image in enumerate(images):
        path.mkdir(exist_ok=True)
        (path / f"{i}.tif").write_bytes(encoded(image, **options))
    return path


@pytest.mark.parametrize(
    "options, channels_at",
    [
        (SAMPLES, -1),
        (PLANES, 0),
        ({"metadata": {"axes": "CYX"}}, 0),
        ({"metadata": {"axes": "YXC"}}, -1),
        ({"ome": True, "metadata": {"axes": "CYX"}}, 0),
        ({"imagej": True, "metadata": {"axes": "CYX"}}, 0),
        ({**SAMPLES, "compression": "zlib", "predictor": True}, -1),
        ({**SAMPLES, "tile": (16, 16), "bigtiff": True}, -1),
    ],
)
def test_the_file_says_which_axis_holds_the_channels(options, channels_at):
    image = pixels(7, 6, 5)  # no length tells which
    decoded = decode_tiff(encoded(image, **options))
    expected = np.moveaxis(image, channels_at, -1) / 257
    np.testing.assert_allclose(decoded, expected, atol=1e-4)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_gray_rgb_and_alpha(dtype):
    highest = np.iinfo(dtype).max
    for shape in [(6, 5), (1, 5), (1, 1), (6, 5, 1), (6, 5, 2), (6, 5, 3), (6, 5, 4)]:
        image = pixels(*shape, dtype=dtype, highest=highest)
        options = SAMPLES if shape[2:] == (2,) else {}
        data = encoded(image, **options)
        expected = image.reshape(*shape[:2], -1) / (highest / 255)
        decoded = decode_tiff(data)
        assert decoded.dtype == ("uint8" if dtype == "uint8" else "float32")
        np.testing.assert_allclose(decoded, expected, atol=1e-4)
        if shape[2:] == (2,):
            continue
        colors = np.broadcast_to(expected[..., :3], (*shape[:2], 3))
        np.testing.assert_allclose(decode_tiff(data, 3), colors, atol=1e-4)
        luminance = colors @ (0.2989, 0.587, 0.114)
        np.testing.assert_allclose(decode_tiff(data, 1)[..., 0], luminance, atol=0.51)
    mask = pixels(6, 5, highest=1).astype(bool)
    for white, options in ((0, {}), (1, {"photometric": "minisblack"})):
        expected = np.where(mask == white, 255, 0)[..., None]
        np.testing.assert_array_equal(decode_tiff(encoded(mask, **options)), expected)
    negative = encoded(pixels(6, 5), photometric="miniswhite")
    np.testing.assert_allclose(
        decode_tiff(negative)[..., 0], 255 - pixels(6, 5) / 257, atol=1e-4
    )


def test_its_orientation_is_applied():
    pil, ops = pytest.importorskip("PIL.Image"), pytest.importorskip("PIL.ImageOps")
    image = pil.fromarray(pixels(7, 6, 3, dtype="uint8", highest=255))
    for orientation in range(1, 9):
        file = io.BytesIO()
        image.save(file, "TIFF", tiffinfo={274: orientation})
        upright = np.asarray(ops.exif_transpose(pil.open(file)))
        np.testing.assert_array_equal(decode_tiff(file.getvalue()), upright)


def two_images():
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(pixels(8, 8))
        writer.write(pixels(4, 4))
    return file.getvalue()


def lzw():
    file = io.BytesIO()
    pil = pytest.importorskip("PIL.Image")
    pil.new("RGB", (8, 8)).save(file, "TIFF", compression="tiff_lzw")
    return file.getvalue()


def huge():
    data = encoded(pixels(8, 8), metadata=None)
    for old in (256, 257):  # width and length: 8 becomes 65535
        at = data.index(np.uint16(old).tobytes(), 8)
        data = data[: at + 8] + b"\xff\xff\0\0" + data[at + 12 :]
    return data


def test_what_is_no_one_image_is_refused(monkeypatch, capfd):
    volume, hwc = pixels(5, 8, 8), pixels(8, 8, 5)
    floats = pixels(8, 8).astype("float32")
    for data, message in [
        (encoded(volume, metadata=None), r"axes are IYX of .*\(5, 8, 8\).* 'CYX'}"),
        (encoded(volume, ome=True, metadata={"axes": "ZYX"}), "are ZYX .*each image"),
        (encoded(hwc), r"its axes are QYX of shape \(8, 8, 5\)"),
        (two_images(), "holds 2 images of different kinds"),
        (encoded(pixels(8, 8, 4), photometric="separated"), "colours are SEPARATED"),
        (encoded(floats), r"float32, .* Pass value_range=\(lowest, highest\)"),
        (encoded(floats.astype("complex64")), "complex64. Save it as real"),
        (huge(), "65535 x 65535 pixels of 1 channels in .* bytes"),
        (encoded(hwc, **SAMPLES)[:300], "no TIFF, or damaged"),
        (b"II*\0\xff\xff\xff\xff", "no TIFF, or damaged"),
        (b"", "no TIFF, or damaged"),
    ]:
        with pytest.raises(ValueError, match=message):
            decode_tiff(data)
    with pytest.raises(ValueError, match="NaN or infinite pixels"):
        decode_tiff(encoded(np.full((4, 4), np.inf, "float32")), None, (0, 1))
    with pytest.raises(ValueError, match="has 5 channel.*, and 3 are asked for"):
        decode_tiff(encoded(hwc, **SAMPLES), channels=3)
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(ValueError, match="compression LZW.* pip install imagecodecs"):
        decode_tiff(lzw())
    assert capfd.readouterr().err == ""  # tifffile would log each damaged tag


def test_smaller_copies_in_a_file_are_no_other_images():
    file, image = io.BytesIO(), pixels(16, 16, 5)
    with tifffile.TiffWriter(file) as writer:
        writer.write(image, metadata=None, **SAMPLES)
        writer.write(image[::2, ::2], subfiletype=1, metadata=None, **SAMPLES)
    np.testing.assert_allclose(decode_tiff(file.getvalue()), image / 257, atol=1e-4)


def test_a_folder_is_the_same_as_its_arrays(tmp_path):
    images = pixels(8, 10, 12, 5)
    folder_of(tmp_path / "a", images[:4], **SAMPLES)
    folder_of(tmp_path / "b", np.moveaxis(images[4:], -1, 1), **PLANES)
    (of_arrays,) = kc.data.images_from_arrays(images, image_size=8)
    inputs = keras.Input((8, 8, 5))
    encoder = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs))
    features, labels = kc.evaluation.extract_features(encoder, tmp_path)
    assert labels.tolist() == [0] * 4 + [1] * 4
    np.testing.assert_allclose(features, np.mean(of_arrays, (1, 2)), rtol=1e-5)
    options = {"augmentation": None, "batch_size": 8, "shuffle": False}
    twelve = {"image_size": 8, "value_range": (0, 4095)}
    views = kc.data.views_from_directory(tmp_path, **options, **twelve)
    ((view,), _), *_ = views
    (expected,) = kc.data.images_from_arrays(images, **twelve)
    np.testing.assert_allclose(view, expected, atol=1e-2)
    # Crops of files of any size, by a policy that begins with them.
    options["augmentation"] = policy = kc.layers.Views([[RandomResizedCrop(8)]])
    cached = {"cache_encoded": True, "batch_size": 1, "seed": 1}
    views = kc.data.views_from_directory(tmp_path, **options | cached)
    ((view,), _), *_ = views
    (expected,) = policy(images[:1] / 257, seed=view_key(1, 0, 0))
    np.testing.assert_allclose(view, expected, atol=1e-2)


def test_files_that_do_not_go_together(tmp_path):
    def read(**options):
        found = file_format(kc.data.list_images(tmp_path)[0], **options)
        return "float32" if found.is_deep else "uint8", found.channels

    def write(name, image, **options):
        (tmp_path / name).write_bytes(encoded(image, **options))

    write("gray.tif", pixels(6, 6, dtype="uint8", highest=255))
    assert read() == ("uint8", 1) and read(channels=3) == ("uint8", 3)
    write("rgba.TIFF", pixels(6, 6, 4))
    message = r"one number of channels. Received: '.*gray.tif' has 1, and '.*rgba.TIFF'"
    with pytest.raises(ValueError, match=f"{message} has 4"):
        read()
    assert read(channels=3) == ("float32", 3)
    (tmp_path / "photo.jpg").write_bytes(
        tf.io.encode_jpeg(np.full((6, 6, 3), 100, "uint8")).numpy()
    )
    both = file_format(kc.data.list_images(tmp_path)[0], 3)
    for name in ("photo.jpg", "rgba.TIFF"):  # one graph for both
        image = both.decode(tf.io.read_file(str(tmp_path / name)))
        np.testing.assert_allclose(image, both.read(str(tmp_path / name)))
        assert image.shape == (6, 6, 3) and image.dtype == tf.float32
    write("five.tif", pixels(6, 6, 5), **SAMPLES)
    with pytest.raises(ValueError, match="channels=3, and '.*five.tif' has 5"):
        read(channels=3)
    for name in ("gray.tif", "rgba.TIFF"):
        (tmp_path / name).unlink()
    with pytest.raises(ValueError, match="five.tif' has 5, and '.*photo.jpg' is read"):
        read()
    with pytest.raises(ValueError, match="channels=5, and '.*photo.jpg'. Take the fil"):
        read(channels=5)
    (tmp_path / "photo.jpg").unlink()
    write("float.tif", pixels(6, 6, 5).astype("float32"), **SAMPLES)
    with pytest.raises(ValueError, match="float.tif: its pixels are float32.*Pass val"):
        read()
    assert read(value_range=(0, 65535)) == ("float32", 5)
    (tmp_path / "float.tif").unlink()
    write("five.tif", pixels(6, 6, 5, highest=4095), **SAMPLES)
    with pytest.warns(
        UserWarning, match="the files is above 40.*12 bits, pass value_r"
    ):
        read()
    (tmp_path / "five.tif").write_bytes(b"II*\0")
    with pytest.raises(ValueError, match="None of the 1 TIFF.*five.tif: it is no TIFF"):
        read()


def test_broken_files_are_named_or_left_out(tmp_path):
    folder_of(tmp_path, pixels(4, 6, 6, 5), **SAMPLES)
    whole = (tmp_path / "0.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(whole[:-100])  # its header is good
    (tmp_path / "volume.tif").write_bytes(encoded(pixels(5, 6, 6), metadata=None))
    views = kc.data.views_from_directory(
        tmp_path, augmentation=None, batch_size=6, image_size=4
    )
    with pytest.warns(UserWarning, match="2 unreadable") as told:
        list(views)
    assert "cut.tif: it is no TIFF, or damaged" in str(told[0].message)
    assert "volume.tif: its axes are IYX" in str(told[0].message)
    with pytest.warns(UserWarning, match="2 unreadable.*left out"):
        images = kc.data.images_from_directory(tmp_path, image_size=4, on_error="skip")
    assert len(images.file_paths) == 4


def test_without_tifffile(tmp_path, monkeypatch):
    folder_of(tmp_path, pixels(1, 6, 6))
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(ImportError, match=r'pip install "keras-contrastive\[tiff\]"'):
        kc.data.images_from_directory(tmp_path, image_size=4)


def test_a_graph_says_that_it_reads_no_tiff():
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="Received a TIFF, which T"
    ):
        kc.image_io.decode_image(encoded(pixels(6, 6)))


def test_pngs_of_16_bits(tmp_path):
    deep = pixels(6, 6, 4)
    images = {
        "eight": (deep[..., :3] >> 8).astype("uint8"),
        "gray": deep[..., :1],
        "rgb": deep[..., :3],
        "rgba": deep,
    }
    for name, image in images.items():
        (tmp_path / f"{name}.png").write_bytes(tf.io.encode_png(image).numpy())

    def expected(value_range):
        spread = [kc.data.to_255(x, value_range) for x in [*images.values()][1:]]
        colors = [np.broadcast_to(x[..., :3], (6, 6, 3)) for x in spread]
        return [images["eight"], *colors]  # 8 bits are taken as they are

    files = [str(tmp_path / f"{name}.png") for name in images]
    for value_range in (None, (0, 4095)):
        found = file_format(files, None, value_range)
        assert found.is_deep and not found.has_tiff
        read = [found.decode(tf.io.read_file(file)) for file in files]
        np.testing.assert_allclose(read, expected(value_range), atol=1e-3)
    options = {"image_size": 6, "value_range": (0, 4095)}
    data = tf.data.Dataset.from_tensors((tmp_path / "rgba.png").read_bytes())
    views = kc.data.views_from_dataset(
        data, augmentation=None, batch_size=1, channels=1, **options
    )
    ((view,),) = next(iter(views))
    luminance = expected((0, 4095))[3] @ (0.2989, 0.587, 0.114)
    np.testing.assert_allclose(view[0, ..., 0], luminance, atol=0.1)


def test_dark_pngs_of_16_bits_are_said(tmp_path):
    png = tf.io.encode_png(pixels(6, 6, 1, highest=1023)).numpy()
    (tmp_path / "a.png").write_bytes(png)
    with pytest.warns(UserWarning, match=r"10 bits, pass value_range=\(0, 1023\)"):
        file_format([str(tmp_path / "a.png")])

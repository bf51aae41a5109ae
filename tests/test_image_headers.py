"""Orientation against PIL, and what is refused before it is decoded."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf

from keras_contrastive.image_headers import read_header
from keras_contrastive.image_io import decode_image

PICTURE = np.random.default_rng(0).integers(0, 256, (9, 14, 3), "uint8")
# In a graph, once for all files: this is how loaders and servers run it.
DECODE = tf.function(decode_image, input_signature=[tf.TensorSpec((), tf.string)])


def saved(kind, image=PICTURE, **options):
    pil = pytest.importorskip("PIL.Image", reason="needs pillow")
    buffer = io.BytesIO()
    pil.fromarray(image).save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation, order="<", kind=3, before=0):
    """The TIFF of an EXIF block, with other tags in front of the orientation."""
    entries = [struct.pack(order + "HHII", 256 + i, 4, 1, 7) for i in range(before)]
    entries.append(struct.pack(order + "HHIHH", 274, kind, 1, orientation, 0))
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    count = struct.pack(order + "H", len(entries))
    return head + count + b"".join(entries) + bytes(4)


def segment(marker, content):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(content) + 2) + content


def jpeg_with(*segments):
    data = tf.io.encode_jpeg(PICTURE, format="rgb").numpy()
    return data[:2] + b"".join(segments) + data[2:]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_are_those_of_pil(orientation):
    pil = pytest.importorskip("PIL.Image", reason="needs pillow")
    from PIL import ImageOps

    for kind, options in [("JPEG", {}), ("PNG", {}), ("WEBP", {"lossless": True})]:
        for order in "<>":
            block = b"Exif\0\0" + exif(orientation, order, before=3)
            data = saved(kind, exif=block, **options)
            expected = np.asarray(ImageOps.exif_transpose(pil.open(io.BytesIO(data))))
            image = DECODE(data)
            assert (
                image.shape
                == expected.shape
                == ((9, 14, 3), (14, 9, 3))[orientation > 4]
            )
            atol = 8 if kind == "JPEG" else 0  # two JPEG decoders
            np.testing.assert_allclose(image, expected.astype(int), atol=atol)


@pytest.mark.parametrize(
    "segments, orientation",
    [
        (
            [segment(0xE0, b"JFIF\0" + bytes(9)), segment(0xE1, b"Exif\0\0" + exif(6))],
            6,
        ),
        ([segment(0xE1, b"Exif\0\0" + exif(6, ">"))], 6),
        # A thumbnail with an orientation and scans of its own.
        (
            [
                segment(
                    0xE1,
                    b"Exif\0\0"
                    + exif(8)
                    + jpeg_with(segment(0xE1, b"Exif\0\0" + exif(3))),
                )
            ],
            8,
        ),
        # XMP, then EXIF; text that speaks of EXIF.
        ([segment(0xE1, b"http://ns\0<x/>"), segment(0xE1, b"Exif\0\0" + exif(3))], 3),
        ([segment(0xFE, b"Exif\0\0" + exif(3))], 1),
        # Garbage.
        ([segment(0xE1, b"Exif\0\0")], 1),
        ([segment(0xE1, b"Exif\0\0" + exif(6)[:9])], 1),
        ([segment(0xE1, b"Exif\0\0" + bytes(40))], 1),
        ([segment(0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff" + bytes(20))], 1),
        ([segment(0xE1, b"Exif\0\0" + exif(0))], 1),
        ([segment(0xE1, b"Exif\0\0" + exif(9))], 1),
        ([segment(0xE1, b"Exif\0\0" + exif(6, kind=2))], 1),
        ([], 1),
    ],
)
def test_where_exif_stands_in_a_jpeg(segments, orientation):
    assert read_header(jpeg_with(*segments)).orientation == orientation


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP"])
def test_size_is_read_from_the_header(kind):
    options = [{}, {"lossless": True}, {"exif": exif(1)}] if kind == "WEBP" else [{}]
    for option in options:
        data = saved(kind, **option)
        header = read_header(data)
        assert (header.height, header.width) == (9, 14)
        assert decode_image(data, max_pixels=9 * 14).shape == (9, 14, 3)
        for graph_or_eager in (decode_image, tf.function(decode_image)):
            with pytest.raises(tf.errors.InvalidArgumentError, match="at most 125 pix"):
                graph_or_eager(data, max_pixels=125)


def test_of_an_animated_gif_the_first_frame_is_decoded():
    pil = pytest.importorskip("PIL.Image", reason="needs pillow")
    rng = np.random.default_rng(0)
    frames = [pil.fromarray(rng.integers(0, 256, (90, 80), "uint8")) for _ in range(3)]
    buffer = io.BytesIO()
    frames[0].save(
        buffer, "GIF", save_all=True, append_images=frames[1:], comment=b"x" * 700
    )
    data = buffer.getvalue()
    np.testing.assert_array_equal(DECODE(data)[..., 0], np.asarray(frames[0]))
    assert len(read_header(data).contents.numpy()) < len(data) / 2
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="a GIF with a whole frame"
    ):
        DECODE(data[:3000])


def chunk(kind, data):
    check = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + check


def png(width, height, rows, *chunks):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(rows))
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + b"".join(chunks) + pixels + chunk(b"IEND", b"")


def progressive(size, scans):
    """A JPEG of a single gray that is refined again and again: a few bytes a scan."""
    out = b"\xff\xd8" + segment(0xDB, b"\0" + b"\1" * 64)
    out += segment(0xC2, struct.pack(">BHHB3B", 8, size, size, 1, 1, 0x11, 0))
    for table in (b"\0", b"\x10"):
        out += segment(0xC4, table + b"\1" + bytes(15) + b"\0")
    out += segment(0xDA, b"\1\1\0\0\0\1")
    return out + segment(0xDA, b"\1\1\0\0\0\x10") * (scans - 1) + b"\xff\xd9"


def test_scans_are_bounded():
    assert DECODE(progressive(16, 100)).shape == (16, 16, 3)
    with pytest.raises(tf.errors.InvalidArgumentError, match="at most 100 scans"):
        DECODE(progressive(16, 101))
    # 16 million pixels, 20 times.
    with pytest.raises(tf.errors.InvalidArgumentError, match="20 for each byte"):
        DECODE(progressive(4000, 20))


def test_what_looks_like_scans_behind_a_photograph_does_not_count():
    """A phone's film of 5 MB: by chance FF DA stands in it 80 times."""
    data = tf.io.encode_jpeg(PICTURE).numpy()
    film = np.random.default_rng(0).bytes(5_000_000)
    assert film.count(b"\xff\xda") > 50
    np.testing.assert_array_equal(DECODE(data + film), DECODE(data))


def test_pixels_are_bounded_by_bytes():
    rows = bytes(6000 * (1 + 3 * 6000))
    with pytest.raises(tf.errors.InvalidArgumentError, match="20 for each byte.*6000"):
        DECODE(png(6000, 6000, rows[:1000]))
    # With enough bytes it is let pass: here they are in a text.
    header = read_header(png(6000, 6000, b"", chunk(b"tEXt", b"a\0" + b"b" * 600_000)))
    assert header.width == 6000


def test_a_png_must_not_hold_more_than_its_pixels():
    row = b"\0" + bytes(3 * 8)
    noise = np.random.default_rng(0).bytes(300_000)
    with pytest.raises(tf.errors.InvalidArgumentError, match="no more bytes of"):
        DECODE(png(8, 8, row * 8 + noise))
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(noise[:9000]))
    assert DECODE(png(8, 8, row * 8, *[text] * 8)).shape == (8, 8, 3)
    with pytest.raises(tf.errors.InvalidArgumentError, match="at most 8 texts"):
        DECODE(png(8, 8, row * 8, *[text] * 9))


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "Input is empty"),
        (b"abc", "Expected the bytes of"),
        (b"RIFF\1\1\1\1WAVE", "Expected the bytes of"),
        (b"RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0\2" + bytes(20), "animated WebP"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"\xff\xd8\xff", "JPEG"),
        (b"GIF89a", "GIF"),
        (b"BM", "bmp"),
    ],
)
def test_other_bytes(data, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        decode_image(data)


def test_libjpeg_does_not_see_what_is_cut_off(capfd):
    """It prints "Improper call to JPEG library" past Python, once for each file."""
    image = np.random.default_rng(0).integers(0, 256, (60, 50, 3), "uint8")
    for progressive in (False, True):
        data = tf.io.encode_jpeg(image, progressive=progressive).numpy()
        for end in (3, 100, len(data) // 2, len(data) - 1):
            with pytest.raises(tf.errors.InvalidArgumentError, match="is cut off"):
                DECODE(data[:end])
    assert "JPEG" not in capfd.readouterr().err


def test_a_png_of_16_bits_counts_twice():
    header = struct.pack(">IIBBBBB", 4000, 4000, 16, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"as 20 scans.*4000\] \[20\]"
    ):
        DECODE(data)  # 16 million pixels, twice
    with pytest.raises(tf.errors.InvalidArgumentError, match="Invalid PNG"):
        DECODE(data.replace(header, header[:8] + b"\x08" + header[9:]))

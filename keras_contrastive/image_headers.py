"""What an image file says before it is decoded: size, work, orientation.

In TensorFlow ops alone, so that it holds in `tf.data`, in a SavedModel and under
TensorFlow Serving alike. A small file can ask for hours or for all memory; here it is
refused by what its bytes say, before a decoder sees it.
"""

import functools
from typing import NamedTuple

import tensorflow as tf

# The largest phone cameras have 200 million. 0.75 GB when decoded.
MAX_PIXELS = 250_000_000
# The work that any file may ask for, and what more with each of its bytes, in pixels.
# Photographs have 2 to 10 pixels in a byte.
FREE_PIXELS = 25_000_000
PIXELS_PER_BYTE = 20
# Ten scans of a progressive JPEG, what most have, cost as much as one image. A PNG of
# 16 bits costs as much as two.
SCANS_PER_IMAGE = 10
MAX_SCANS = 100
# A text in a PNG may be compressed, and become 8 MB.
MAX_TEXTS = 8
_FREE_BYTES = 2**16  # too small a PNG to be worth a look


class Header(NamedTuple):
    """What `read_header` found; all are scalar tensors.

    Args:
        contents: The bytes to decode; of a GIF those of its first frame.
        height: int32, of the pixels as stored: before `orientation` is applied.
        width: int32.
        orientation: int32, 1 to 8, as in EXIF.
    """

    contents: tf.Tensor
    height: tf.Tensor
    width: tf.Tensor
    orientation: tf.Tensor


def read_header(data, max_pixels: int = MAX_PIXELS) -> Header:
    """Read size and orientation of an encoded image, and refuse what costs too much.

    Refused are:

    - more than `max_pixels` pixels;
    - more than 25 million pixels in a file that has no byte for each 20 of the rest
      (every ten scans of a progressive JPEG count as its pixels once, a PNG of 16 bits
      as 20 scans);
    - a JPEG of more than 100 scans;
    - a PNG with more bytes of compressed pixels than of pixels, or with more than 8
      texts that may be compressed;
    - an animated WebP.

    Args:
        data: Scalar string tensor, the bytes of a JPEG, PNG, GIF, BMP or WebP file.
        max_pixels: Images with more pixels than this are refused.

    Returns:
        A `Header`.

    Raises:
        tf.errors.InvalidArgumentError: No such file, a damaged header, or one that is
            refused. In a graph it comes when the graph runs.
    """
    return _read_header(tf.convert_to_tensor(data, tf.string), max_pixels)


# A function of its own, which is traced once for all graphs that it is called in:
# tracing it takes longer than all the rest of a loader.
@functools.partial(tf.function, autograph=False)
def _read_header(data, max_pixels):
    contents, size, scans, tiff = tf.cond(
        tf.strings.substr(data, 0, 3) == b"\xff\xd8\xff",
        lambda: _jpeg(data),
        lambda: tf.cond(
            tf.strings.substr(data, 0, 8) == b"\x89PNG\r\n\x1a\n",
            lambda: _png(data),
            lambda: apart(_other, data),
        ),
    )
    length = tf.strings.length(data)
    pixels = tf.reduce_prod(_float(size))
    images = tf.maximum(_float(scans) / SCANS_PER_IMAGE, 1)
    allowed = FREE_PIXELS + PIXELS_PER_BYTE * _float(length)
    contents = _passed(
        contents,
        (pixels <= max_pixels) & (pixels * images <= allowed) & (scans <= MAX_SCANS),
        f"Expected an image of at most {max_pixels} pixels, of at most "
        f"{FREE_PIXELS} and {PIXELS_PER_BYTE} for each byte of the file (every "
        f"{SCANS_PER_IMAGE} scans of a JPEG count as its pixels once, a PNG of 16 bits "
        f"as {2 * SCANS_PER_IMAGE} scans), and of at most {MAX_SCANS} scans. Make it "
        "smaller or save it again. Received this "
        "height and width, number of scans, and number of bytes:",
        size,
        scans,
        length,
    )
    orientation = tf.cond(
        tf.strings.length(tiff) > 0,
        lambda: apart(_orientation, tiff),
        lambda: tf.constant(1),
    )
    return Header(contents, size[0], size[1], orientation)


def apart(function, *arguments):
    """Call a function that is seldom needed, so that it costs nothing where it is not.

    Each operation in a branch of `tf.cond` costs about a microsecond, also where the
    branch is not taken. A dataset keeps its function to itself until it is asked.
    """
    function = tf.autograph.experimental.do_not_convert(function)
    dataset = tf.data.Dataset.from_tensors(arguments).map(function)
    return dataset.get_single_element()


# One function for each format. They return the bytes to decode; height and width,
# int32 (2,); the number of scans; and the EXIF data, a TIFF, or nothing.


def _jpeg(data):
    # A scan begins with FF DA and its length, below 256. Compressed pixels never hold
    # FF DA; what is behind them (a phone's film) holds all three by chance only.
    parts = _split(data, b"\xff\xda\0", MAX_SCANS + 1)
    ends = tf.raw_ops.StringSplitV2(input=parts[1:], sep=b"\xff\xd9", maxsplit=1)
    # TensorFlow refuses these, too, but its libjpeg prints a line about each of them.
    data = _passed(
        data,
        tf.size(ends.values) >= tf.size(parts),
        "Expected a JPEG with pixels (FF DA) and an end (FF D9) behind them. Received "
        "one that is cut off, of this number of bytes:",
        tf.strings.length(data),
    )
    exif = _split(parts[0], b"Exif\0\0", 1)
    # Behind FF E1 and a length: APP1. The text may stand in a comment, too.
    before = tf.strings.substr(tf.strings.join([b"\0\0\0\0", exif[0]]), -4, 2)
    return (
        data,
        tf.io.extract_jpeg_shape(data)[:2],
        tf.size(parts) - 1,
        tf.where(before == b"\xff\xe1", exif[-1], b""),
    )


def _png(data):
    start = tf.strings.join([tf.strings.substr(data, 0, 25), b"\0" * 25])
    size = tf.io.decode_raw(
        tf.strings.substr(start, 16, 8), tf.int32, little_endian=False
    )
    exif = _split(data, b"eXIf", 1)
    return (
        tf.cond(
            tf.strings.length(data) > _FREE_BYTES,
            lambda: apart(_checked_png, data),
            lambda: data,
        ),
        tf.reverse(tf.ensure_shape(size, (2,)), [0]),
        tf.where(tf.strings.substr(start, 24, 1) == b"\x10", 2 * SCANS_PER_IMAGE, 1),
        tf.strings.reduce_join(exif[1:]),
    )


def _checked_png(data):
    """`data`, if it unpacks to little more than its pixels."""
    header = _octets(data, 26)
    sides = _float(tf.reshape(header[16:24], (2, 4)))
    width, height = tf.unstack(tf.linalg.matvec(sides, _float([2**24, 2**16, 2**8, 1])))
    channels = tf.constant([1, 0, 3, 1, 2, 0, 4, 0], tf.int32)[header[25] & 7]
    row = 1 + width * _float(header[24] * channels) / 8
    compressed = tf.strings.length(_split(data, b"IDAT", 1)[-1])
    texts = [_split(data, kind, MAX_TEXTS + 1)[1:] for kind in (b"zTXt", b"iTXt")]
    texts = tf.size(tf.concat(texts, 0))
    return _passed(
        data,
        (_float(compressed) <= 1.1 * height * row + 4 * _FREE_BYTES)
        & (texts <= MAX_TEXTS),
        "Expected a PNG with no more bytes of compressed pixels than of pixels, and of "
        f"at most {MAX_TEXTS} texts (zTXt, iTXt). Save it again, without frames and "
        "texts. Received these numbers of bytes and texts:",
        compressed,
        texts,
    )


def _other(data):
    start = tf.strings.join([tf.strings.substr(data, 0, 12), b"\0" * 12])
    kinds = [
        tf.strings.substr(start, 0, 4) == b"GIF8",
        tf.strings.substr(start, 0, 2) == b"BM",
        (tf.strings.substr(start, 0, 4) == b"RIFF")
        & (tf.strings.substr(start, 8, 4) == b"WEBP"),
    ]
    message = tf.where(
        tf.strings.length(data) > 0,
        "Expected the bytes of a JPEG, PNG, GIF, BMP or WebP image. Received others.",
        "Input is empty",
    )
    mark = tf.strings.substr(start, 0, 4)
    message = tf.where(
        (mark == b"II*\0") | (mark == b"MM\0*"),
        "Expected the bytes of a JPEG, PNG, GIF, BMP or WebP image. Received a TIFF, "
        "which TensorFlow has no decoder for. Decode it, and send its pixels.",
        message,
    )
    data = _passed(data, tf.reduce_any(kinds), message)
    kind = tf.argmax(kinds, output_type=tf.int32)
    return tf.switch_case(
        kind, [lambda: _gif(data), lambda: _bmp(data), lambda: _webp(data)]
    )


def _gif(data):
    """Walk along the blocks to the end of the first frame; the others are cut off."""
    octets = tf.io.decode_raw(tf.strings.join([data, b"\0" * 32]), tf.uint8)
    length = tf.strings.length(data)

    def table_at(position):  # the size of a colour table, by its flags
        flags = tf.cast(octets[position], tf.int32)
        has_table = tf.bitwise.right_shift(flags, 7)
        return has_table * 3 * tf.bitwise.left_shift(2, flags & 7)

    # Where the walk is: before a block, or in the data of an extension or of a frame.
    before, extension, frame, end, lost = range(5)

    def step(position, place, frame_at):
        octet = tf.cast(octets[position], tf.int32)
        is_frame = octet == 0x2C
        after_header = tf.where(is_frame, 11 + table_at(position + 9), 2)
        starts = tf.where(is_frame, frame, tf.where(octet == 0x21, extension, lost))
        stops = tf.where(place == frame, end, before)
        is_before = place == before
        return (
            position + tf.where(is_before, after_header, octet + 1),
            tf.where(is_before, starts, tf.where(octet == 0, stops, place)),
            tf.where(is_before & is_frame, position, frame_at),
        )

    position, place, frame_at = tf.while_loop(
        lambda position, place, _: (place < end) & (position < length),
        step,
        (13 + table_at(10), tf.constant(before), tf.constant(0)),
        # Blocks of pixels have 255 bytes; a text reads as blocks of about 100.
        maximum_iterations=1000 + length // 32,
    )
    data = _passed(
        tf.strings.join([tf.strings.substr(data, 0, position), b";"]),
        (place == end) & (position <= length),
        "Expected a GIF with a whole frame. Received less.",
    )
    frame_size = octets[frame_at + 5 : frame_at + 9]
    sides = tf.cast(tf.stack([octets[6:10], frame_size]), tf.int32)
    size = tf.reduce_max(sides[:, ::2] + 256 * sides[:, 1::2], axis=0)
    return data, tf.reverse(tf.ensure_shape(size, (2,)), [0]), 1, ""


def _bmp(data):
    padded = tf.strings.join([tf.strings.substr(data, 0, 26), b"\0" * 26])
    size = tf.io.decode_raw(tf.strings.substr(padded, 18, 8), tf.int32)
    # A height below 0 says that the first row is on top.
    return data, tf.reverse(tf.abs(tf.ensure_shape(size, (2,))), [0]), 1, ""


def _webp(data):
    header = _octets(data, 32)
    kind = tf.strings.substr(data, 12, 4)
    flags = tf.where(kind == b"VP8X", header[20], 0)
    # TensorFlow 2.21 writes outside its buffer there: the process dies with
    # "free(): corrupted unsorted chunks".
    data = _passed(data, flags & 2 == 0, "animated WebP is not supported")
    low, high = header[21:25], header[24:30]
    size = tf.case(
        [
            (
                kind == b"VP8 ",
                lambda: (
                    header[28] + (header[29] & 63) * 256,
                    header[26] + (header[27] & 63) * 256,
                ),
            ),
            (
                kind == b"VP8L",
                lambda: (
                    1 + low[1] // 64 + low[2] * 4 + (low[3] & 15) * 1024,
                    1 + low[0] + (low[1] & 63) * 256,
                ),
            ),
        ],
        default=lambda: (
            1 + high[3] + high[4] * 256 + high[5] * 65536,
            1 + high[0] + high[1] * 256 + high[2] * 65536,
        ),
    )
    # The chunk is "EXIF", its length and its data, which for some begins as in a JPEG.
    block = tf.strings.join([_split(data, b"EXIF", -1)[-1], b"\0" * 12])
    starts = tf.strings.substr(block, 4, 6) == b"Exif\0\0"
    tiff = tf.strings.substr(block, tf.where(starts, 10, 4), _EXIF_BYTES)
    return data, tf.stack(size), 1, tf.where(flags & 8 > 0, tiff, b"")


_EXIF_BYTES = 2**16


def _orientation(tiff):
    """Tag 274 of the first directory; 1 where that says nothing in 1 to 8."""
    data = tf.strings.join([tf.strings.substr(tiff, 0, _EXIF_BYTES), b"\0" * 16])
    is_little = tf.strings.substr(data, 0, 4) == b"II*\0"
    is_big = tf.strings.substr(data, 0, 4) == b"MM\0*"
    octets = tf.cast(tf.io.decode_raw(data, tf.uint8), tf.int32)

    def number(octets):
        """Of the last axis, which has 2 octets, or 4 of which 2 matter here."""
        octets = tf.where(is_little, octets, octets[..., ::-1])
        return octets[..., 0] + 256 * octets[..., 1]

    start = tf.minimum(number(octets[4:8]), tf.size(octets) - 2)
    entries = octets[start + 2 :]
    count = tf.minimum(number(octets[start : start + 2]), tf.size(entries) // 12)
    entries = tf.reshape(entries[: 12 * count], (-1, 12))
    is_orientation = (number(entries[:, :2]) == 274) & (number(entries[:, 2:4]) == 3)
    values = tf.boolean_mask(number(entries[:, 8:10]), is_orientation)
    value = tf.concat([values, [1]], 0)[0]
    return tf.where((is_little | is_big) & (value >= 1) & (value <= 8), value, 1)


def _split(data, separator, most):
    return tf.raw_ops.StringSplitV2(input=[data], sep=separator, maxsplit=most).values


def _octets(data, count):
    """The first bytes as int32 `(count,)`."""
    padded = tf.strings.join([tf.strings.substr(data, 0, count), b"\0" * count])
    octets = tf.io.decode_raw(tf.strings.substr(padded, 0, count), tf.uint8)
    return tf.cast(tf.ensure_shape(octets, (count,)), tf.int32)


def _float(x):
    return tf.cast(x, tf.float64)


def _passed(data, condition, *message):
    """`data`, if the condition holds."""
    fine = tf.raw_ops.Assert(condition=condition, data=message)
    with tf.control_dependencies([fine] if fine is not None else []):  # None: eager
        return tf.identity(data)

"""The worst files of 1 MB that the decoder accepts: `python decode_bombs.py`.

Run by hand. Each file is as expensive as its format allows within the limits of
`image_headers`. Prints, for each, whether it is accepted, seconds of processor time and
megabytes of memory, both in a process of its own, and at the end the slowest.
"""

import io
import multiprocessing
import resource
import struct
import time
import zlib

import numpy as np

SIZE = 1_000_000


def chunk(kind, data):
    check = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + check


def png(width, height, *, depth=8, color=2, interlace=0, pixels=None, chunks=()):
    """A PNG of zeros, filled up to `SIZE` by a chunk that says nothing."""
    channels = (1, 0, 3, 1, 2, 0, 4)[color]
    if pixels is None:
        pixels = height * (1 + (width * channels * depth + 7) // 8)
        if interlace:
            pixels += 2 * height + 16 * width  # about: seven images
    pack, zeros, left = zlib.compressobj(9), bytes(1 << 20), pixels
    parts = []
    while left > 0:
        parts.append(pack.compress(zeros[: min(left, len(zeros))]))
        left -= len(zeros)
    data = b"".join([*parts, pack.flush()])
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlace)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks)
    end = chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return start + chunk(b"vpAg", bytes(SIZE - len(start + end) - 12)) + end


def segment(marker, content):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(content) + 2) + content


def progressive_jpeg(side, scans):
    """A gray JPEG whose coefficients are refined again and again in a few bytes."""
    blocks = (side // 8 + 1) ** 2
    # One code, 0: the next 32,767 blocks have nothing new.
    run = "0" + "1" * 14
    bits = run * (blocks // 32_767 + 1)
    bits += "1" * (-len(bits) % 8)
    refine = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    out = b"\xff\xd8" + segment(0xDB, b"\0" + b"\1" * 64)
    out += segment(0xC2, struct.pack(">BHHB3B", 8, side, side, 1, 1, 0x11, 0))
    out += segment(0xC4, b"\0\1" + bytes(15) + b"\0")
    out += segment(0xC4, b"\x10\1" + bytes(15) + b"\xe0")
    out += segment(0xDA, b"\1\1\0\0\0\1") + bytes(blocks // 8 + 1)
    out += segment(0xDA, b"\1\1\0\1\x3f\1") + refine
    out += (segment(0xDA, b"\1\1\0\1\x3f\x10") + refine) * (scans - 2)
    return filled(out + b"\xff\xd9")


def saved(kind, side, mode="RGB", **options):
    """Blocks of random colours, as many as `SIZE` holds."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None
    random = np.random.default_rng(0)
    for step in (8, 32, 128, 512):
        few = random.integers(0, 256, (side // step + 1,) * 2 + (4,), "uint8")
        image = Image.fromarray(few, "RGBA").convert(mode)
        buffer = io.BytesIO()
        image.resize((side, side), Image.Resampling.NEAREST).save(
            buffer, kind, **options
        )
        if buffer.tell() <= SIZE:
            return filled(buffer.getvalue())
    raise ValueError(f"{kind} {options} has {buffer.tell()} bytes")


def filled(data):
    """Up to `SIZE`, behind the end: the more bytes, the more pixels are accepted."""
    return data + bytes(SIZE - len(data))


BOMBS = {
    # Refused.
    "JPEG of 1006 scans": lambda: progressive_jpeg(5000, 1006),
    "PNG 8 x 8 that unpacks to 1 GB": lambda: png(8, 8, pixels=900_000_000),
    "PNG 23000 x 23000 of 1 bit": lambda: png(23_000, 23_000, depth=1, color=0),
    "PNG with 120 texts of 8 MB": lambda: png(8, 8, chunks=[text()] * 120),
    "PNG RGBA of 16 bits, 45 megapixels": lambda: png(6700, 6700, depth=16, color=6),
    # Each as large as is accepted.
    "JPEG of 100 scans": lambda: progressive_jpeg(2120, 100),
    "JPEG of 10 scans": lambda: progressive_jpeg(6700, 10),
    "JPEG, progressive": lambda: saved(
        "JPEG", 6700, progressive=True, subsampling=0, quality=1
    ),
    "JPEG, progressive, CMYK": lambda: saved(
        "JPEG", 4600, "CMYK", progressive=True, subsampling=0, quality=1
    ),
    "JPEG": lambda: saved("JPEG", 5900, subsampling=0, quality=1),
    "PNG": lambda: png(6700, 6700),
    "PNG RGBA": lambda: png(6700, 6700, color=6),
    "PNG RGBA, interlaced": lambda: png(6700, 6700, color=6, interlace=1),
    "PNG RGBA of 16 bits": lambda: png(4740, 4740, depth=16, color=6),
    "PNG RGBA of 16 bits, interlaced": lambda: png(
        4740, 4740, depth=16, color=6, interlace=1
    ),
    "PNG of 1 bit, interlaced": lambda: png(6700, 6700, depth=1, color=0, interlace=1),
    "PNG of noise": lambda: saved("PNG", 6700),
    "PNG 8 x 8 that unpacks to 240 MB": lambda: png(8, 8, pixels=240_000_000),
    "PNG with 8 texts of 8 MB": lambda: png(8, 8, chunks=[text()] * 8),
    "GIF": lambda: saved("GIF", 6700, "L"),
    "WebP": lambda: saved("WEBP", 6700, method=0, quality=1),
    "WebP, lossless": lambda: saved("WEBP", 6700, lossless=True, method=0),
    "WebP, lossless, with alpha": lambda: saved(
        "WEBP", 6700, "RGBA", lossless=True, method=0
    ),
}


def text():
    return chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(7_900_000), 9))


def measure(data):
    """(whether it is accepted, seconds, megabytes), in a process of its own."""
    import tensorflow as tf
    from keras_contrastive.data.decoding import reason

    from keras_contrastive.image_io import decode_image

    decode = tf.function(decode_image, input_signature=[tf.TensorSpec((), tf.string)])
    decode(tf.io.encode_png(tf.zeros((9, 9, 3), tf.uint8)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = time.process_time()
    try:
        decode(tf.constant(data))
        message = ""
    except tf.errors.InvalidArgumentError as error:
        message = reason(error)
    seconds = time.process_time() - seconds
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return message, seconds, (peak - before) / 1024


def main():
    slowest = (0, "")
    context = multiprocessing.get_context("spawn")
    for name, make in BOMBS.items():
        data = make()
        with context.Pool(1) as pool:
            message, seconds, megabytes = pool.apply(measure, (data,))
        answer = "refused" if message else "accepted"
        cost = f"{seconds:5.2f} s {megabytes:6.0f} MB"
        print(f"{answer} {cost}  {name}  {message[:90]}", flush=True)
        if not message:
            slowest = max(slowest, (seconds, name))
    print(f"The slowest accepted file: {slowest[1]}, {slowest[0]:.2f} s.")


if __name__ == "__main__":
    main()

"""Send mutated images to `serve_bytes`: `fuzz_serve_bytes.py MODEL COUNT`, in a process
of its own, since what is looked for is a crash. Each comes beside a good one, which
must not suffer. Prints counts and memory as JSON."""

import json
import resource
import struct
import sys
import zlib

import numpy as np
import tensorflow as tf


def png(width, height, rows=None, color=2):
    """A PNG by hand: its header may lie."""

    def chunk(kind, data):
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", width, height, 8, color, 0, 0, 0)
    rows = b"" if rows is None else rows
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def seeds(rng):
    """Right images and well-formed oddities."""
    image = rng.integers(0, 256, (24, 30, 3), "uint8")
    smooth = np.full((40, 33, 3), 90, "uint8")
    alpha = rng.integers(0, 256, (9, 11, 4), "uint8")
    deep = rng.integers(0, 2**16, (9, 11, 3), "uint16")
    files = [
        tf.io.encode_jpeg(image),
        tf.io.encode_jpeg(smooth, progressive=True),
        tf.io.encode_jpeg(image[..., :1]),
        tf.io.encode_png(image),
        tf.io.encode_png(alpha),
        tf.io.encode_png(alpha[..., :2]),
        tf.io.encode_png(deep),
        tf.io.encode_png(np.zeros((1, 20000, 3), "uint8")),
        tf.io.encode_jpeg(np.zeros((20000, 1, 3), "uint8")),
    ]
    odd = [
        b"",
        b"GIF89a" + bytes(range(200)),
        b"BM" + bytes(300),
        b"RIFF\x20\0\0\0WEBPVP8X" + bytes(40),
        b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
        png(50_000, 50_000),
        png(2**31 - 1, 2**31 - 1),
        png(0, 7),
        png(5000, 5000),  # as large as is allowed, and nothing in it
        png(4, 4, b"\0" * 13 * 4, color=2),
    ]
    try:
        import io

        from PIL import Image

        photo = Image.fromarray(image)
        exif = Image.Exif()
        exif[274] = 6
        for mode, kind, options in (
            ("CMYK", "JPEG", {}),
            ("RGB", "JPEG", {"exif": exif}),
            ("P", "PNG", {"exif": exif}),
            ("RGB", "BMP", {}),
            ("RGB", "WEBP", {"exif": exif}),
            ("RGBA", "WEBP", {"lossless": True}),
            ("L", "GIF", {"save_all": True, "append_images": [photo.convert("L")] * 2}),
        ):
            buffer = io.BytesIO()
            photo.convert(mode).save(buffer, kind, **options)
            odd.append(buffer.getvalue())
    except ImportError:
        pass
    return [x.numpy() for x in files] + odd


def mutated(data, rng):
    """Cut, flip bits, overwrite, double, or plain noise."""
    data = bytearray(data)
    kind = rng.integers(6)
    if kind == 0:
        return bytes(data[: rng.integers(len(data) + 1)])
    if kind == 1:
        return rng.bytes(int(rng.integers(400)))
    if kind == 2:
        cut = int(rng.integers(len(data) + 1))
        return bytes(data[:cut] + rng.bytes(20) + data[cut:])
    first = 40 if kind == 3 else len(data)  # 3: in the header
    for _ in range(int(rng.integers(1, 6))):
        if data:
            data[int(rng.integers(min(first, len(data))))] = int(rng.integers(256))
    return bytes(data + data) if kind == 4 else bytes(data)


def main(model, count):
    rng = np.random.default_rng(0)
    loaded = tf.saved_model.load(model)  # it owns the weights
    serve = loaded.signatures["serve_bytes"]
    files = seeds(rng)
    good = files[0]
    expected = serve(image_bytes=tf.constant([good]))["features"].numpy()
    with open("/proc/self/statm") as file:
        idle = int(file.read().split()[1]) * resource.getpagesize() / 1024
    # The largest images that are let in at this size of file; they answer.
    large = tf.zeros((5000, 5000, 3), "uint8")
    largest = [
        tf.io.encode_png(large).numpy(),
        tf.io.encode_jpeg(large, progressive=True).numpy(),
    ]
    del large
    assert all(serve(image_bytes=tf.constant(largest * 2))["ok"])  # noqa: S101
    answers = errors = 0
    for index in range(count):
        data = files[index] if index < len(files) else None
        if data is None:
            data = mutated(files[int(rng.integers(len(files)))], rng)
        # Beside a good file, which none may harm.
        output = serve(image_bytes=tf.constant([data, good]))
        features, ok = output["features"].numpy(), output["ok"].numpy()
        if not ok[1] or np.abs(features[1:] - expected).max() > 1e-4:
            raise SystemExit(f"a good file suffered from {data!r}")
        if not np.isfinite(features).all() or (not ok[0] and features[0].any()):
            raise SystemExit(f"wrong answer {features[0]} for {data!r}")
        answers += ok[0]
        errors += not ok[0]
    again = serve(image_bytes=tf.constant([good]))["features"].numpy()
    np.testing.assert_array_equal(again, expected)
    # Not ru_maxrss, which a process inherits from the one that started it.
    with open("/proc/self/status") as file:
        peak = next(int(x.split()[1]) for x in file if x.startswith("VmHWM"))
    counts = {"answers": int(answers), "errors": int(errors)}
    print(json.dumps({**counts, "megabytes": (peak - idle) / 1024}))  # of KiB


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

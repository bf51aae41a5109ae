"""The nearest images of a folder, by the features that a server gives."""

import pathlib
import sys

import numpy as np

# What `serve_bytes` reads.
EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp")
# The server refuses requests of more images than `max_batch_size` in batching.config.
BATCH_SIZE = 16


def nearest_images(query, gallery, ask, count=5):
    """Rank the images of a folder by cosine similarity with one image.

    Files that cannot be read, here or by the server, are named on stderr.

    Args:
        query: Path of an image file.
        gallery: Folder of image files; subfolders too.
        ask: Function from a list of bytes to features `(n, dim)` and ok `(n,)`.
        count: How many to return.

    Returns:
        List of `(path, cosine similarity)`, the nearest first.
    """
    paths = sorted(
        path
        for path in pathlib.Path(gallery).rglob("*")
        if path.suffix.lower() in EXTENSIONS and path.is_file()
    )
    asked = features_of([pathlib.Path(query)], ask)
    if not asked:
        raise SystemExit(f"The query {str(query)!r} is no image that can be read.")
    (asked,) = asked.values()
    known = features_of(paths, ask)
    if not known:
        raise SystemExit(f"{str(gallery)!r} holds no image that can be read.")
    features = np.stack(list(known.values()))
    similarity = features @ asked
    similarity /= np.linalg.norm(features, axis=1) * np.linalg.norm(asked)
    found = zip(known, similarity.tolist(), strict=True)
    return sorted(found, key=lambda x: -x[1])[:count]


def features_and_ok(outputs):
    """Return the two outputs of `serve_bytes`, float32 `(n, dim)` and bool `(n,)`."""
    # REST gives the values of a single output without its name.
    names = set(outputs) if isinstance(outputs, dict) else {"without a name"}
    if not {"features", "ok"} <= names:
        raise SystemExit(
            "Expected the outputs `features` and `ok` of an encoder. Export it again. "
            f"Received: {', '.join(sorted(names))}"
        )
    return np.asarray(outputs["features"], "float32"), np.asarray(outputs["ok"], bool)


def features_of(paths, ask):
    """Return the features of each file that can be read: a dict by path."""
    known = {}
    for first in range(0, len(paths), BATCH_SIZE):
        contents = {}
        for path in paths[first : first + BATCH_SIZE]:
            try:
                contents[path] = path.read_bytes()
            except OSError as error:
                print(f"left out: {path} ({error.strerror})", file=sys.stderr)
        if not contents:
            continue
        features, ok = ask(list(contents.values()))
        if not len(features) == len(ok) == len(contents):
            raise SystemExit(
                f"Expected an answer for each of {len(contents)} images. Received "
                f"{len(features)} features and {len(ok)} marks `ok`."
            )
        for path, row, is_ok in zip(contents, features, ok, strict=True):
            if is_ok:
                known[path] = row
            else:
                print(f"left out: {path} (the server cannot read it)", file=sys.stderr)
    return known

"""The nearest images of a folder, by the features that a server gives."""

import pathlib

import numpy as np

EXTENSIONS = (".jpg", ".jpeg", ".png")
BATCH_SIZE = 16


def nearest_images(query, gallery, features_of, count=5):
    """Rank the images of a folder by cosine similarity with one image.

    Args:
        query: Path of a JPEG or PNG file.
        gallery: Folder of JPEG and PNG files; subfolders too.
        features_of: Function from a list of bytes to features `(n, dim)`.
        count: How many to return.

    Returns:
        List of `(path, cosine similarity)`, the nearest first.
    """
    files = sorted(
        path
        for path in pathlib.Path(gallery).rglob("*")
        if path.suffix.lower() in EXTENSIONS
    )
    if not files:
        raise SystemExit(f"{str(gallery)!r} holds no JPEG or PNG files.")
    batches = (files[i : i + BATCH_SIZE] for i in range(0, len(files), BATCH_SIZE))
    known = np.concatenate(
        [features_of([path.read_bytes() for path in batch]) for batch in batches]
    )
    (asked,) = features_of([pathlib.Path(query).read_bytes()])
    similarity = known @ asked
    similarity /= np.linalg.norm(known, axis=1) * np.linalg.norm(asked)
    order = np.argsort(-similarity)[:count]
    return [(files[i], float(similarity[i])) for i in order]

"""Labels of image files from a CSV file."""

import csv
import os

import numpy as np

from keras_contrastive.data.bad_examples import listed

NAME = "labels.csv"  # within a folder of images, it is its table
_COLUMNS = ("path", "label")


def labels_of(table, folder, files) -> tuple[np.ndarray, list[str]]:
    """Return the labels of image files by a table.

    Args:
        table: Path of a CSV file with the columns `path`, relative to the folder or
            absolute, and `label`, any text; others are ignored. An empty label, and a
            file that is not in it, are unlabelled.
        folder: The folder of the images.
        files: Their paths.

    Returns:
        `(labels, class_names)`: int64 `(n,)`, the index into the sorted names or -1.

    Raises:
        ValueError: A column is missing, a file is not there, or one has two labels.
    """
    named = _read(table, folder)
    numbers = {os.path.abspath(file): i for i, file in enumerate(files)}
    missing = [path for path in named if path not in numbers]
    if missing:
        raise ValueError(
            f"The files of '{table}' must be images below '{folder}'. Received: "
            f"{len(missing)} that are not there, or not read:{listed(missing)}"
        )
    class_names = sorted(set(named.values()) - {""})
    index = {name: i for i, name in enumerate(class_names)}
    labels = np.full(len(files), -1, np.int64)
    for path, name in named.items():
        labels[numbers[path]] = index.get(name, -1)
    return labels, class_names


def _read(table, folder):
    """The label of each absolute path."""
    named = {}
    with open(table, newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        columns = rows.fieldnames or []
        if not set(_COLUMNS) <= set(columns):
            raise ValueError(
                f"'{table}' must be a CSV file whose first line names the columns path "
                f"and label. Received: {columns}"
            )
        for row in rows:
            path = os.path.abspath(os.path.join(folder, row["path"] or ""))
            label = (row["label"] or "").strip()
            if named.setdefault(path, label) != label:
                raise ValueError(
                    f"Each file must have one label. Received: '{row['path']}' as "
                    f"{named[path]!r} and as {label!r}, in line {rows.line_num} of "
                    f"'{table}'."
                )
    return named

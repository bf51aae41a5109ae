"""The numbered versions of a model in its base folder, as TF Serving reads them."""

import os
import pathlib


def check_base(path) -> pathlib.Path:
    """Check that `path` can be a folder of numbered versions; it is not made yet.

    Args:
        path: What a user passed as the base folder.

    Returns:
        The same as a `pathlib.Path`.

    Raises:
        ValueError: A file, a version folder itself, or a folder with other things.
    """
    base = pathlib.Path(path)
    expected = (
        "`path` must be the base folder of an exported model: a new or empty folder, "
        "or one of numbered versions (1, 2, ...)."
    )
    if base.is_file():
        raise ValueError(f"{expected} Received: the file {str(base)!r}.")
    if (base / "saved_model.pb").exists():
        raise ValueError(
            f"{expected} Received: {str(base)!r}, which is itself a SavedModel. Pass "
            f"its parent, {str(base.parent)!r}, to add a version."
        )
    if base.is_dir() and not versions(base):
        foreign = sorted(x.name for x in base.iterdir() if not x.name.startswith("."))
        if foreign:
            raise ValueError(
                f"{expected} Received: {str(base)!r}, which holds other files "
                f"({', '.join(foreign[:3])}). Pass a new folder, for example "
                f"{str(base / 'saved_model')!r}."
            )
    return base


def versions(base) -> list[int]:
    """Return the numbers that are taken in a base folder, in order."""
    base = pathlib.Path(base)
    names = os.listdir(base) if base.is_dir() else []
    return sorted(int(name) for name in names if name.isascii() and name.isdigit())


def check_version(base, version: int | None) -> None:
    """Raise ValueError if `version` is taken in `base`, or is no version number."""
    if version is None:
        return
    if not isinstance(version, int) or version < 0:
        raise ValueError(
            f"`version` must be an int, 0 or more. Received: version={version!r}"
        )
    taken = versions(base)
    if version in taken:
        raise ValueError(
            f"`version` must be free in {str(base)!r}, where {taken} are taken. "
            f"Received: version={version}. Leave it out for the next number."
        )


def publish(temporary, base, version: int | None = None) -> pathlib.Path:
    """Rename a finished folder to its version number: all of it appears at once.

    Args:
        temporary: A folder in `base`.
        base: The base folder.
        version: The number to take; by default one more than the highest.

    Returns:
        `base/<version>`.

    Raises:
        ValueError: `version` is taken, also by another process in the meantime.
    """
    base = pathlib.Path(base)
    while True:
        # `rename` would replace an empty folder, so what exists is looked for first;
        # two exporters at a time meet a folder that is not empty, and one goes on.
        check_version(base, version)
        number = max(versions(base), default=0) + 1 if version is None else version
        target = base / str(number)
        try:
            os.rename(temporary, target)
            return target
        except OSError:
            if not target.exists():
                raise

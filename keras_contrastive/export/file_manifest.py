"""`manifest.json` of a folder with single-file artefacts."""

import datetime
import json
import pathlib

from keras_contrastive.files import locked, package_versions, sha256, write_json


def describe_file(path, about: dict, *packages: str) -> None:
    """Add a file to the `manifest.json` beside it, under `artefacts` and its name.

    Args:
        path: The file.
        about: What is known about it: format, input, output, parity.
        *packages: More packages whose versions are noted.
    """
    path = pathlib.Path(path)
    manifest_path = path.parent / "manifest.json"
    entry = {
        **about,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "sha256": sha256(path),
        "bytes": path.stat().st_size,
        "versions": package_versions(*packages),
    }
    with locked(path.parent):  # another process may be adding another file
        manifest = {}
        if manifest_path.exists():
            manifest = json.loads(manifest_path.read_text())
        manifest.setdefault("artefacts", {})[path.name] = entry
        write_json(manifest_path, manifest)

"""The presets that ship with the package: their names, and the SHA-256 of their files.

`registry.json` is data, written by `python -m keras_contrastive.zoo register` from the
folders in `presets/`; they are trusted only as far as they match it.
"""

import json
import pathlib

from keras_contrastive.files import write_json
from keras_contrastive.zoo.preset import load_encoder
from keras_contrastive.zoo.preset_files import METADATA, fingerprint, read_preset

_HERE = pathlib.Path(__file__).parent
REGISTRY = _HERE / "registry.json"
PRESETS = _HERE / "presets"


def registered() -> dict[str, dict[str, str]]:
    """Return the SHA-256 of each file by its name, for each shipped preset by its."""
    return json.loads(REGISTRY.read_text())["presets"]


def register() -> list[str]:
    """Enter every preset of the folder `presets/` in the registry, and no other.

    Each is checked and loaded before anything is written.

    Returns:
        Their names.

    Raises:
        ValueError: A preset that is damaged or named differently from its folder.
    """
    entries = {}
    for folder in sorted(x for x in PRESETS.glob("*") if x.is_dir()):
        files = read_preset(folder)
        metadata = files.json(METADATA)
        if metadata["name"] != folder.name:
            raise ValueError(
                "A shipped preset must have the name of its folder. "
                f"Received: name={metadata['name']!r} in {str(folder)!r}"
            )
        load_encoder(files)
        entries[folder.name] = {
            name: fingerprint(content)["sha256"]
            for name, content in files.contents.items()
        }
    write_json(REGISTRY, {"presets": entries})
    return [*entries]

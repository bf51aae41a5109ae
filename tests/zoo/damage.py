"""Ways to damage a preset, by accident or on purpose."""

import json

from keras_contrastive.zoo.preset_files import METADATA, checksum, fingerprint


def flip_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def rewrite(folder, name, change):
    """Change a JSON file of a preset as an attacker would, hashes included."""
    content = json.loads((folder / name).read_text())
    change(content)
    if name == METADATA:
        content["checksum"] = checksum(content)
    (folder / name).write_text(json.dumps(content))
    if name != METADATA:
        print_of_file = fingerprint((folder / name).read_bytes())
        rewrite(folder, METADATA, lambda x: x["files"].update({name: print_of_file}))

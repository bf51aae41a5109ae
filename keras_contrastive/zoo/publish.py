"""A preset put where others get it: Hugging Face, a folder, or an archive."""

import io
import json
import os
import pathlib
import zipfile

from keras_contrastive.files import to_json, write_bytes
from keras_contrastive.zoo import sources
from keras_contrastive.zoo.card import card
from keras_contrastive.zoo.preset_files import (
    FILES,
    METADATA,
    METRICS,
    checksum,
    fingerprint,
    printable,
    write_preset,
)

_LICENCES = {  # how a licence begins: its name at the hub
    "mit": "mit",
    "apache": "apache-2.0",
    "bsd 2": "bsd-2-clause",
    "bsd 3": "bsd-3-clause",
    "cc-by-nc 4": "cc-by-nc-4.0",
    "cc-by 4": "cc-by-4.0",
    "cc0": "cc0-1.0",
}
_CARD = "README.md"


def publish(
    preset: str | os.PathLike,
    destination: str | os.PathLike,
    dry_run: bool = False,
    private: bool = False,
) -> dict:
    """Put a preset where others can load it, with a card that the hub understands.

    The card gets a front matter in YAML: licence, library, task, tags, and the numbers
    of `metrics.json` as the hub's table of results. All else stays as it is, so
    `kc.from_preset(destination)` gives the same encoder. Numbers that are published by
    others with converted weights stay in the text, and are no results of this one.

    Args:
        preset: As in `kc.from_preset`. Every file of it is checked first.
        destination: `"hf://owner/name"`, with `@revision` and `/folder` if wanted: all
            files are one commit; who may, says the token of `huggingface-cli login`.
            Or a `.zip`, or a folder that is not there yet.
        dry_run: Change nothing, and return what would be written.
        private: Whether a repository that is made is private.

    Returns:
        `{"destination": ..., "files": {name: bytes}, "sha256": ..., "card": ...}`;
        `sha256` pins the published preset in `kc.from_preset`.

    Raises:
        ValueError, OSError: The preset is damaged, the destination is none, or the hub
            refuses.
        FileExistsError: The folder or archive is there.
        ImportError: huggingface_hub is missing, for `hf://`.

    Example:
    >>> path = kc.save_to_preset(kc.encoders.resnet(depth=10, width=4), "runs/birds")
    >>> done = kc.zoo.publish(path, "birds.zip", dry_run=True)
    >>> print(done["card"][:24])
    ---
    library_name: "keras
    """
    contents = _with_front_matter(sources.read(preset))
    write = _writer(destination, private)
    if not dry_run:
        write(contents)
    return {
        "destination": str(destination),
        "files": {name: len(content) for name, content in contents.items()},
        "sha256": fingerprint(contents[METADATA])["sha256"],
        "card": contents[_CARD].decode(),
    }


def _with_front_matter(files):
    """The preset's contents with the card of the hub, all hashes right."""
    metadata, metrics = files.json(METADATA), files.json(METRICS)
    text = f"---\n{_front_matter(metadata, metrics)}---\n\n{card(metadata, metrics)}"
    contents = {**files.contents, _CARD: text.encode()}
    metadata["files"] = {name: fingerprint(contents[name]) for name in FILES}
    contents[METADATA] = to_json(metadata | {"checksum": checksum(metadata)})
    return contents


def _front_matter(metadata, metrics):
    """The hub's metadata of a model, a line for each key; JSON is YAML, too."""
    licence = str(metadata.get("licence") or "")
    known = [v for k, v in _LICENCES.items() if licence.lower().startswith(k)]
    content = {
        "library_name": "keras",
        "license": known[0] if known else "other",
        "license_name": None if known else (licence or "not stated"),
        "pipeline_tag": "image-feature-extraction",
        "tags": ["keras-contrastive", *filter(None, [metadata.get("method")])],
    }
    results = [
        {
            "task": {"type": "image-classification", "name": f"{measure} accuracy"},
            "dataset": {"type": dataset, "name": dataset},
            "metrics": [{"type": "accuracy", "name": measure, "value": 100 * value}],
        }
        for dataset, found in metrics.items()
        for measure, value in found.items()
        if isinstance(value, int | float)
    ]
    if results:
        content["model-index"] = [{"name": metadata["name"], "results": results}]
    kept = {key: value for key, value in content.items() if value is not None}
    return printable("".join(f"{k}: {json.dumps(v)}\n" for k, v in kept.items()))


def _writer(destination, private):
    """A function from contents that writes them to a destination."""
    if isinstance(destination, str) and "://" in destination:
        match = sources.HUGGING_FACE.fullmatch(destination)
        if match is None:
            raise ValueError(
                "`destination` must be hf://owner/name, with @revision and /folder if "
                f"wanted, a .zip or a folder. Received: destination={destination!r}"
            )
        return lambda contents: _to_hugging_face(contents, match, private)
    path = pathlib.Path(destination).resolve()
    if path.exists():
        raise FileExistsError(
            f"`destination` must be new. Received: destination={str(path)!r}, which "
            "exists. Move it away first."
        )
    if path.suffix == ".zip":
        return lambda contents: _to_archive(contents, path)
    return lambda contents: _to_folder(contents, path)


def _to_folder(contents, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_preset(path, contents)


def _to_archive(contents, path):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:  # weights hardly shrink
        for name, content in contents.items():
            archive.writestr(name, content)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, file.getvalue())


def _to_hugging_face(contents, match, private):
    try:
        import huggingface_hub as client
    except ImportError as error:
        raise ImportError(
            "Presets are published to Hugging Face by huggingface_hub, which is "
            'missing: pip install "keras-contrastive[huggingface]". Received: '
            f"{match.string}"
        ) from error
    repo, revision = match["repo"], match["revision"]
    folder = f"{match['folder'].rstrip('/')}/" if match["folder"] else ""
    try:
        api = client.HfApi()
        api.create_repo(repo, private=private, exist_ok=True)
        api.create_commit(
            repo,
            [
                client.CommitOperationAdd(f"{folder}{name}", content)
                for name, content in contents.items()
            ],
            commit_message="A preset of keras_contrastive",
            revision=revision,
        )
    except Exception as error:  # the client's own kinds
        raise OSError(
            f"{match.string} could not be written: {printable(error)}. Check the name, "
            "the network and your token (huggingface-cli login)."
        ) from error

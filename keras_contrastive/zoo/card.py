"""What people read about presets: the card of one, the table of all in README."""

from keras_contrastive.evaluation.few_label_result import FewLabelResult
from keras_contrastive.zoo.preset_files import WRITTEN, printable

# README's table stands between them.
BEGIN = "<!-- presets: written by `python -m keras_contrastive.zoo table` -->"
END = "<!-- end of presets -->"

_FACTS = {  # key of metadata.json: what the card calls it
    "method": "Method",
    "architecture": "Architecture",
    "preprocessing": "Preprocessing",
    "data": "Pre-training data",
    "epochs": "Epochs",
    "batch_size": "Batch size",
    "seed": "Seed",
    "augmentation": "Augmentation",
    "command": "Command",
    "commit": "Commit",
    "hardware": "Hardware",
    "minutes": "Minutes",
    "licence": "Licence",
}
_NOT_FACTS = (*WRITTEN, "format", "format_version", "files", "checksum", "published")

_FEW_LABELS = {  # measure and share of the labels: heading of the table
    ("linear", 0.1): "10 % linear",
    ("linear", 0.01): "1 % linear",
    ("fine-tuned", 0.01): "1 % fine-tuned",
    ("from scratch", 0.01): "1 % from scratch",
}


def card(metadata: dict, metrics: dict) -> str:
    """Return the README.md of a preset, in Markdown.

    Args:
        metadata: Content of `metadata.json`.
        metrics: Content of `metrics.json`.

    Returns:
        The text.
    """
    shape = " x ".join(str(x or "any") for x in metadata["input"]["shape"])
    facts = [f"| {label} | {_text(metadata.get(k))} |" for k, label in _FACTS.items()]
    facts += [
        f"| {key} | {_text(value)} |"
        for key, value in metadata.items()
        if key not in _FACTS and key not in _NOT_FACTS
    ]
    versions = ", ".join(f"{k} {v}" for k, v in metadata["versions"].items())
    parts = [
        f"# {metadata['name']}",
        "An image encoder of keras_contrastive: images to features, for a classifier "
        "on top, search or clustering. It has no classes of its own.",
        "```python\nimport keras_contrastive as kc\n\n"
        "# The path of this folder, or the name alone if kc.list_presets() has it.\n"
        f'encoder = kc.from_preset("path/to/{metadata["name"]}")\n```',
        f"- Input: images of {shape} with values in [0, 255], of any dtype\n"
        f"- Output: {metadata['feature_dim']} features per image, float32\n"
        f"- Parameters: {metadata['params']:,}, kernels stored as "
        f"{metadata['weights_dtype']}",
        "## Where it comes from",
        "\n".join(["| | |", "|---|---|", *facts]),
        f"Saved {metadata['created']} with {versions}.",
        "## Numbers",
        *(list(_numbers(metrics)) or ["None recorded."]),
        *_published(metadata.get("published")),
    ]
    return printable("\n\n".join(parts) + "\n")


def _numbers(metrics):
    """A section for each data set: its numbers, then the protocol that made them."""
    for dataset, found in metrics.items():
        name = "the bundled sample" if dataset == "sample" else f"`{dataset}`"
        numbers = {k: v for k, v in found.items() if isinstance(v, int | float)}
        rows = [f"| {key} | {_percent(value)} |" for key, value in numbers.items()]
        yield f"On {name}, in % of its test images:"
        yield "\n".join(["| | |", "|---|---|", *rows])
        protocol = found.get("protocol", {})
        if protocol:
            yield _list(protocol)
        if "few_labels" in found:
            few = FewLabelResult(**found["few_labels"])
            yield "With few labels, mean and deviation of the draws of labels:"
            yield f"```\n{few}\n```"
            yield _list(few.protocol)


def _published(rows):
    """What others say of weights that were converted; this package measured none."""
    if not rows:
        return
    yield "## Published there, not measured here"
    yield (
        "Its authors' numbers, accuracy in %, of all files of this kind; which of them "
        "is this one, its name says."
    )
    lines = [f"| {' | '.join(map(_text, row))} |" for row in rows]
    yield "\n".join(["| file | measure | accuracy |", "|---|---|---|", *lines])


def _list(protocol):
    """What is known of a protocol, a line for each."""
    known = {key: value for key, value in protocol.items() if value is not None}
    return "\n".join(f"- {key}: {_text(value)}" for key, value in known.items())


def table(presets: list[tuple[dict, dict]]) -> str:
    """Return the Markdown table of presets that README shows.

    Args:
        presets: `(metadata, metrics)` of each.

    Returns:
        The table; a sentence when there are no presets.
    """
    if not presets:
        return "No presets are shipped yet."
    headings = ["preset", "images", "params", "data", "kNN", "linear"]
    headings += [*_FEW_LABELS.values(), "sample kNN", "sample linear"]
    lines = [f"| {' | '.join(headings)} |", "|---" * len(headings) + "|"]
    for metadata, metrics in presets:
        own: dict = next((v for k, v in metrics.items() if k != "sample"), {})
        sample = metrics.get("sample", {})
        cells = [
            f"`{metadata['name']}`",
            "x".join(str(x or "any") for x in metadata["input"]["shape"]),
            f"{metadata['params'] / 1e6:.2f} M",
            _text(metadata.get("data")),
            *(_percent(own.get(key)) for key in ("knn", "linear")),
            *(_percent(_few(own, *key)) for key in _FEW_LABELS),
            *(_percent(sample.get(key)) for key in ("knn", "linear")),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return printable("\n".join(lines))


def with_table(text: str, table: str, begin: str = BEGIN, end: str = END) -> str:
    """Return a README with a table, by default that of presets, between its markers.

    Args:
        text: The README; what stands between the markers is replaced.
        table: Markdown.
        begin: The marker above the table, a line of the README.
        end: The marker below it.

    Returns:
        The new text.

    Raises:
        ValueError: It has not one pair of markers.

    Example:
    >>> with_table(f"{BEGIN}\\nold\\n{END}", "new").splitlines()[1:-1]
    ['', 'new', '']
    """
    before, found_begin, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end or begin in after:
        raise ValueError(
            f"The README must have the lines {begin!r} and {end!r} once, for the table "
            "to stand between them. Received: a text without this pair."
        )
    return f"{before}{begin}\n\n{table}\n\n{end}{after}"


def _few(found, measure, fraction):
    """The mean accuracy with few labels, if it was measured."""
    try:
        return FewLabelResult(**found["few_labels"]).mean(measure, fraction)
    except KeyError:
        return None


def _percent(fraction):
    return "-" if fraction is None else f"{100 * fraction:.1f}"


def _text(value):
    if value is None:
        return "not stated"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) for item in value)
    return str(value).replace("|", "\\|").replace("\n", " ")

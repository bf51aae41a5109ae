"""What an export says about itself: manifest.json and, for people, model_card.md."""

import datetime

from keras_contrastive.export.output import class_names, kind, output_name
from keras_contrastive.files import package_versions, sha256, write_bytes, write_json
from keras_contrastive.image_headers import MAX_PIXELS


def input_and_output(encoder, size) -> dict:
    """Return the description of an encoder's input and output for a manifest."""
    channels = encoder.inputs[0].shape[-1]
    count = encoder.output_shape[-1]
    if kind(encoder) == "encoder":
        about = {"feature_dim": count}
    else:
        about = {"num_classes": count, "class_names": class_names(encoder)}
    return {
        "input": {
            "shape": ["batch", *size, channels],
            "range": [0, 255],
            "channels": {1: "grayscale", 3: "RGB"}.get(channels, str(channels)),
            "preprocessing": "inside the model; give it pixels in [0, 255]",
        },
        "output": {
            "name": output_name(encoder),
            "shape": ["batch", count],
            "dtype": "float32",
        },
        **about,
        "parameters": encoder.count_params(),
    }


def write_description(
    folder,
    encoder,
    name,
    size,
    signatures,
    differences,
    warmed_up,
    metadata,
):
    """Write `manifest.json` and `model_card.md` into a version folder.

    Args:
        folder: The version folder, otherwise complete.
        encoder: The exported encoder.
        name: Name of the model.
        size: `(height, width)` in pixels.
        signatures: Names of the signatures.
        differences: Results of `parity.check_saved_model`.
        warmed_up: Whether there are warm-up requests.
        metadata: Method, data, metrics, licence and whatever the user added.
    """
    manifest = {
        "name": name,
        "format": "saved_model",
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **input_and_output(encoder, size),
        "signatures": _signatures(signatures, encoder, size),
        "method": None,
        "data": None,
        "metrics": {},
        "licence": None,
        **metadata,
        "parity": differences,
        "golden": {
            "file": "golden.npz",
            "images": "input of serving_default",
            output_name(encoder): "its output, on the CPU",
        },
        "warm_up_requests": warmed_up,
        "versions": package_versions(),
    }
    write_bytes(folder / "model_card.md", _card(manifest).encode())
    files = sorted(x for x in folder.rglob("*") if x.is_file())
    manifest["files"] = {
        x.relative_to(folder).as_posix(): {
            "sha256": sha256(x),
            "bytes": x.stat().st_size,
        }
        for x in files
    }
    write_json(folder / "manifest.json", manifest)


def _signatures(names, encoder, size):
    height, width = size
    answer = output_name(encoder)
    if class_names(encoder) is not None:
        answer += ", and class_names: the most probable class"
    texts = {
        "serving_default": f"images: float32 in [0, 255] -> {answer}",
        "uint8": f"images: uint8 -> {answer}",
        "normalized": "images: float32 in [0, 255] -> features of length 1",
        "serve_bytes": (
            "image_bytes: JPEG, PNG, GIF (the first frame), BMP or WebP (not animated) "
            f"files of any size up to {MAX_PIXELS // 10**6} megapixels -> {answer}; "
            "and ok: false where a file cannot be read, with zeros in its row. "
            "Decoded; turned upright as EXIF says; the largest centred part with the "
            f"shape of {height} x {width} is resized to it with antialias; an image of "
            "that size passes unchanged."
        ),
    }
    return {name: texts[name] for name in names}


def _card(manifest):
    output, names = manifest["output"]["name"], manifest.get("class_names")
    model = "encoder" if output == "features" else "classifier"
    shape = " x ".join(str(x) for x in manifest["input"]["shape"])
    metrics = manifest["metrics"] or {"none recorded": ""}
    rows = [f"| {name} | {value} |" for name, value in metrics.items()]
    signatures = [f"- `{k}`: {v}" for k, v in manifest["signatures"].items()]
    worst = max(x["relative_difference"] for x in manifest["parity"].values())
    versions = ", ".join(f"{k} {v}" for k, v in manifest["versions"].items())
    parts = [
        f"# {manifest['name']}",
        _purpose(manifest),
        f"- Input: {shape}, {manifest['input']['channels']}, values in [0, 255]\n"
        f"- Output: {manifest['output']['shape'][-1]} {output} per image, float32\n"
        f"- Parameters: {manifest['parameters']:,}\n"
        f"- Method: {manifest['method'] or 'not stated'}\n"
        f"- Data: {manifest['data'] or 'not stated'}\n"
        f"- Licence: {manifest['licence'] or 'not stated'}\n"
        f"- Created: {manifest['created']} with {versions}",
        "## Signatures",
        "\n".join(signatures),
        "## Metrics",
        "\n".join(["| metric | value |", "| --- | --- |", *rows]),
        "## How it was checked",
        f"In a process with TensorFlow alone, every signature gave the {model}'s "
        f"{output}: max|a-b| = {worst:.1e} max|a| at most. `golden.npz` holds images "
        f"and {output} to repeat that.",
        "## Fine-tuning",
        f"`keras.models.load_model('{model}.keras')` gives the same {model} with "
        "trainable weights" + (", after `import keras_contrastive`." if names else "."),
    ]
    return "\n\n".join(parts) + "\n"


def _purpose(manifest):
    if manifest["output"]["name"] == "features":
        return (
            "An image encoder: images to feature vectors, for search, clustering or a "
            "classifier on top. It has no classes of its own."
        )
    names = manifest["class_names"]
    classes = f": {', '.join(names)}" if names else ", in the order of training"
    return (
        f"An image classifier: images to {manifest['output']['name']} of "
        f"{manifest['num_classes']} classes{classes}."
    )

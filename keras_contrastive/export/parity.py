"""The comparer: how far an artefact's features are from the encoder's."""

import numpy as np

# |a - b| <= 1e-5 max|a|: what another order of float32 sums makes of a deep network.
SAVED_MODEL_TOLERANCE = 1e-5

# What each other artefact must keep: the mean cosine of its features with the
# encoder's, and how many points of kNN accuracy it may lose.
MEAN_COSINE = {
    "float32": 0.99999,
    "float16": 0.9999,
    "dynamic": 0.995,
    "int8": 0.99,
    "onnx": 0.99999,
    "openvino": 0.99999,
}
# And the mean of |a-b| / |a| over the images. It sees what the cosine does not: that
# large features are cut off. The cosine's gate alone allows up to sqrt(2 (1 - cosine)).
MEAN_ERROR = {
    "float32": 0.005,
    "float16": 0.02,
    "dynamic": 0.2,
    "int8": 0.25,
    "onnx": 0.005,
    "openvino": 0.005,
}
KNN_IMAGES = 1000  # with fewer, one image weighs more than the gate allows
KNN_POINTS = {
    "saved_model": 0.0,
    "float32": 0.2,
    "float16": 0.2,
    "dynamic": 0.5,
    "int8": 1.0,
    "onnx": 0.2,
    "openvino": 0.2,
}


def compare(reference, output) -> dict[str, float]:
    """Compare two sets of features of the same images.

    Args:
        reference: Features by the encoder, `(n, dim)`.
        output: Features by the artefact.

    Returns:
        `max_difference` = max|a - b|, `relative_difference` = max|a - b| / max|a|,
        `mean_difference` = mean|a - b|, `mean_error`, the mean over the images of
        the norms' ratio |a - b| / |a|, and `mean_cosine`, `min_cosine` over the
        images. What is not finite counts as infinitely far, with cosine -1.

    Raises:
        ValueError: The shapes differ.
    """
    reference = np.asarray(reference, "float64")
    output = np.asarray(output, "float64")
    if reference.shape != output.shape:
        raise ValueError(
            f"Expected features of shape {reference.shape}. Received: {output.shape}."
        )
    if not np.isfinite(output).all():
        return {
            "max_difference": float("inf"),
            "relative_difference": float("inf"),
            "mean_difference": float("inf"),
            "mean_error": float("inf"),
            "mean_cosine": -1.0,
            "min_cosine": -1.0,
        }
    difference = np.abs(reference - output)
    largest = np.abs(reference).max()
    cosine = _cosine(reference, output)

    lengths = np.maximum(np.linalg.norm(reference, axis=1), 1e-30)
    errors = np.linalg.norm(reference - output, axis=1) / lengths
    return {
        "max_difference": float(difference.max()),
        "relative_difference": float(difference.max() / max(largest, 1e-30)),
        "mean_difference": float(difference.mean()),
        "mean_error": float(errors.mean()),
        "mean_cosine": float(cosine.mean()),
        "min_cosine": float(cosine.min()),
    }


def _cosine(a, b):
    """Cosine of each pair of rows; 1 for two zero rows, 0 for one."""
    norm_a, norm_b = (np.linalg.norm(x, axis=1) for x in (a, b))
    both_zero = (norm_a == 0) & (norm_b == 0)
    product = np.maximum(norm_a * norm_b, 1e-300)
    return np.where(both_zero, 1.0, (a * b).sum(axis=1) / product)


def saved_model_failures(outputs, facts, expected, expected_of_encoded=None):
    """Compare what a SavedModel gave in a clean process, signature by signature.

    Args:
        outputs: Dict of arrays from `runners/run_saved_model.py`.
        facts: What that program says about itself.
        expected: Features of the images by the encoder.
        expected_of_encoded: Features of the encoded files, if there were any.

    Returns:
        `(failures, differences)`: what is wrong, in words, such as a difference
        above 1e-5 max|a|, a batch size that does not work or a model that needs Keras
        to be loaded; and a dict, signature -> the result of `compare`.
    """
    norms = np.linalg.norm(expected, axis=1, keepdims=True)
    wanted = {
        "serving_default": expected,
        "uint8": expected,
        "batch_of_one": expected[:1],
        "batch_of_three": expected[:3],
    }
    if facts.get("output", "features") == "features":
        wanted["normalized"] = expected / np.maximum(norms, 1e-12)
    if expected_of_encoded is not None:
        wanted["serve_bytes"] = expected_of_encoded
    failures, differences = [], {}
    if facts["imported"]:
        failures.append(f"loading it imported {', '.join(facts['imported'])}")
    if not facts.get("marks_bad_files", True):
        failures.append("serve_bytes: `ok` does not tell a bad file from good ones")
    for name, features in wanted.items():
        if name not in outputs:
            failures.append(f"{name} gave no output")
        elif outputs[name].shape != features.shape:
            failures.append(
                f"{name}: shape {outputs[name].shape} instead of {features.shape}"
            )
        else:
            differences[name] = compare(features, outputs[name])
            relative = differences[name]["relative_difference"]
            if not relative <= SAVED_MODEL_TOLERANCE:
                failures.append(
                    f"{name}: max|a-b| = {relative:.2g} max|a|, allowed is "
                    f"{SAVED_MODEL_TOLERANCE:.0e}"
                )
    return failures, differences


def file_failures(kind: str, differences) -> list[str]:
    """Apply the gate of a TF-Lite variant or of ONNX.

    Args:
        kind: A key of `MEAN_COSINE`.
        differences: The result of `compare`.

    Returns:
        What is wrong, in words; empty when all is well.
    """
    failures = []
    if not differences["mean_cosine"] >= MEAN_COSINE[kind]:
        failures.append(
            f"{kind}: mean cosine with the encoder's features is "
            f"{differences['mean_cosine']:.6f}, wanted are {MEAN_COSINE[kind]}"
        )
    if not differences["mean_error"] <= MEAN_ERROR[kind]:
        failures.append(
            f"{kind}: the features are off by {differences['mean_error']:.3g} of their "
            f"length, allowed are {MEAN_ERROR[kind]}"
        )
    return failures

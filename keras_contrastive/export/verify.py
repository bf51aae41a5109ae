"""Any artefact against the encoder it was made of."""

import pathlib

import numpy as np

from keras_contrastive.evaluation import knn_accuracy
from keras_contrastive.export import clean_process, parity, reference, version_folder
from keras_contrastive.export.output import output_name
from keras_contrastive.export.parity_report import ParityReport
from keras_contrastive.export.rebuild import float32_encoder


def verify(path, encoder, images, labels=None, repeats: int = 50) -> ParityReport:
    """Run an artefact in a process of its own and compare it with its encoder.

    A SavedModel is run by TensorFlow alone, a `.tflite` file by ai-edge-litert and a
    `.onnx` file by onnxruntime; none of them sees this package. The gates are those
    of the exporters: max|a-b| <= 1e-5 max|a| for every signature of a SavedModel, a
    mean cosine for the others (0.99999 float32 and ONNX, 0.9999 float16, 0.995
    dynamic, 0.99 int8), and with labels a limit on the loss of kNN accuracy (0.2,
    0.2, 0.5 and 1 points).

    Args:
        path: A SavedModel folder, a base folder (its highest version is taken), a
            `.tflite` or a `.onnx` file.
        encoder: The encoder, or a `ContrastiveModel`.
        images: `(n, height, width, channels)` in [0, 255]; real ones.
        labels: Integer classes `(n,)`. If given, each half of the images is
            classified by its 20 nearest neighbours in the other half, once by the
            features of the encoder and once by those of the artefact. The gate is
            for 1,000 images or more; of fewer, one decides too much.
        repeats: Calls per latency measurement, at batch sizes 1 and 32 with 1 and 2
            threads; 0 leaves latency out.

    Returns:
        A `ParityReport`; it does not raise for a gate, see `report.passed`.

    Raises:
        ValueError: `path` is no artefact, or `images` do not fit the encoder.
        RuntimeError: The artefact does not run.

    Example:
    >>> encoder = kc.encoders.resnet(depth=10, width=4)
    >>> path = kc.export.to_tflite(encoder, "birds.tflite")
    >>> images = np.random.uniform(0, 255, (8, 32, 32, 3))
    >>> kc.export.verify(path, encoder, images).passed
    True
    """
    path, runner = _artefact(path)
    encoder = float32_encoder(encoder)
    images = reference.check_images(encoder, images)
    expected = reference.reference_features(encoder, images)
    if runner == "saved_model":
        report, features = _saved_model(path, encoder, images, expected, repeats)
    else:
        report, features = _file(path, runner, encoder, images, expected, repeats)
    if labels is not None:
        report.knn_encoder = _knn(expected, labels)
        report.knn_artefact = _knn(features, labels)
        allowed = parity.KNN_POINTS[report.kind]
        enough = len(images) >= parity.KNN_IMAGES
        if enough and report.knn_change < -allowed - 1e-9:
            report.failures.append(
                f"kNN accuracy fell by {-report.knn_change:.2f} points, allowed are "
                f"{allowed}"
            )
    return report


def is_artefact(path) -> bool:
    """Whether `verify` takes it."""
    try:
        return bool(_artefact(path))
    except ValueError:
        return False


def _artefact(path):
    path = pathlib.Path(path)
    for suffix in ("tflite", "onnx"):
        if path.is_file() and path.suffix == f".{suffix}":
            return path, suffix
    if (path / "saved_model.pb").is_file():
        return path, "saved_model"
    if path.is_file() and path.suffix == ".xml":
        return path, "openvino"
    numbers = version_folder.versions(path)
    if numbers and (path / str(numbers[-1]) / "saved_model.pb").is_file():
        return path / str(numbers[-1]), "saved_model"
    for folder in (path, path / str(numbers[-1]) if numbers else path):
        if (folder / "model.xml").is_file():
            return folder / "model.xml", "openvino"
    raise ValueError(
        "`path` must be a SavedModel or OpenVINO folder, a base folder of numbered "
        f"versions, a .tflite or a .onnx file. Received: path={str(path)!r}, which "
        + ("is none of these." if path.exists() else "does not exist.")
    )


def _saved_model(path, encoder, images, expected, repeats):
    encoded, expected_of_encoded = [], None
    channels = encoder.inputs[0].shape[-1]
    if channels in (1, 3):
        encoded = reference.encoded_examples(images)
        expected_of_encoded = reference.reference_of_encoded(
            encoder, encoded, images.shape[1:3]
        )
    output = output_name(encoder)
    options = {"output": output, "batch_sizes": (1, 32), "repeats": repeats}
    outputs, facts = clean_process.run(
        "saved_model", path, images, encoded, threads=1, **options
    )
    latency = facts.get("latency", [])
    if repeats:  # the number of threads is fixed when TensorFlow starts
        _, second = clean_process.run(
            "saved_model", path, images[:32], threads=2, latency_only=True, **options
        )
        latency += second["latency"]
    failures, differences = parity.saved_model_failures(
        outputs, facts, expected, expected_of_encoded
    )
    served = [path / "saved_model.pb", *(path / "variables").glob("*")]
    report = ParityReport(
        path=str(path),
        kind="saved_model",
        num_images=len(images),
        differences=differences,
        size_bytes=sum(x.stat().st_size for x in served),
        latency=latency,
        failures=failures,
    )
    return report, outputs["serving_default"]


def _file(path, runner, encoder, images, expected, repeats):
    options = {"threads": (1, 2), "batch_sizes": (1, 32), "repeats": repeats}
    outputs, facts = clean_process.run(
        runner, path, images, **(options if repeats else {})
    )
    kind = facts.get("variant", runner)
    differences = parity.compare(expected, outputs["features"])
    report = ParityReport(
        path=str(path),
        kind=kind,
        num_images=len(images),
        differences={output_name(encoder): differences},
        size_bytes=path.stat().st_size + _weights(path),
        latency=facts["latency"],
        failures=parity.file_failures(kind, differences),
    )
    return report, outputs["features"]


def _weights(path):
    """Bytes of OpenVINO's second file."""
    file = path.with_suffix(".bin")
    return file.stat().st_size if path.suffix == ".xml" else 0


def _knn(features, labels):
    """Mean accuracy of the two halves, each classified by the other."""
    if not np.isfinite(features).all():
        return 0.0
    labels, half = np.asarray(labels), len(features) // 2
    (x_1, x_2), (y_1, y_2) = np.split(features, [half]), np.split(labels, [half])
    forward = knn_accuracy(x_1, y_1, x_2, y_2, k=20)
    return (forward + knn_accuracy(x_2, y_2, x_1, y_1, k=20)) / 2

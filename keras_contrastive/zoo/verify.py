"""Whether a preset's recorded numbers hold on this machine."""

import pathlib

from keras_contrastive.zoo.measure import measure
from keras_contrastive.zoo.verify_report import VerifyReport
from keras_contrastive.zoo.zoo import describe, from_preset

TOLERANCE = 0.3  # points: another processor, or a GPU, rounds differently


def verify(
    preset, data_dir=None, datasets=None, cache_dir=None, sha256=None
) -> VerifyReport:
    """Load a preset and measure its recorded kNN and linear accuracy again.

    The files are checked first. The bundled sample can always be measured; a data set
    is where TensorFlow Datasets has it prepared, and is skipped, with the reason,
    elsewhere. So are numbers that another protocol has made.

    Args:
        preset: As in `kc.from_preset`.
        data_dir: As in `kc.zoo.measure`.
        datasets: Names of the data sets to measure; by default all in its
            `metrics.json`.
        cache_dir: As in `kc.from_preset`.
        sha256: As in `kc.from_preset`.

    Returns:
        A `VerifyReport`; it does not raise for a difference, see `report.passed`.

    Raises:
        ValueError, OSError: As in `kc.from_preset`; a name in `datasets` without
            recorded numbers.
        ImportError: scikit-learn is missing.

    Example:
    >>> encoder = kc.encoders.resnet(depth=10, width=4, input_shape=(28, 28, 1))
    >>> metrics = {"sample": kc.zoo.measure(encoder)}
    >>> path = kc.save_to_preset(encoder, "runs/shoes", metrics=metrics)
    >>> kc.zoo.verify(path).passed
    True
    """
    about = describe(preset, cache_dir, sha256)
    recorded = about["metrics"]
    report = VerifyReport(about["name"], TOLERANCE)
    encoder = from_preset(pathlib.Path(about["folder"]), sha256=about["sha256"])
    for dataset in recorded if datasets is None else datasets:
        if dataset not in recorded:
            raise ValueError(
                f"`datasets` must be among {sorted(recorded)}, of which "
                f"{about['name']!r} has numbers. Received: {dataset!r}"
            )
        before = recorded[dataset]
        if not {"knn", "linear"} & {*before}:
            report.skipped[dataset] = "it has no kNN and no linear accuracy to measure"
            continue
        try:
            now = measure(encoder, dataset, data_dir)
        except LookupError as error:
            report.skipped[dataset] = str(error)
            continue
        if before.get("protocol") != now["protocol"]:
            report.skipped[dataset] = (
                "its numbers were made by another protocol, "
                f"{before.get('protocol')}; this package's is {now['protocol']}"
            )
            continue
        report.rows += [
            {
                "dataset": dataset,
                "metric": metric,
                "recorded": before[metric],
                "measured": now[metric],
            }
            for metric in ("knn", "linear")
            if metric in before
        ]
    return report

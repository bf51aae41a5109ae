"""Whether a preset's recorded numbers hold on this machine."""

import dataclasses
import json

from keras_contrastive.zoo import sources
from keras_contrastive.zoo.measure import measure
from keras_contrastive.zoo.preset import load_encoder
from keras_contrastive.zoo.preset_files import METADATA, METRICS, printable

TOLERANCE = 0.3  # points: another processor, or a GPU, rounds differently


@dataclasses.dataclass
class VerifyReport:
    """The recorded numbers of a preset beside the same ones measured here.

    `print(report)` is a table; `report.to_json()` is for programs.

    Attributes:
        preset: Its name.
        tolerance: Allowed difference in points (100 are all test images).
        rows: List of dicts: `dataset`, `metric`, and the fractions in [0, 1]
            `recorded` and `measured`.
        skipped: Why a data set was not measured, by its name.
    """

    preset: str
    tolerance: float
    rows: list[dict] = dataclasses.field(default_factory=list)
    skipped: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether something was measured, and all of it agrees."""
        return bool(self.rows) and all(self.agrees(row) for row in self.rows)

    def agrees(self, row: dict) -> bool:
        """Return whether a row's two numbers differ by the tolerance at most."""
        return abs(_points(row)) <= self.tolerance + 1e-9

    def to_json(self) -> str:
        """Return the report as a JSON object."""
        content = dataclasses.asdict(self) | {"passed": self.passed}
        return json.dumps(content, indent=2)

    def __str__(self):
        lines = [f"{self.preset}: recorded and measured accuracy in %"]
        for row in self.rows:
            lines.append(
                f"  {row['dataset']:16}{row['metric']:8}{100 * row['recorded']:7.2f}"
                f"{100 * row['measured']:7.2f}  ({_points(row):+.2f} points)"
                + ("" if self.agrees(row) else "  DIFFERS")
            )
        lines += [f"  {name:16}skipped: {why}" for name, why in self.skipped.items()]
        verdict = "passed" if self.passed else "FAILED"
        if not self.rows:
            verdict = "FAILED: nothing could be measured"
        lines.append(f"  {verdict} (allowed: {self.tolerance} points)")
        return printable("\n".join(lines))


def _points(row):
    return 100 * (row["measured"] - row["recorded"])


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
    files = sources.read(preset, cache_dir, sha256)  # once: it may be replaced
    name, recorded = files.json(METADATA)["name"], files.json(METRICS)
    report = VerifyReport(name, TOLERANCE)
    encoder = load_encoder(files)
    for dataset in recorded if datasets is None else datasets:
        if dataset not in recorded:
            raise ValueError(
                f"`datasets` must be among {sorted(recorded)}, of which "
                f"{name!r} has numbers. Received: {dataset!r}"
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

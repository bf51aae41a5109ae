"""What `verify` found out about one preset."""

import dataclasses
import json

from keras_contrastive.zoo.preset_files import printable


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

"""Accuracies by the number of labels: a table and a JSON file."""

import dataclasses
import pathlib

import numpy as np

from keras_contrastive.files import write_json


@dataclasses.dataclass(frozen=True)
class FewLabelResult:
    """What `few_label_evaluation` returns: prints as a table, saves as JSON.

    Args:
        scores: One dictionary for each measure and fraction: `measure`, `fraction`,
            `labels` (their number), `accuracies` (test accuracy of each draw, in
            [0, 1]), and `learning_rate` of what was trained.
        protocol: How the accuracies came about, as JSON holds it.

    Example:
    >>> score = {"measure": "fine-tuned", "fraction": 0.01, "labels": 600,
    ...          "accuracies": [0.8, 0.82]}
    >>> result = keras_contrastive.evaluation.FewLabelResult([score], {})
    >>> print(result)
    accuracy in %          1 % (600)
    fine-tuned            81.0 ± 1.4
    """

    scores: list[dict]
    protocol: dict

    def accuracies(self, measure: str, fraction: float) -> list[float]:
        """Return the test accuracy of each draw, in [0, 1].

        Args:
            measure: One of `measures`.
            fraction: One of the fractions that were asked for.

        Returns:
            One float for each draw.

        Raises:
            KeyError: There is no such measure or fraction.
        """
        for score in self.scores:
            if (score["measure"], score["fraction"]) == (measure, fraction):
                return score["accuracies"]
        raise KeyError(
            f"Expected a measure of {self.measures} and a fraction of "
            f"{self.fractions}. Received: measure={measure!r}, fraction={fraction!r}"
        )

    def mean(self, measure: str, fraction: float) -> float:
        """Return the mean over the draws, in [0, 1]; arguments as of `accuracies`."""
        return float(np.mean(self.accuracies(measure, fraction)))

    def deviation(self, measure: str, fraction: float) -> float | None:
        """Return the standard deviation over the draws (n - 1); None for one draw."""
        values = self.accuracies(measure, fraction)
        return float(np.std(values, ddof=1)) if len(values) > 1 else None

    @property
    def measures(self) -> list[str]:
        """The measures, in the order of the table's rows."""
        return list(dict.fromkeys(score["measure"] for score in self.scores))

    @property
    def fractions(self) -> list[float]:
        """The fractions of labels, in the order of the table's columns."""
        return list(dict.fromkeys(score["fraction"] for score in self.scores))

    def to_dict(self) -> dict:
        """Return scores, their means and deviations, and the protocol, for JSON."""
        scores = [
            {
                **score,
                "mean": self.mean(score["measure"], score["fraction"]),
                "deviation": self.deviation(score["measure"], score["fraction"]),
            }
            for score in self.scores
        ]
        return {"scores": scores, "protocol": self.protocol}

    def save(self, path) -> pathlib.Path:
        """Write `to_dict` as JSON, under its final name only when complete.

        Args:
            path: The file to write; its folder exists.

        Returns:
            The path.
        """
        write_json(path, self.to_dict())
        return pathlib.Path(path)

    def __str__(self):
        labels = {score["fraction"]: score["labels"] for score in self.scores}
        heads = [f"{100 * f:g} % ({labels[f]:,})" for f in self.fractions]
        lines = [f"{'accuracy in %':16}" + "".join(f"{head:>16}" for head in heads)]
        for measure in self.measures:
            cells = [self._cell(measure, fraction) for fraction in self.fractions]
            lines.append(f"{measure:16}" + "".join(f"{cell:>16}" for cell in cells))
        return "\n".join(lines)

    def _cell(self, measure, fraction):
        try:
            self.accuracies(measure, fraction)
        except KeyError:
            return "-"
        deviation = self.deviation(measure, fraction)
        spread = "" if deviation is None else f" ± {100 * deviation:.1f}"
        return f"{100 * self.mean(measure, fraction):.1f}{spread}"

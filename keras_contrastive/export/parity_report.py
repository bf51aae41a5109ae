"""What `verify` found out about one artefact."""

import dataclasses
import json


@dataclasses.dataclass
class ParityReport:
    """How an artefact compares with the encoder it was made of.

    `print(report)` is a table; `report.to_json()` is for programs.

    Attributes:
        path: The artefact.
        kind: `"saved_model"`, `"onnx"`, `"openvino"`, or a TF-Lite variant
            (`"float32"`, `"float16"`, `"dynamic"`, `"int8"`).
        num_images: Images it was compared on.
        differences: Results of `parity.compare` for each signature; TF-Lite and ONNX
            files have one, named after the output.
        size_bytes: Size of what is deployed.
        latency: List of dicts: `batch_size`, `threads`, `p50_ms`, `p95_ms`.
        knn_encoder: kNN accuracy of the encoder's features, in [0, 1]; None without
            labels.
        knn_artefact: That of the artefact's.
        failures: The gates that failed, in words; empty when all is well.
    """

    path: str
    kind: str
    num_images: int
    differences: dict[str, dict[str, float]]
    size_bytes: int
    latency: list[dict] = dataclasses.field(default_factory=list)
    knn_encoder: float | None = None
    knn_artefact: float | None = None
    failures: list[str] = dataclasses.field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether every gate holds."""
        return not self.failures

    @property
    def knn_change(self) -> float | None:
        """Change of kNN accuracy in points (100 are all images); below 0 is worse."""
        if self.knn_encoder is None or self.knn_artefact is None:
            return None
        return 100 * (self.knn_artefact - self.knn_encoder)

    def to_json(self) -> str:
        """Return the report as a JSON object."""
        content = dataclasses.asdict(self)
        content |= {"passed": self.passed, "knn_change": self.knn_change}
        return json.dumps(content, indent=2)

    def __str__(self):
        lines = [
            f"{self.path} ({self.kind}, {self.size_bytes / 2**20:.2f} MiB) "
            f"against the encoder on {self.num_images} images",
            f"{'':18}{'max|a-b|':>10}{'/ max|a|':>10}{'mean|a-b|':>11}"
            f"{'mean cos':>10}{'min cos':>10}",
        ]
        for name, found in self.differences.items():
            lines.append(
                f"{name:18}{found['max_difference']:10.2e}"
                f"{found['relative_difference']:10.2e}{found['mean_difference']:11.2e}"
                f"{found['mean_cosine']:10.6f}{found['min_cosine']:10.6f}"
            )
        if self.knn_encoder is not None:
            lines.append(
                f"kNN accuracy      {100 * self.knn_encoder:.2f} % -> "
                f"{100 * self.knn_artefact:.2f} % ({self.knn_change:+.2f} points)"
            )
        for x in self.latency:
            lines.append(
                f"latency           batch {x['batch_size']:<3} threads {x['threads']}  "
                f"p50 {x['p50_ms']:8.2f} ms  p95 {x['p95_ms']:8.2f} ms"
            )
        lines.append("passed" if self.passed else "FAILED: " + "; ".join(self.failures))
        return "\n".join(lines)

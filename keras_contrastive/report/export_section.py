"""What exports of the encoder are worth: size, parity, latency."""

import pathlib

from keras_contrastive.report.section import Section


def exports(reports) -> Section | None:
    """Compare exported files with the encoder.

    Args:
        reports: What `kc.export.verify` returned of each; None or empty is no section.
    """
    if not reports:
        return None
    rows = []
    for report in reports:
        found = report.differences.values()
        single = [
            x["p50_ms"]
            for x in report.latency
            if (x["batch_size"], x["threads"]) == (1, 1)
        ]
        change = report.knn_change
        rows.append(
            {
                "name": "/".join(pathlib.Path(report.path).parts[-2:]),
                "kind": report.kind,
                "size": f"{report.size_bytes / 2**20:.2f}",
                "cosine": f"{min(x['mean_cosine'] for x in found):.6f}",
                "difference": f"{max(x['relative_difference'] for x in found):.1e}",
                "knn": "" if change is None else f"{change:+.1f}",
                "latency": f"{single[0]:.2f}" if single else "",
                "sentence": "; ".join(report.failures) or "passed",
            }
        )
    images = ", ".join(sorted({f"{report.num_images:,}" for report in reports}))
    return Section(
        "exports",
        "Exports",
        {"rows": rows},
        f"Each file was run without Keras in a process of its own, on {images} images, "
        "and compared with the encoder by kc.export.verify. Of several signatures the "
        "worst counts. kNN is the change in points, each half searched in the other, "
        "k = 20. Latency is the median of one image on one thread of this machine.",
    )

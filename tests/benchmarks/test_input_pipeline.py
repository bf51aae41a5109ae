"""The benchmark's report, from made-up results, and our own pipeline, briefly."""

import json

import numpy as np
import pytest


def record(**speeds):
    rows = {
        name.replace("_", " "): {"samples_per_second": runs, "versions": {name: "1.0"}}
        for name, runs in speeds.items()
    }
    return {
        "batch_size": 8,
        "source": "arrays",
        "rows": rows,
        "out": {"keras-cv": "broken"},
    }


def test_report_of_made_up_results(load, tmp_path):
    report = load("pipeline_report")
    benchmark = load("input_pipeline")
    path = tmp_path / "results" / "input_pipeline.json"
    first = record(ours=[100.0], lightly=[40.0])
    second = record(ours=[300, 900, 310], lightly=[31, 30, 10], memory_copy=[3000])
    benchmark.merged(path, {"96": first, "32": first})
    results = benchmark.merged(path, {"32": second})
    assert results == json.loads(path.read_text()) == {"96": first, "32": second}
    assert [file.name for file in path.parent.iterdir()] == [path.name]

    text = report.table(results)
    assert text.index("32 px") < text.index("96 px")
    line = next(line for line in text.splitlines() if line.startswith("| ours"))
    assert [cell.strip() for cell in line.split("|")[1:-1]] == [
        *("ours", "310", "300", "900", "10.33 x", "10.3 %")  # medians, not means
    ]
    assert "keras-cv is left out: broken" in text

    report.chart(results, tmp_path / "chart.png")
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")


def test_own_pipeline_makes_timed_view_pairs(load, tmp_path):
    benchmark = load("input_pipeline")
    pipeline = load("own_pipeline")
    protocol = load("protocol")
    images = np.concatenate(list(benchmark.pictures(20, (16, 16))))
    assert images.shape == (20, 16, 16, 3) and images.std() > 20
    np.save(tmp_path / "images.npy", images)
    task = {
        **benchmark.POLICY,
        **{"size": 16, "strength": 0.5, "batch_size": 8},
        **{"source": "arrays", "path": str(tmp_path / "images.npy")},
    }
    batches = pipeline.batches(task)
    made = {"views": 2, "values": [8 * 16 * 16 * 3] * 2, "shape": (8, 16, 16, 3)}
    assert protocol.describe(next(batches)) == {**made, "dtypes": ["float32"] * 2}
    run = protocol.measure(batches, 0, 0, warm_up_batches=1, least_batches=3)
    assert run["samples"] == 24
    assert run["samples_per_second"] == pytest.approx(24 / run["seconds"])

    centre, same = next(pipeline.batches({**task, "stage": 0}))
    assert centre.shape == (8, 16, 16, 3) and np.array_equal(centre, same)

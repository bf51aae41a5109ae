"""The example of the bounds, small, within this process."""

import json
import pathlib

import numpy as np
import pytest

pytest.importorskip("matplotlib")
EXAMPLE = pathlib.Path(__file__).parents[2] / "examples" / "mutual_information.py"


def test_table_and_figure(tmp_path, capsys, load_script, untraced):
    script, parse = load_script(EXAMPLE)
    few = "--steps=1", "--batch_size=8", "--hidden_units=4"
    parse(*few, "--only=MINE,interpolated 0.5,InfoNCE", f"--output={tmp_path}")
    script.main([])
    table = json.loads((tmp_path / "mutual_information.json").read_text())
    assert list(table) == ["MINE", "interpolated 0.5", "InfoNCE"]
    said = capsys.readouterr().out
    for name, measures in table.items():
        assert script.row(name, measures) in said
        assert list(measures) == ["2", "4", "6", "8", "10"]
        assert np.isfinite([list(found.values()) for found in measures.values()]).all()
    for nats, found in table["InfoNCE"].items():  # never above log 8
        assert found["bias"] <= np.log(8) - int(nats) + 1e-6
    assert (tmp_path / "mutual_information.png").stat().st_size > 5_000


def test_gaussians_share_what_is_said(load_script):
    script, _ = load_script(EXAMPLE)
    x, y = script.gaussians(20_000, seed=0)
    for i, nats in enumerate(script.NATS):
        rows = slice(i * 20_000, (i + 1) * 20_000)
        both = np.concatenate([x[rows], y[rows]], axis=1)
        logdet = np.linalg.slogdet(np.cov(both.T))[1]
        apart = sum(np.linalg.slogdet(np.cov(v[rows].T))[1] for v in (x, y))
        assert (apart - logdet) / 2 == pytest.approx(nats, rel=0.02)

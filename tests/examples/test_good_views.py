"""The study of views, small; and its crops, which are a given distance apart."""

import json
import pathlib

import numpy as np
import pytest

pytest.importorskip("matplotlib")
EXAMPLE = pathlib.Path(__file__).parents[2] / "examples" / "good_views.py"


def test_table_choice_and_figure(tmp_path, capsys, load_script, small_sample, untraced):
    script, parse = load_script(EXAMPLE)
    small_sample(48)
    few = "--epochs=1", "--batch_size=24", "--width=4"
    parse(*few, "--vary=distance", "--values=0,0.4", f"--output={tmp_path}")
    script.main([])
    rows = json.loads((tmp_path / "distance" / "good_views.json").read_text())
    assert [row["value"] for row in rows] == [0, 0.4]
    assert all(0 <= row["linear"][0] <= 1 for row in rows)
    assert np.isfinite([row["nats"] for row in rows]).all()
    assert (tmp_path / "distance" / "good_views.png").stat().st_size > 5_000
    best = max(rows, key=lambda row: row["linear"][0])["value"]
    assert f"Best linear accuracy: distance {best:g}" in capsys.readouterr().out


@pytest.mark.parametrize("distance", [0.0, 0.25, 0.5])
def test_crops_lie_apart(load_script, distance):
    script, _ = load_script(EXAMPLE)
    row, column = np.mgrid[:16, :12]
    images = np.stack([row, column], axis=-1)[None].repeat(64, axis=0)
    crops = script.CropsApart(distance)
    first, second = crops(images, seed=np.array([1, 2], "int32"))
    for crop in (first, second):
        assert crop.shape == (64, 8, 6, 2)
        np.testing.assert_array_equal(np.diff(crop[..., 0], axis=1), 1)
        np.testing.assert_array_equal(np.diff(crop[..., 1], axis=2), 1)
    moved = (second - first)[:, 0, 0].numpy()
    expected = np.array([16 * distance, 12 * distance])
    np.testing.assert_array_equal(np.abs(moved), np.tile(expected, (64, 1)))
    if distance:
        assert len(np.unique(moved[:, 0])) == 2  # either one may be above
    if distance < 0.5:
        assert len(np.unique(first[:, 0, 0], axis=0)) > 8


@pytest.mark.parametrize("vary", ["area", "strength"])
def test_values_are_the_policys(load_script, vary):
    script, _ = load_script(EXAMPLE)
    weak, strong = (str(script.policy(vary, v, (8, 8))) for v in (0.5, 1.0))
    assert weak != strong and "blur" not in weak.lower()


def test_the_choice_names_what_is_as_good(load_script):
    script, _ = load_script(EXAMPLE)
    rows = [
        {"value": 0.1, "linear": (0.50, 0.52)},
        {"value": 0.2, "linear": (0.60, 0.64)},
        {"value": 0.4, "linear": (0.61, 0.61)},
    ]
    said = script.verdict("area", rows)
    expected = "Best linear accuracy: area 0.2; within a standard deviation: 0.4."
    assert said == expected
    assert "at an end" in script.verdict("area", rows[:2])

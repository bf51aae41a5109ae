"""The example over two presets, whose accuracies are given."""

import json
import pathlib

import pytest

import keras_contrastive as kc

EXAMPLE = pathlib.Path(__file__).parents[2] / "examples" / "judge_without_labels.py"


@pytest.mark.slow
def test_table_and_correlations(tmp_path, monkeypatch, capsys, load_script, untraced):
    script, parse = load_script(EXAMPLE)
    accuracies = iter((0.7, 0.8, 0.9))
    monkeypatch.setattr(
        kc.zoo, "measure", lambda encoder, data: {"linear": next(accuracies)}
    )
    parse("--num_images=24", "--num_views=2", f"--output={tmp_path}")
    names = ["simclr_resnet10_fashion_mnist", "supcon_resnet10_fashion_mnist"]
    script.main(["", *names])
    found = json.loads((tmp_path / "judge.json").read_text())
    assert list(found["encoders"])[1:] == names
    assert [row["linear"] for row in found["encoders"].values()] == [0.7, 0.8, 0.9]
    labels = [row["saw_labels"] for row in found["encoders"].values()]
    assert labels == [False, False, True]
    for key, sign in script.SIGNS.items():
        values = [sign * row[key] for row in found["encoders"].values()]
        said = found["correlations"]
        first = 1 if values[0] < values[1] else -1
        assert said["without labels"][key] == pytest.approx(first)
        assert (said["all"][key] > 0.99) == (sorted(values) == values)
    said = capsys.readouterr().out
    assert "Where each orders most wrongly" in said


def test_the_worst_pair(load_script):
    script, _ = load_script(EXAMPLE)
    rows = {
        "a": {"linear": 0.9, "lidar": 3},
        "b": {"linear": 0.8, "lidar": 5},
        "c": {"linear": 0.5, "lidar": 4},
    }
    expected = "c above a, which is 40.0 points better"
    assert script.worst(rows, "lidar", 1) == expected
    rows["a"]["lidar"] = 6
    assert script.worst(rows, "lidar", 1) == "nowhere"

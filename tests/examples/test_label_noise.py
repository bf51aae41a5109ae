"""The study of wrong labels, small; and its corruption and its correction."""

import json
import pathlib

import numpy as np
import pytest

pytest.importorskip("sklearn")
EXAMPLE = pathlib.Path(__file__).parents[2] / "examples" / "label_noise.py"


@pytest.mark.slow
def test_table(tmp_path, capsys, load_script, small_sample, untraced):
    script, parse = load_script(EXAMPLE)
    small_sample(96)
    few = "--epochs=1", "--batch_size=48", "--clusters=1", "--noise=0.5"
    parse(*few, f"--output={tmp_path}")
    script.main([])
    rows = json.loads((tmp_path / "label_noise.json").read_text())
    assert [row["method"] for row in rows] == ["SupCon", "cross-entropy", "SimCLR"]
    for row in rows:
        (run,) = row["runs"]
        assert list(run) == list(script.COLUMNS)
        assert run["labels_right"] == 0.5
        assert all(0 <= value <= 1 for value in run.values())
    assert "50%" in capsys.readouterr().out


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_that_share_is_wrong_and_classes_stay(load_script, share):
    script, _ = load_script(EXAMPLE)
    labels = np.arange(2000) % 10
    noisy = script.corrupt(labels, share, seed=0)
    assert np.mean(noisy != labels) == share
    assert set(noisy) == set(range(10))
    wrong = noisy != labels
    moved = np.bincount((noisy - labels)[wrong] % 10, minlength=10)[1:]
    if share:  # every other class about equally often
        assert moved.min() > 0.6 * moved.mean()


def test_the_majority_of_a_cluster_mends(load_script):
    script, _ = load_script(EXAMPLE)
    clusters = np.array([0, 0, 0, 2, 2, 2])
    labels = np.array([1, 1, 4, 3, 0, 3])
    np.testing.assert_array_equal(script.mend(clusters, labels), [1, 1, 1, 3, 3, 3])

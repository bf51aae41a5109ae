"""The study of transfer, small."""

import json
import pathlib

import numpy as np
import pytest

import keras_contrastive as kc

pytest.importorskip("sklearn")
EXAMPLE = pathlib.Path(__file__).parents[2] / "examples" / "transfer.py"


@pytest.mark.slow
def test_table(tmp_path, capsys, load_script, small_sample, untraced):
    script, parse = load_script(EXAMPLE)
    small_sample(120)
    few = "--epochs=1", "--batch_size=32", "--labels=10", "--policies=weak"
    parse(*few, "--methods=Exemplar,cross-entropy", f"--output={tmp_path}")
    script.main([])
    rows = json.loads((tmp_path / "transfer.json").read_text())
    assert [row["method"] for row in rows] == ["Exemplar", "cross-entropy"]
    for row in rows:
        (run,) = row["runs"]
        assert list(run) == list(script.COLUMNS)
        assert all(0 <= value <= 1 for value in run.values())
    assert "Best linear accuracy on the target" in capsys.readouterr().out


def test_source_and_target_share_no_class(load_script):
    script, parse = load_script(EXAMPLE)
    parse()
    (source, _), (target, _) = script.load()
    whole, labels = kc.data.load_sample()[0]
    assert len(source[0]) == np.isin(labels, range(5)).sum()
    np.testing.assert_array_equal(target[0], whole[labels > 4])
    assert set(source[1]) == set(target[1]) == set(range(5))


def test_every_method_has_a_recipe(load_script):
    script, parse = load_script(EXAMPLE)
    parse()
    for method in script._METHODS.value:
        if method != "cross-entropy":
            assert hasattr(kc.recipes, f"{method.upper()}_SMALL")

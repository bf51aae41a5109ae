"""The study of bounds and accuracy, small; and its encoder, which loses nothing."""

import json
import pathlib

import keras
import numpy as np
import pytest

import keras_contrastive as kc

pytest.importorskip("matplotlib")
EXAMPLE = pathlib.Path(__file__).parents[2] / "examples" / "information_and_accuracy.py"


@pytest.mark.slow
def test_table_and_figure(tmp_path, monkeypatch, capsys, load_script, untraced):
    script, parse = load_script(EXAMPLE)
    small = [tuple(part[:64] for part in split) for split in kc.data.load_sample()]
    monkeypatch.setattr(kc.data, "load_sample", lambda: small)
    parse("--epochs=1", "--batch_size=32", f"--output={tmp_path}")
    script.main([])
    found = tmp_path / "information_and_accuracy.json"
    rows = json.loads(found.read_text())
    kinds = [("invertible", "bilinear")]
    kinds += [("compressing", critic) for critic in script.CRITICS]
    expected = [(*kind, epoch) for kind in kinds for epoch in (0, 1)]
    assert [(r["encoder"], r["critic"], r["epoch"]) for r in rows] == expected
    for row in rows:
        assert row["nats"][0] <= np.log(32) + 1e-5 and 0 <= row["linear"][0] <= 1
    assert found.with_suffix(".png").stat().st_size > 5_000
    assert "Invertible encoders" in capsys.readouterr().out


@pytest.mark.parametrize("dim", [6, 7])
def test_coupling_can_be_inverted(load_script, dim):
    script, _ = load_script(EXAMPLE)
    encoder = script.invertible(dim, depth=3)
    x = np.random.default_rng(0).normal(size=(5, dim)).astype("float32")
    rng = np.random.default_rng(1)
    for weight in encoder.weights:
        weight.assign(rng.normal(0, 0.3, weight.shape))
    y = encoder(x)
    assert not np.allclose(y[:, :3], x[:, :3], atol=0.1)
    for layer in reversed(encoder.layers):
        y = layer.invert(y)
    np.testing.assert_allclose(y, x, atol=1e-4)


def test_encoders_learn_along_with_the_critic(load_script):
    script, parse = load_script(EXAMPLE)
    parse()
    encoders = script.compressing(4, (8, 3)), script.compressing(4, (8, 3))
    critic = script.Encoded(*encoders, script.CRITICS["bilinear"](0))
    model = kc.mutual_information.InformationEstimator(critic, "infonce")
    model.compile(keras.optimizers.Adam(1e-2))
    model.build(((None, 4), (None, 4)))
    names = {id(w) for w in model.trainable_weights}
    assert all(id(w) in names for g in encoders for w in g.trainable_weights)

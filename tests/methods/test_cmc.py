"""CMC: the authors' values, a step by the paper, three parts, and wrong input."""

import golden_values
import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import build, encoder_of, head, inputs, sgd, tiny_encoder

import keras_contrastive as kc
from keras_contrastive.losses.nce_loss import estimate_z
from keras_contrastive.unit_vectors import l2_normalize

GOLDEN = golden_values.load("nce_cmc")


@pytest.mark.parametrize("name", GOLDEN)
def test_authors_values_gradients_and_banks(name):
    case = GOLDEN[name]
    hp = case["hp"]
    model = kc.CMC(
        encoder_of("cmc"),
        kc.layers.ProjectionHead(hp["D"], hidden_units=()),
        num_examples=hp["n_data"],
        num_negatives=hp["K"],
        temperature=hp["T"],
        nce=name.endswith("nce"),
    )
    model.compile(sgd())
    for bank, part in zip(model.banks, ("l", "ab"), strict=True):
        bank.set_weights([case[f"memory_{part}"]])
    v = [tf.constant(case[part], "float32") for part in ("l", "ab")]
    with tf.GradientTape() as tape:
        tape.watch(v)
        scores = [model.scores(v[a], b, case["idx"]) for a, b in model.pairs]
        Z = [estimate_z(s, hp["n_data"]) for s in scores]
        outputs = {"scores": scores, "Z": Z, "v": v}
        loss = model.contrastive_loss(outputs, kc.Batch((), ids=case["y"]))
    expected = case["loss_l"] + case["loss_ab"]
    np.testing.assert_allclose(loss, expected, rtol=3e-5)
    for gradient, part in zip(tape.gradient(loss, v), ("l", "ab"), strict=True):
        # The authors' features are unit vectors: theirs has a part along them.
        expected, unit = case[f"grad_{part}"], case[part]
        along = np.sum(expected * unit, axis=1, keepdims=True)
        expected = expected - along * unit
        np.testing.assert_allclose(
            gradient, expected, rtol=1e-3, atol=5e-4 * np.abs(expected).max()
        )
    model.after_step(outputs, kc.Batch((), ids=case["y"]), applied=True)
    for bank, part in zip(model.banks, ("l", "ab"), strict=True):
        after = case[f"memory_{part}_after"]
        np.testing.assert_allclose(bank.value, after, atol=1e-6)


def test_a_step_by_the_paper():
    model = build("cmc", nce=False)
    model.compile(sgd(0.0))
    (view,), targets = inputs(model, 8)
    banks = [np.array(bank.value) for bank in model.banks]
    entries = np.array(model.banks[0].entries(targets["id"], 8, seed=0))
    features = np.array(model.encoder(view, training=True))
    heads = model.projector.heads
    loss = 0
    for x, part, other in ((features[:, :3], 0, 1), (features[:, 3:], 1, 0)):
        v = l2_normalize(heads[part](x, training=True))
        s = np.einsum("nkd,nd->nk", banks[other][entries], v) / 0.07
        loss += (np.log(np.exp(s).sum(1)) - s[:, 0]).mean()
    logs = model.train_on_batch((view,), targets, return_dict=True)
    assert logs["loss"] == pytest.approx(loss, rel=1e-4)


def test_without_banks_parts_are_compared_in_the_batch():
    model = build("cmc", num_examples=None)
    model.compile(sgd(), run_eagerly=True)
    (view,), _ = inputs(model, 8)
    outputs = model.forward(kc.Batch((view,)), training=True)
    v, u = (np.array(l2_normalize(x)) for x in outputs["v"])
    s = v @ u.T / 0.07
    expected = sum((np.log(np.exp(x).sum(1)) - np.diag(x)).mean() for x in (s, s.T))
    loss = model.contrastive_loss(outputs, kc.Batch((view,)))
    assert float(loss) == pytest.approx(expected, rel=1e-4)
    assert np.isfinite(model.train_on_batch((view,), return_dict=True)["loss"])


def test_three_parts_have_six_pairs():
    images = keras.Input((8, 8, 3))
    parts = {
        name: keras.Model(images, tiny_encoder(8, 1)(images[..., i : i + 1]))
        for i, name in enumerate(("red", "green", "blue"))
    }
    encoder = kc.encoders.side_by_side(parts)
    model = kc.CMC(encoder, head(), parts=tuple(parts), num_examples=32)
    model.compile(sgd(), run_eagerly=True)
    assert (len(model.pairs), len(model.banks)) == (6, 3)
    assert np.isfinite(
        model.train_on_batch(*inputs(build("cmc"), 8), return_dict=True)["loss"]
    )


def test_bad_input():
    with pytest.raises(ValueError, match="`names` must be layers of the encoder"):
        kc.CMC(tiny_encoder(), num_examples=32)
    with pytest.raises(ValueError, match="two or more parts.*lightness"):
        kc.CMC(encoder_of("cmc"), parts=("lightness",), num_examples=32)
    with pytest.raises(ValueError, match="3 channels, red, green and blue.*8, 1"):
        kc.encoders.lightness_and_color(lambda shape: tiny_encoder(8, 1), (8, 8, 1))

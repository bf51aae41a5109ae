"""PIRL and InfoMin: the authors' values, a step by the paper, and wrong input."""

import golden_values
import numpy as np
import pytest
import tensorflow as tf
from helpers import arrays, build, encoder_of, head, inputs, sgd, tiny_encoder

import keras_contrastive as kc
from keras_contrastive.losses.nce_loss import estimate_z
from keras_contrastive.unit_vectors import l2_normalize

GOLDEN = golden_values.load("pirl")


def model_of(case, nce):
    """A PIRL whose bank is that of the authors' case."""
    hp = case["hp"]
    model = kc.PIRL(
        tiny_encoder(None, width=hp["D"], kernel=2),
        kc.layers.ProjectionHead(hp["D"], hidden_units=()),
        num_examples=hp["n_data"],
        num_negatives=hp["K"],
        temperature=hp["temperature"],
        bank_momentum=hp["momentum"],
        weight=hp["lambda"],
        nce=nce,
    )
    model.compile(sgd())
    model.bank.set_weights([case["memory"]])
    return model


@pytest.mark.parametrize("nce", [True, False])
@pytest.mark.parametrize("name", GOLDEN)
def test_authors_values_gradients_and_bank(name, nce):
    case, form = GOLDEN[name], "nce" if nce else "softmax"
    model = model_of(case, nce)
    image, puzzle = (
        tf.constant(case[f"raw_{key}"], "float32") for key in ("image", "transformed")
    )
    with tf.GradientTape() as tape:
        tape.watch([image, puzzle])
        scores, puzzle_scores = (
            model.bank.similarities(x, case[f"idx_{key}"]) / model.temperature
            for key, x in (("image", image), ("transformed", puzzle))
        )
        outputs = {
            "scores": scores,
            "puzzle_scores": puzzle_scores,
            "Z": estimate_z(puzzle_scores, model.num_examples),
        }
        loss = model.contrastive_loss(outputs, kc.Batch(()))
    np.testing.assert_allclose(loss, case[f"loss_{form}"], rtol=3e-5)
    gradients = tape.gradient(loss, [image, puzzle])
    for gradient, key in zip(gradients, ("image", "transformed"), strict=True):
        expected = case[f"grad_raw_{key}_{form}"]
        scale = np.abs(expected).max()
        np.testing.assert_allclose(gradient, expected, rtol=5e-4, atol=5e-4 * scale)
    model.bank.update(case["y"], image)
    np.testing.assert_allclose(model.bank.value, case["memory_after"], atol=1e-6)


def test_a_step_by_the_paper():
    model = build("pirl", nce=False, weight=0.3)
    model.compile(sgd(0.0))
    views, targets = inputs(model, 8)
    bank = np.array(model.bank.value)
    entries = np.array(model.bank.entries(targets["id"], 8, seed=0))
    v = model.projector(model.encoder(views[0], training=True), training=True)
    patches = np.array(model.jigsaw(views[1], seed=0))
    features = model.encoder(patches.reshape(-1, *patches.shape[2:]), training=True)
    v_t = model.patch_projector(np.array(features).reshape(8, 9, -1))
    losses = []
    for x in (v, v_t):
        s = np.einsum("nkd,nd->nk", bank[entries], l2_normalize(x)) / 0.07
        losses.append((np.log(np.exp(s).sum(1)) - s[:, 0]).mean())
    logs = model.train_on_batch(views, targets, return_dict=True)
    assert logs["loss"] == pytest.approx(0.7 * losses[0] + 0.3 * losses[1], rel=1e-4)
    assert entries[:, 0].tolist() == targets["id"].tolist()


def test_views_of_two_sizes_and_bad_input():
    model = build("pirl")
    model.compile(sgd(), run_eagerly=True)
    (v_1, v_2), targets = inputs(model, 8)
    logs = model.train_on_batch((v_1, v_2[:, :6]), targets, return_dict=True)
    assert np.isfinite(logs["loss"])
    words = r"any size.*\(None, 8, 8, 3\).*None in `input_shape`"
    with pytest.raises(ValueError, match=words):
        kc.PIRL(tiny_encoder(), head(), num_examples=32)
    with pytest.raises(ValueError, match=words):
        kc.MoCo(tiny_encoder(), head(), jigsaw_weight=0.5)
    with pytest.raises(ValueError, match=r"`weight` must be in \[0, 1\].*2"):
        build("pirl", weight=2)
    with pytest.raises(ValueError, match="takes images .* at least 3 pixels"):
        model.train_on_batch((v_1, v_2[:, :2]), targets)


def test_infomin_asks_for_the_key_with_patches_too():
    model = kc.MoCo(encoder_of("pirl"), head(), queue_size=24, jigsaw_weight=0.25)
    model.compile(sgd())
    (v_1, v_2), _ = arrays(8)
    batch = kc.Batch((v_1, v_2, v_2), step=3)
    outputs = model.forward(batch, training=True)
    key, query = outputs["pairs"][0]
    of_images = model.loss((key, model.queue.value), query)
    of_puzzle = model.loss((key, model.queue.value), outputs["puzzle"])
    loss = model.contrastive_loss(outputs, batch)
    np.testing.assert_allclose(loss, 0.75 * of_images + 0.25 * of_puzzle, rtol=1e-5)
    copy = kc.MoCo.from_config(model.get_config())
    assert copy.jigsaw_weight == 0.25
    weights = [w.shape for w in model.weights]
    assert [w.shape for w in copy.weights] == weights
    model.run_eagerly = True
    data = tf.data.Dataset.from_tensor_slices(arrays(16)[0][0]).batch(8)
    history = model.fit(data.map(lambda x: ((x, x, x),)), verbose=0).history
    assert np.isfinite(history["loss"]).all()
    with pytest.raises(ValueError, match="MoCo needs at least 3 views"):
        model.fit(data.map(lambda x: ((x, x),)), verbose=0)

"""Instance discrimination: its loss by the paper, the bank, and wrong ids."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import build, dataset, inputs, sgd

import keras_contrastive as kc
from keras_contrastive.methods import checked_data


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


@pytest.mark.parametrize("nce", [True, False])
def test_a_step_by_the_paper(nce):
    model = build("instance_discrimination", nce=nce)
    model.compile(sgd(0.0))
    (view,), targets = inputs(model, 8)
    ids, n, t = targets["id"], 32, 0.07
    before = np.array(model.bank.value, "float64")
    v = np.array(model.projector(model.encoder(view, training=True), training=True))
    noise = tf.random.stateless_uniform((8, 8), [0, 0], maxval=n, dtype=tf.int64)
    entries = np.concatenate([ids[:, None], noise], axis=1)
    scores = np.einsum("nkd,nd->nk", before[entries], unit(v.astype("float64"))) / t
    if nce:
        Z = n * np.exp(scores).mean()
        p, c = np.exp(scores) / Z, 8 / n
        losses = -np.log(p[:, 0] / (p[:, 0] + c)) - np.log(c / (p[:, 1:] + c)).sum(1)
    else:
        losses = np.log(np.exp(scores).sum(1)) - scores[:, 0]
    logs = model.train_on_batch((view,), targets, return_dict=True)
    assert logs["loss"] == pytest.approx(losses.mean(), rel=1e-4)
    expected = before.copy()
    expected[ids] = unit(0.5 * before[ids] + 0.5 * unit(v))
    np.testing.assert_allclose(model.bank.value, expected, atol=1e-5)
    if nce:  # and Z stays
        assert float(model.constant.value) == pytest.approx(Z, rel=1e-4)
        model.train_on_batch((view,), targets)
        assert float(model.constant.value) == pytest.approx(Z, rel=1e-4)


@pytest.mark.parametrize(
    ("ids", "match"),
    [
        (None, "remembers every example.*no ids.*from 0 on"),
        (np.arange(32) - 1, "negative"),
        (np.arange(32) + 1, "below num_examples=32.*larger"),
        (np.arange(32) // 2, "same id twice"),
        (np.arange(32.0), "integer ids.*float64"),
    ],
)
def test_bad_ids(ids, match):
    model = build("instance_discrimination")
    model.compile(sgd())
    (view,), targets = inputs(model)
    targets = {"label": targets["label"], **({} if ids is None else {"id": ids})}
    before = np.array(model.bank.value)
    data = tf.data.Dataset.from_tensor_slices(((view,), targets)).batch(8)
    for run in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=match):
            run(data, verbose=0)
    if ids is None or ids.dtype.kind == "f":
        np.testing.assert_array_equal(model.bank.value, before)


def test_an_id_twice_in_arrays_is_refused_however_far_apart():
    size = 2 * checked_data._PIECE
    ids = np.arange(size)
    ids[-1] = 0  # Keras may shuffle both into one batch
    encoder = keras.Sequential([keras.Input((1, 1, 3)), keras.layers.Flatten()])
    model = kc.InstanceDiscrimination(
        encoder, keras.layers.Dense(2), num_examples=size, num_negatives=2
    )
    model.compile(sgd())
    images = np.full((size, 1, 1, 3), 9, "uint8")
    with pytest.raises(ValueError, match="same id twice.*its own id"):
        model.fit((images,), {"id": ids}, batch_size=size // 2, verbose=0)


def test_ids_that_a_method_does_not_need_change_nothing():
    model = build("simclr", num_classes=4)
    model.compile(sgd())
    data = dataset(model)
    with_ids = data.map(lambda views, y: (views, {"label": y, "id": tf.range(8)}))
    expected = model.evaluate(data, verbose=0, return_dict=True)
    assert model.evaluate(with_ids, verbose=0, return_dict=True) == expected


def test_other_keys_beside_the_views_are_named():
    model = build("simclr")
    model.compile(sgd())
    views, labels = inputs()
    data = tf.data.Dataset.from_tensor_slices((views, {"labels": labels})).batch(8)
    with pytest.raises(ValueError, match='"label" and "id".*labels'):
        model.fit(data, verbose=0)


def test_a_bank_of_another_size_is_refused(tmp_path):
    model = build("instance_discrimination")
    model.compile(sgd())
    model.fit(dataset(model), verbose=0)
    model.save_weights(tmp_path / "m.weights.h5")
    other = kc.InstanceDiscrimination(
        model.encoder, model.projector, num_examples=40, num_negatives=8
    )
    with pytest.raises(ValueError, match=r"bank .* \(32, 4\).*num_examples=40"):
        other.load_weights(tmp_path / "m.weights.h5")
    other.save_weights(tmp_path / "other.weights.h5")
    other.load_weights(tmp_path / "other.weights.h5")  # it still takes its own

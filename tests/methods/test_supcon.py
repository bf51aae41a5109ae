"""The joint form of SupCon: contrastive loss plus weighted cross-entropy."""

import keras
import numpy as np
import pytest
from helpers import arrays, build, dataset, sgd

import keras_contrastive as kc


def test_joint_loss_is_the_weighted_sum(tmp_path):
    model = build("supcon", num_classes=4, classification_weight=0.5)
    model.compile(sgd())
    views, labels = arrays(8)
    outputs = model.forward(kc.Batch(views, labels), training=True)
    z = np.stack([outputs["anchor"], outputs["positive"]], axis=1)
    contrastive = float(kc.losses.SupConLoss(0.1)(labels, z))
    cross_entropy = keras.losses.sparse_categorical_crossentropy(
        np.tile(labels, 2), outputs["logits"], from_logits=True
    )
    logs = model.evaluate(tuple(views), labels, 8, verbose=0, return_dict=True)
    expected = contrastive + 0.5 * float(np.mean(cross_entropy))
    assert logs["loss"] == pytest.approx(expected, rel=1e-5)
    history = model.fit(dataset(), epochs=8, verbose=0).history
    assert history["accuracy"][-1] > history["accuracy"][0]
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert loaded.evaluate(dataset(), verbose=0) == model.evaluate(dataset(), verbose=0)


def test_weight_zero_is_pure_supcon_with_a_probe():
    pure = build("supcon")
    probed = build("supcon", num_classes=4, classification_weight=0.0)
    losses = []
    for model in (pure, probed):
        model.compile(sgd())
        losses.append(model.fit(dataset(), epochs=2, verbose=0).history["loss"])
    assert losses[0] == losses[1]
    assert probed.probe is not None and probed.classifier is None

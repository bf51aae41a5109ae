import keras
import numpy as np
import pytest

import keras_contrastive as kc
from keras_contrastive.encoders import resnet
from keras_contrastive.evaluation import build_classifier


def data():
    rng = np.random.default_rng(0)
    return rng.uniform(0, 255, (8, 16, 16, 3)), np.arange(8) % 3


def trained(trainable):
    encoder = resnet(10, 4, input_shape=(16, 16, 3))
    before = encoder.get_weights()
    model = build_classifier(encoder, 3, trainable)
    start = [v.numpy() for v in model.get_layer(encoder.name).variables]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss)
    model.fit(*data(), verbose=0)
    for a, b in zip(before, encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)  # the encoder itself stays as it was
    moved = [
        np.any(a != b)
        for a, b in zip(start, model.get_layer(encoder.name).variables, strict=True)
    ]
    return model, before, start, moved


def test_fine_tuning_moves_a_copy():
    model, before, start, moved = trained(trainable=True)
    for a, b in zip(before, start, strict=True):
        np.testing.assert_array_equal(a, b)
    assert all(moved)
    assert model(data()[0]).shape == (8, 3)


def test_a_frozen_encoder_does_not_move():
    model, _, _, moved = trained(trainable=False)
    assert not any(moved)
    assert len(model.trainable_variables) == 2


def test_save_and_mixed_precision(tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    model = build_classifier(resnet(10, 4, input_shape=(16, 16, 3)), 3)
    logits = model(data()[0])
    assert logits.dtype == "float32"
    model.save(tmp_path / "classifier.keras")
    loaded = keras.models.load_model(tmp_path / "classifier.keras")
    np.testing.assert_array_equal(loaded(data()[0]), logits)


def test_wrong_arguments():
    with pytest.raises(TypeError, match="must be a keras.Model"):
        build_classifier("resnet18", 3)
    with pytest.raises(ValueError, match="`num_classes` must be an int >= 2.*=1"):
        build_classifier(resnet(10, 4), 1)


def with_three_layers():
    """SimCLR with a head of three layers, whose batch norms have seen something."""
    encoder = resnet(10, 4, input_shape=(16, 16, 3))
    head = kc.layers.ProjectionHead(4, (6, 5), output_norm=True)
    model = kc.SimCLR(encoder, head)
    for _ in range(3):
        head(encoder(data()[0], training=True), training=True)
    return model


def test_from_the_middle_of_the_head(tmp_path):
    model = with_three_layers()
    images, head = data()[0], model.projector
    dense, norm, dense_2, norm_2, dense_3, norm_3 = [
        layer for layer in head._sublayers if layer.weights
    ]
    h = model.encoder(images)
    middle = np.maximum(norm(dense(h)), 0)
    second = np.maximum(norm_2(dense_2(middle)), 0)
    expected = [h, middle, second, norm_3(dense_3(second))]
    for head_layers, features in enumerate(expected):
        classifier = build_classifier(model, 3, head_layers=head_layers)
        kernel, bias = (np.array(w) for w in classifier.layers[-1].weights)
        logits = features @ kernel + bias
        np.testing.assert_allclose(classifier(images), logits, rtol=1e-4, atol=1e-5)
    classifier = build_classifier(model, 3, head_layers=1)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    classifier.compile(keras.optimizers.SGD(0.1), loss)
    before = [np.array(w) for w in model.weights]
    start = [np.array(w) for w in classifier.trainable_variables]
    classifier.train_on_batch(*data())
    pairs = zip(start, classifier.trainable_variables, strict=True)
    assert all(np.any(a != b) for a, b in pairs)
    for a, b in zip(before, model.weights, strict=True):  # they are copies
        np.testing.assert_array_equal(a, b)
    classifier.save(tmp_path / "classifier.keras")
    loaded = keras.models.load_model(tmp_path / "classifier.keras")
    np.testing.assert_array_equal(loaded(images), classifier(images))
    frozen = build_classifier(model, 3, trainable=False, head_layers=2)
    assert len(frozen.trainable_variables) == 2


def test_fine_tuning_protocol_keeps_layers_of_the_head(monkeypatch):
    monkeypatch.setattr(keras.Model, "fit", lambda *args, **kwargs: None)
    protocol = kc.evaluation.FineTuning(steps=1, epochs=0.01)
    classifier = protocol.fit(with_three_layers(), *data(), 1e-3, head_layers=1)
    assert classifier.layers[-1].kernel.shape == (6, 3)


def test_layers_that_the_head_does_not_have():
    model = with_three_layers()
    for head_layers in (4, -1, 1.0):
        with pytest.raises(ValueError, match="`head_layers`.*3 layers, 2 of them hidd"):
            build_classifier(model, 3, head_layers=head_layers)
    with pytest.raises(TypeError, match="`head_layers`.*not its encoder"):
        build_classifier(model.encoder, 3, head_layers=1)
    with pytest.raises(ValueError, match="no weights yet"):
        kc.layers.ProjectionHead(4, 6).first_layers(1)

import keras
import numpy as np
import pytest

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

"""Linear probe, best encoder, projector and preview, on an encoder that `fit` moves."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_contrastive as kc
from keras_contrastive import callbacks
from keras_contrastive.evaluation import extract_features, linear_probe

RNG = np.random.default_rng(0)
LABELS = np.arange(24) % 3
IMAGES = RNG.uniform(0, 120, (24, 6, 6, 3)) + 40 * np.eye(3)[LABELS][:, None, None]
TRAIN, TEST = (IMAGES[:16], LABELS[:16]), (IMAGES[16:], LABELS[16:])


class Model(keras.Model):
    """The least that callbacks need."""

    def __init__(self):
        super().__init__()
        pool = keras.layers.GlobalAveragePooling2D()
        self.encoder = keras.Sequential(
            [keras.Input((6, 6, 3)), keras.layers.Conv2D(4, 3), pool]
        )

    def call(self, x):
        return self.encoder(x)


def fit(*given, epochs=3):
    model = Model()
    model.compile("sgd", "mse", run_eagerly=True)
    model.fit(IMAGES, LABELS[:, None], epochs=epochs, callbacks=[*given], verbose=0)
    return model


def test_linear_probe():
    probe = callbacks.LinearProbeEvaluation(TRAIN, TEST, every=2)
    model = fit(probe)
    assert probe.epoch == [1, 2]
    features = [extract_features(model, x) for x, _ in (TRAIN, TEST)]
    expected = linear_probe(
        features[0], TRAIN[1], features[1], TEST[1], candidates=(1e-2,)
    )
    assert probe.history["linear_accuracy"][-1] == expected


def test_best_encoder(tmp_path):
    values = [0.2, 0.7, float("nan"), 0.5]
    encoders = []

    class Measure(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            encoders.append(self.model.encoder.get_weights())
            if epoch != 3:  # not measured after every epoch
                logs["knn_accuracy"] = values[epoch]

    best = callbacks.BestEncoder(tmp_path / "new/best.keras")
    fit(Measure(), best, epochs=4)
    assert (best.best, best.epoch) == (0.7, 1)
    kept = keras.models.load_model(tmp_path / "new/best.keras")
    for a, b in zip(kept.get_weights(), encoders[1], strict=True):
        np.testing.assert_array_equal(a, b)
    low = callbacks.BestEncoder(tmp_path / "low.keras", mode="min")
    fit(Measure(), low, epochs=4)
    assert (low.best, low.epoch) == (0.2, 0)
    with pytest.raises(ValueError, match="'knn_accuracy', which was measured after no"):
        fit(callbacks.BestEncoder(tmp_path / "no.keras"), epochs=1)
    with pytest.raises(ValueError, match='must end in ".keras"'):
        callbacks.BestEncoder("best.h5")
    with pytest.raises(ValueError, match='`mode` must be "max" or "min"'):
        callbacks.BestEncoder("best.keras", mode="most")


def test_embedding_projector(tmp_path):
    names = np.array(["a cat", "b\tc", ""])[LABELS[:7]]
    projector = callbacks.EmbeddingProjector(tmp_path, IMAGES[:7], names, thumbnail=4)
    model = fit(projector, epochs=2)
    rows = [line.split("\t") for line in (tmp_path / "features.tsv").open()]
    expected = extract_features(model, IMAGES[:7])
    np.testing.assert_allclose(np.array(rows, "float64"), expected, rtol=1e-4)
    labels = (tmp_path / "labels.tsv").read_text().split("\n")
    assert labels[:3] == ["a cat", "b c", "-"] and len(labels) == 8
    sprite = tf.io.decode_png((tmp_path / "sprite.png").read_bytes()).numpy()
    assert sprite.shape == (12, 12, 3)
    small = tf.image.resize(IMAGES[4:5], (4, 4), antialias=True)[0]
    np.testing.assert_allclose(sprite[4:8, 4:8], small, atol=1)
    assert (sprite[8:, 4:] == 255).all()  # behind the last image
    config = (tmp_path / "projector_config.pbtxt").read_text()
    assert config.count("single_image_dim: 4") == 2
    assert all(
        f'"{path.name}"' in config or "config" in path.name
        for path in tmp_path.iterdir()
    )
    with pytest.raises(ValueError, match="one entry for each of 7 images"):
        callbacks.EmbeddingProjector(tmp_path, IMAGES[:7], names[:6])
    with pytest.raises(ValueError, match=r"\(n, height, width, channels\)"):
        callbacks.EmbeddingProjector(tmp_path, IMAGES[..., 0])
    with pytest.raises(ValueError, match="at most 8192 pixels a side"):
        callbacks.EmbeddingProjector(tmp_path, IMAGES, thumbnail=2000)


def test_augmentation_preview(tmp_path):
    policy = kc.layers.Views([[kc.layers.RandomResizedCrop(6)]] * 2)
    path = tmp_path / "new/views.png"
    fit(callbacks.AugmentationPreview(IMAGES, policy, path, rows=2), epochs=1)
    assert path.read_bytes().startswith(b"\x89PNG")

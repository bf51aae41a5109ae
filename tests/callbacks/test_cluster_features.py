"""Clusters between epochs: k-means, what a method gets of it, and PCL's loss."""

import sys

import golden_values
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from sklearn.cluster import KMeans

import keras_contrastive as kc
from keras_contrastive.callbacks import ClusterFeatures
from keras_contrastive.k_means import k_means
from keras_contrastive.layers import Clustering
from keras_contrastive.losses import ProtoNCELoss

PCL = golden_values.load("pcl")
RNG = np.random.default_rng(0)
BLOBS = np.repeat(RNG.normal(size=(5, 3)), 20, axis=0) + 0.05 * RNG.normal(
    size=(100, 3)
)
X = np.clip(
    np.repeat(RNG.uniform(0, 255, (4, 1, 1, 3)), 4, axis=0)
    + RNG.normal(0, 20, (16, 8, 8, 3)),
    0,
    255,
).astype("float32")


def test_k_means_finds_what_scikit_learn_finds():
    centres, clusters, distances = k_means(BLOBS, 5, seed=0, restarts=10)
    theirs = KMeans(5, n_init=10, random_state=0).fit(BLOBS)
    np.testing.assert_allclose(np.sum(distances**2), theirs.inertia_, rtol=1e-5)
    assert len(set(zip(clusters, theirs.labels_, strict=True))) == 5
    np.testing.assert_allclose(
        distances, np.linalg.norm(BLOBS - centres[clusters], axis=1), rtol=1e-4
    )
    again = k_means(BLOBS, 5, seed=0, restarts=10)
    for a, b in zip((centres, clusters, distances), again, strict=True):
        np.testing.assert_array_equal(a, b)


def test_no_cluster_is_empty():
    points = np.concatenate([np.zeros((9, 2)), np.ones((1, 2)), 2 * np.ones((1, 2))])
    _, clusters, distances = k_means(points, 3, seed=0, restarts=1)
    assert set(clusters) == {0, 1, 2} and distances.max() == 0


def test_of_many_points_a_sample_is_clustered(monkeypatch):
    monkeypatch.setattr("keras_contrastive.k_means.LARGE", 60)
    centres, clusters, distances = k_means(BLOBS, 5, seed=3, restarts=20)
    assert len(set(zip(clusters, np.repeat(range(5), 20), strict=True))) == 5
    expected = np.linalg.norm(BLOBS - centres[clusters], axis=1)
    np.testing.assert_allclose(distances, expected, rtol=1e-4)
    for a, b in zip(
        k_means(BLOBS, 5, 3, restarts=20), (centres, clusters), strict=False
    ):
        np.testing.assert_array_equal(a, b)


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.cluster", None)
    with pytest.raises(ImportError, match=r"need scikit-learn: pip install .*plots"):
        k_means(BLOBS, 5, seed=0)


@pytest.mark.parametrize("case", PCL)
def test_concentrations_are_those_of_the_authors(case):
    arrays = PCL[case]
    points, clusters = arrays["density_points"], arrays["density_assign"]
    centres, expected = arrays["density_centroids"], arrays["density_out"]
    temperature = float(expected.mean())
    layer = Clustering(len(points), *centres.shape, temperature=temperature)
    distances = np.linalg.norm(points - centres[clusters], axis=1)
    layer.fill(centres, clusters, distances)
    np.testing.assert_allclose(layer.concentrations, expected, rtol=2e-5)


@pytest.mark.parametrize("case", PCL)
def test_the_loss_of_pcl_follows_from_what_is_kept(case):
    arrays = PCL[case]
    q, ids = arrays["q"].astype("float32"), arrays["index"]
    for m, expected in enumerate(np.atleast_1d(arrays["loss_proto"])):
        centroids, clusters = arrays[f"centroids_{m}"], arrays[f"im2cluster_{m}"]
        layer = Clustering(len(clusters), *centroids.shape)
        layer.prototypes.assign(centroids)
        layer.concentrations.assign(arrays[f"density_{m}"])
        layer.clusters.assign(clusters)
        negatives = arrays[f"neg_proto_ids_{m}"]
        kept = layer.of(ids), layer.prototypes, layer.concentrations, negatives
        np.testing.assert_allclose(ProtoNCELoss()(kept, q), expected, rtol=2e-5)


@keras.saving.register_keras_serializable(package="keras_contrastive_tests")
class Prototypical(kc.ContrastiveModel):
    """PCL in short: towards the own prototypes of two clusterings, if any."""

    needs = kc.Needs(ids=True)
    num_examples = 16

    def __init__(self, encoder, projector=None, **kwargs):
        super().__init__(encoder, projector, target=True)
        dim = self.embedding_dim
        self.clusterings = [Clustering(16, k, dim, name=f"k{k}") for k in (4, 8)]

    def default_projector(self, feature_dim):
        return keras.layers.Dense(4)

    def default_loss(self):
        return kc.losses.BYOLLoss()

    def forward(self, batch, training):
        features, (z_1, z_2) = self.online(batch.views, training)
        return {"features": features, "anchor": z_1, "positive": z_2}

    def contrastive_loss(self, outputs, batch):
        total = self.loss(outputs["positive"], outputs["anchor"])
        for clustering in self.clusterings:
            own = ops.take(clustering.prototypes, clustering.of(batch.ids), axis=0)
            loss = self.loss(own, outputs["anchor"])
            total += ops.where(clustering.ready, loss, 0.0)
        return total


def model():
    keras.utils.set_random_seed(1)
    images = keras.Input((8, 8, 3))
    x = keras.layers.Rescaling(1 / 255)(images)
    x = keras.layers.Conv2D(4, 3, activation="tanh")(x)  # no feature is 0
    encoder = keras.Model(images, keras.layers.GlobalAveragePooling2D()(x))
    model = Prototypical(encoder)
    rule = kc.callbacks.MomentumUpdate(0.5, schedule="constant")
    model.compile(keras.optimizers.SGD(0.1), momentum_update=rule)
    return model


def views():
    augmentation = lambda x: (x, x[:, ::-1])  # noqa: E731
    return kc.data.views_from_arrays(
        X, augmentation=augmentation, batch_size=8, seed=0, with_ids=True
    )


def test_clusters_follow_the_target_and_resume_exactly(tmp_path):
    def fit(model, epochs, every):
        callbacks = [
            ClusterFeatures(kc.data.images_from_arrays(X), 1, every),
            kc.callbacks.Checkpoint(tmp_path / f"{every}.weights.h5"),
        ]
        model.fit(views(), epochs=epochs, verbose=0, callbacks=callbacks)
        return model

    first = fit(model(), 1, every=1)
    assert not any(bool(c.ready.value) for c in first.clusterings)  # before the 2nd
    whole = fit(model(), 3, every=2)
    (tmp_path / "2.weights.h5").unlink()
    fit(model(), 2, every=2)
    resumed = fit(model(), 3, every=2)  # its epoch lives on what is saved
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert all(bool(c.ready.value) for c in resumed.clusterings)
    resumed.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    for a, b in zip(resumed.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)

    callback = ClusterFeatures(X)  # what it fills is that of the target as it is now
    callback.set_model(loaded)
    callback.on_train_begin()
    callback.cluster(0)
    z = loaded.target(X, training=False)
    z = z / ops.norm(z, axis=1, keepdims=True)
    for clustering in loaded.clusterings:
        own = ops.take(clustering.prototypes, clustering.of(np.arange(16)), 0)
        every = ops.matmul(z, ops.transpose(clustering.prototypes))
        assert np.mean(ops.sum(z * own, 1) >= ops.max(every, 1) - 1e-3) > 0.9
        np.testing.assert_allclose(ops.norm(own, axis=1), np.ones(16), rtol=1e-5)


def test_replicas_read_the_same_clusters(strategy_of):
    weights = []
    for replicas in (1, 2):
        once = ClusterFeatures(X, every=2)  # later, rounding decides at borders
        with strategy_of(replicas).scope():
            trained = model()
        trained.fit(views(), epochs=2, verbose=0, callbacks=[once])
        weights.append(trained.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_errors_say_what_is_wrong():
    short = ClusterFeatures(X[:15])
    with pytest.raises(ValueError, match="all 16 examples.*Received: 15 images"):
        model().fit(views(), verbose=0, callbacks=[short])
    other = kc.BYOL(model().encoder, keras.layers.Dense(4), keras.layers.Dense(4))
    other.compile("sgd")
    data = tf.data.Dataset.from_tensors(((X, X),))
    with pytest.raises(ValueError, match="Received: a BYOL, which has none"):
        other.fit(data, verbose=0, callbacks=[ClusterFeatures(X)])
    with pytest.raises(ValueError, match="`every` must be a positive integer"):
        ClusterFeatures(X, every=0)
    with pytest.raises(ValueError, match="must be >= 0.*first_epoch=-1"):
        ClusterFeatures(X, first_epoch=-1)
    with pytest.raises(ValueError, match="at most num_examples=4.*num_clusters=5"):
        Clustering(4, 5, 2)

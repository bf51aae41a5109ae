"""PCL: MoCo and clusters, which exist from some epoch on."""

import keras
import numpy as np
import pytest
from helpers import arrays, clustered, dataset, head, sgd, tiny_encoder

import keras_contrastive as kc

(VIEW_1, VIEW_2), _ = arrays(8)
BATCH = kc.Batch((VIEW_1, VIEW_2), ids=np.arange(8), step=3)


def unfilled(**arguments):
    keras.utils.set_random_seed(0)
    sizes = {"num_examples": 32, "num_clusters": (5, 9), "queue_size": 24}
    model = kc.PCL(tiny_encoder(), head(32), **{**sizes, **arguments})
    model.compile(sgd(), jit_compile=False)
    return model


def test_loss_is_that_of_moco_and_the_mean_over_clusterings():
    model = clustered(unfilled(num_negatives=2))
    outputs = model.forward(BATCH, training=True)
    (keys, queries), *_ = outputs["pairs"]
    expected = model.paper_loss((keys, model.queue.value), queries)
    for clustering in model.clusterings:
        chosen = clustering.of(BATCH.ids)
        negatives = model.drawn(clustering.num_clusters, chosen, BATCH.step)
        prototypes, phi = clustering.prototypes, clustering.concentrations
        loss = model.prototype_loss((chosen, prototypes, phi, negatives), queries)
        expected = expected + loss / 2
    actual = model.contrastive_loss(outputs, BATCH)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_before_the_first_clustering_it_is_moco():
    model = unfilled()
    history = model.fit(dataset(model), verbose=0).history
    assert np.isfinite(history["loss"]).all()
    outputs = model.forward(BATCH, training=True)
    (keys, queries), *_ = outputs["pairs"]
    expected = model.paper_loss((keys, model.queue.value), queries)
    np.testing.assert_allclose(model.contrastive_loss(outputs, BATCH), expected)


def test_negatives_are_other_clusters_drawn_anew():
    model = unfilled(num_negatives=3)
    hit = np.array([0, 2, 2, 7], "int32")
    draws = {tuple(model.drawn(9, hit, step).numpy()) for step in range(20)}
    assert len(draws) > 5
    assert all(len({*draw}) == 3 and not {*draw} & {0, 2, 7} for draw in draws)
    few = model.drawn(4, np.array([0, 2, 3], "int32"), 0).numpy()
    assert sorted(few) == [-1, -1, 1]


def test_clusters_are_made_between_epochs():
    model = unfilled()
    images = arrays(32)[0][0]
    clusters = kc.callbacks.ClusterFeatures(images, first_epoch=1, restarts=1)
    history = model.fit(dataset(model), epochs=3, verbose=0, callbacks=[clusters])
    assert all(np.array(c.ready) for c in model.clusterings)
    assert np.isfinite(history.history["loss"]).all()
    assert history.history["loss"][1] > history.history["loss"][0]  # a second term


def test_bad_arguments():
    with pytest.raises(ValueError, match="`version` must be 1 or 2.*version=3"):
        unfilled(version=3)
    with pytest.raises(ValueError, match="`num_clusters` must be at most num_examples"):
        unfilled(num_clusters=(33,))
    with pytest.raises(ValueError, match="`num_negatives` must be a positive integer"):
        unfilled(num_negatives=0)

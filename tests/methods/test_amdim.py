"""AMDIM: global features and places of two views, at three pairs of scales."""

import keras
import numpy as np
import pytest
from helpers import arrays, head, sgd, small_heads, two_maps_encoder

import keras_contrastive as kc

VIEWS, _ = arrays(8)
BATCH = kc.Batch(tuple(VIEWS), step=3)


def amdim(**arguments):
    keras.utils.set_random_seed(0)
    small = {"maps": ("map5", "map"), "local_projectors": small_heads()}
    model = kc.AMDIM(two_maps_encoder(), head(), **{**small, **arguments})
    model.compile(sgd(), jit_compile=False)
    return model


def nce(sources, targets, clip, regularization):
    """NCE with clipped scores, one image and place after the other."""
    terms, squares = [], []
    for i, source in enumerate(sources):
        scores = np.array([place @ source for place in targets]) / np.sqrt(len(source))
        squares.append(np.mean(scores**2))
        exp = np.exp(clip * np.tanh(scores / clip))
        others = np.delete(exp, i, axis=0).sum()
        terms += [-np.log(own / (own + others)) for own in exp[i]]
    return np.mean(terms) + regularization * np.mean(squares)


def test_loss_is_the_papers_at_three_pairs_of_scales():
    model = amdim(clip=2.0, regularization=0.3)
    g, f, s = [], [], []
    for view in VIEWS:
        features, five, seven = model.maps(view, training=True)
        g.append(np.array(model.projector(features, training=True)))
        to_five, to_seven = model.local_projectors
        f.append(np.array(to_five(five, training=True)).reshape(8, 4, 4))
        s.append(np.array(to_seven(seven, training=True)).reshape(8, 9, 4))
    random = [np.array(r) for r in model.random_places(f, BATCH.step)]
    expected = 0.0
    for a, b in ((0, 1), (1, 0)):
        assert all(r in x for r, x in zip(random[a], f[a], strict=True))
        for pair in ((g[a], f[b]), (g[a], s[b]), (random[a], f[b])):
            expected += nce(*pair, 2.0, 0.3) / 2
    outputs = model.forward(BATCH, training=True)
    actual = model.contrastive_loss(outputs, BATCH)
    np.testing.assert_allclose(actual, expected, rtol=1e-4)


def test_places_are_drawn_for_each_image_view_and_step():
    model = amdim()
    places = np.arange(16).reshape(4, 4, 1).astype("float32")  # of four images
    draws = [
        [tuple(np.array(r).ravel()) for r in model.random_places([places] * 2, step)]
        for step in (*range(20), 0)
    ]
    assert draws[0] == draws[-1]
    assert len({draw for both in draws for draw in both}) > 20
    numbers = np.array(draws[:-1]) % 4
    assert np.bincount(numbers.astype(int).ravel()).min() > 20  # of 160, 40 of each


def test_defaults_are_the_papers():
    encoder = kc.encoders.amdim(2, 1, 16, input_shape=(16, 16, 3))
    model = kc.AMDIM(encoder)
    assert (model.paper_loss.clip, model.paper_loss.regularization) == (20.0, 0.05)
    assert type(model.projector) is keras.layers.Identity
    shapes = [shape[1:3] for shape in model.maps.output_shape[1:]]
    assert shapes == [(5, 5), (7, 7)]
    for local, x in zip(
        model.local_projectors, model.maps(np.zeros((2, 16, 16, 3)))[1:], strict=True
    ):
        assert local(x).shape[-1] == 16
        assert local.norm is None and not local.layer_norm and local.zero_init


def test_no_variable_is_counted_or_saved_twice(tmp_path):
    model = amdim()
    parts = [model.encoder, model.projector, *model.local_projectors]
    count = sum(len(part.trainable_variables) for part in parts)
    assert len(model.trainable_variables) == count
    model.build_optimizer()
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert loaded.map_names == ["map5", "map"]
    layers = {id(layer) for layer in loaded.encoder.layers}
    assert all(id(layer) in layers for layer in loaded.maps.layers if layer.weights)
    for a, b in zip(loaded.maps.weights, model.maps.weights, strict=True):
        np.testing.assert_array_equal(np.array(a), np.array(b))


def test_bad_arguments():
    with pytest.raises(ValueError, match="`maps` must be two names.*maps='map5'"):
        amdim(maps="map5")
    with pytest.raises(ValueError, match="must be layers of the encoder.*'map7'"):
        amdim(maps=("map5", "map7"))
    with pytest.raises(ValueError, match="`clip` must be a finite number"):
        amdim(clip=0.0)
    with pytest.raises(ValueError, match="`regularization` must be a number >= 0"):
        amdim(regularization=-1.0)
    wide = {**small_heads(), "map": kc.layers.ResidualHead(5)}
    with pytest.raises(ValueError, match="`local_projector7` must give places as wide"):
        amdim(local_projectors=wide)
    with pytest.raises(ValueError, match="`local_projectors` must be a dict"):
        amdim(local_projectors={"map9": head()})
    with pytest.raises(ValueError, match="`local_projectors` must be a dict"):
        amdim(local_projectors=head())

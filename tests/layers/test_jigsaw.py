"""Patches lie in the cells of a grid, each once, in an order of each image's own."""

import keras
import numpy as np
import pytest

from keras_contrastive.layers import Jigsaw


def places(size=31):
    """Images (4, size, size, 2) whose pixels say their row and column."""
    grid = np.stack(np.meshgrid(*[np.arange(size)] * 2, indexing="ij"), axis=-1)
    return np.tile(grid[None], (4, 1, 1, 1)).astype("float32")


def test_each_cell_gives_one_patch_of_it():
    patches = np.array(Jigsaw(grid=3, share=0.75)(places(), seed=5))
    assert patches.shape == (4, 9, 8, 8, 2)
    corner = patches[:, :, 0, 0]  # row and column; a cell has 10 pixels
    expected = corner[:, :, None, None] + places(8)[:, None]
    np.testing.assert_array_equal(patches, expected)
    for image in range(4):
        cells = {tuple(cell) for cell in corner[image] // 10}
        assert len(cells) == 9
        assert (corner[image] % 10 <= 2).all()


def test_orders_and_places_are_drawn_for_each_image_and_seed():
    layer = Jigsaw()
    first, again, other = (np.array(layer(places(), seed=s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    corners = [x[:, :, 0, 0].reshape(4, -1) for x in (first, other)]
    assert len(np.unique(np.concatenate(corners), axis=0)) == 8
    offsets = first[:, :, 0, 0].reshape(-1, 2) % 10
    assert {tuple(x) for x in offsets} >= {(0, 1), (1, 0)}


def test_whole_cells_of_a_wide_image():
    images = np.arange(4 * 6 * 3, dtype="float32").reshape(1, 4, 6, 3)
    patches = np.array(Jigsaw(grid=2, share=1.0)(images, seed=0))
    assert patches.shape == (1, 4, 2, 3, 3)
    np.testing.assert_array_equal(np.sort(patches, None), np.sort(images, None))


def test_features_are_those_of_the_patches():
    images = keras.Input((None, None, 2))
    encoder = keras.Model(images, keras.layers.GlobalAveragePooling2D()(images))
    layer = Jigsaw()
    (features,) = layer.features(encoder, layer(places(), seed=3), training=True)
    patches = np.array(layer(places(), seed=3))
    np.testing.assert_allclose(features, patches.mean(axis=(2, 3)), rtol=1e-5)
    head = layer.projector(encoder, 5)
    assert head(features).shape == (4, 5)
    given = keras.layers.Flatten()
    assert layer.projector(encoder, 5, given) is given


def test_bad_input():
    with pytest.raises(ValueError, match="`grid` must be a positive integer"):
        Jigsaw(grid=0)
    with pytest.raises(ValueError, match=r"`share` must be in \(0, 1\].*share=1.5"):
        Jigsaw(share=1.5)
    with pytest.raises(ValueError, match="at least 3 pixels.*2, 9, 1"):
        Jigsaw()(np.zeros((1, 2, 9, 1)), seed=0)
    assert Jigsaw.from_config(Jigsaw(2, 0.5).get_config()).share == 0.5

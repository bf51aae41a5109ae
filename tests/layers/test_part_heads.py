import keras
import numpy as np
import pytest

from keras_contrastive.layers import PartHeads, ProjectionHead


def test_each_part_has_its_head():
    layer = PartHeads([ProjectionHead(4), keras.layers.Dense(4)], sizes=[3, 5])
    x = np.random.default_rng(0).normal(size=(6, 8)).astype("float32")
    y = layer(x, training=True)
    expected = [layer.heads[0](x[:, :3], training=True), layer.heads[1](x[:, 3:])]
    np.testing.assert_allclose(y, np.concatenate(expected, axis=1), rtol=1e-6)
    assert y.shape == (6, 8) and layer.compute_output_shape((6, 8)) == (6, 8)
    copy = PartHeads.from_config(layer.get_config())
    copy.build((None, 8))
    assert [w.shape for w in copy.weights] == [w.shape for w in layer.weights]


def test_bad_input():
    with pytest.raises(ValueError, match="one entry for each part.*1 heads"):
        PartHeads([ProjectionHead(4)], sizes=[3, 5])
    layer = PartHeads([keras.layers.Dense(2)], sizes=[3])
    with pytest.raises(ValueError, match="must be 3 wide.*4"):
        layer(np.ones((1, 4)))

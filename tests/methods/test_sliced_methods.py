"""LeJEPA and VISReg: any number of views, compared on random directions."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import arrays, head, sgd, tiny_encoder

import keras_contrastive as kc
from keras_contrastive.losses.sliced_loss import random_directions

V_1, V_2 = (tf.constant(view) for view in arrays(8)[0])
LOSSES = {
    "LeJEPA": (kc.losses.LeJEPALoss, {"weight": 0.3}),
    "VISReg": (kc.losses.VISRegLoss, {"weight": 0.3, "scale": 2.0, "center": 0.5}),
}
both = pytest.mark.parametrize("name", LOSSES)


def make(name, **kwargs):
    keras.utils.set_random_seed(0)
    model = getattr(kc, name)(tiny_encoder(None), head(), num_slices=16, **kwargs)
    model.compile(sgd(), run_eagerly=True)
    return model


@both
def test_multi_crop(name):
    """Two global views, then local ones, on the directions of the step."""
    loss, arguments = LOSSES[name]
    views = (V_1, V_2, V_1[:, :6, :6], V_2[:, 1:7, 1:7], V_1[:, 2:, 2:])
    model = make(name, **arguments)
    batch = kc.Batch(views, step=3)
    actual = model.contrastive_loss(model.forward(batch, training=True), batch)
    parts = []
    for group in (views[:2], views[2:]):  # one forward for each size
        z = model.encoder(tf.concat(group, axis=0), training=True)
        parts += np.split(model.projector(z, training=True), len(group))
    directions = random_directions(4, 16, seed=3)
    expected = loss(**arguments)(directions, np.stack(parts, axis=1))
    np.testing.assert_allclose(actual, expected, rtol=1e-4)
    assert np.isfinite(model.train_on_batch(views)).all()


@both
def test_a_step_decides_its_directions(name):
    first, second = make(name), make(name)
    for _ in range(2):
        losses = [m.train_on_batch((V_1, V_2)) for m in (first, second)]
        assert losses[0] == losses[1]
    again = make(name)
    again.train_on_batch((V_1, V_2))
    again.optimizer.iterations.assign(7)
    assert again.train_on_batch((V_1, V_2)) != losses[0]


@both
def test_all_global_views_must_be_there(name):
    model = make(name, num_global=3)
    before = [np.array(v) for v in model.trainable_variables]
    with pytest.raises(ValueError, match="at least num_global=3 views.*smaller"):
        model.fit((V_1, V_2), batch_size=8, verbose=0)
    for a, b in zip(before, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="`num_slices` must be a positive integer.*0"):
        getattr(kc, name)(tiny_encoder(None), head(), num_slices=0)

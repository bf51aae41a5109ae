"""SwAV: prototypes, codes, queues, multi-crop."""

import keras
import numpy as np
import pytest
from helpers import arrays, dataset, head, sgd, tiny_encoder

import keras_contrastive as kc
from keras_contrastive.losses import SwAVLoss, sinkhorn

(VIEW_1, VIEW_2), LABELS = arrays(8)


def swav(**arguments):
    keras.utils.set_random_seed(0)
    model = kc.SwAV(tiny_encoder(), head(), **{"num_prototypes": 6, **arguments})
    model.compile(sgd(), jit_compile=False)
    return model


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def directions(model):
    return np.array(model.prototypes.directions)


@pytest.mark.parametrize("num_views", [2, 4])
def test_loss_is_the_mean_over_pairs_of_a_code_and_another_view(num_views):
    keras.utils.set_random_seed(0)
    open_encoder = tiny_encoder(None)
    model = kc.SwAV(open_encoder, head(), num_prototypes=6, concatenate_views=False)
    model.compile(sgd())
    views = (VIEW_1, VIEW_2, VIEW_1[:, 1:, 1:], VIEW_2[:, 1:, 1:])[:num_views]
    scores = [
        unit(np.array(model.projector(open_encoder(v, training=True), training=True)))
        @ directions(model).T
        for v in views
    ]
    codes = [sinkhorn(s) for s in scores[:2]]
    losses = [
        SwAVLoss()(codes[a], scores[v])
        for a in (0, 1)
        for v in range(num_views)
        if v != a
    ]
    batch = kc.Batch(views)
    outputs = model.forward(batch, training=True)
    loss = model.contrastive_loss(outputs, batch)
    np.testing.assert_allclose(loss, np.mean(losses), rtol=1e-5)


def test_prototypes_are_fixed_at_first_and_keep_length_1():
    model = swav(freeze_epochs=1)
    seen = [directions(model)]
    look = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(directions(model))
    )
    model.fit(dataset(), epochs=2, verbose=0, callbacks=[look])
    start, frozen, free = seen
    np.testing.assert_allclose(frozen, start, atol=1e-6)
    assert np.abs(free - frozen).max() > 1e-3
    np.testing.assert_allclose(np.linalg.norm(free, axis=1), 1, rtol=1e-6)


def test_codes_use_the_queue_from_its_epoch_on_and_before_the_batch_enters_it():
    model = swav(queue_size=16, queue_start_epoch=1, freeze_epochs=0)
    scores = np.random.default_rng(0).uniform(-1, 1, (8, 6)).astype("float32")
    earlier = model.prototypes(model.queues[1].value)
    before, after = (model.codes(scores, 1, epoch) for epoch in (0, 1))
    np.testing.assert_allclose(before, sinkhorn(scores), rtol=1e-5)
    np.testing.assert_allclose(after, sinkhorn(scores, shared=earlier), rtol=1e-5)
    assert np.abs(after - before).max() > 1e-2

    batch = kc.Batch((VIEW_1, VIEW_2))
    outputs = model.forward(batch, training=True)
    model.after_step(outputs, batch, True)
    for queue, z in zip(model.queues, ("anchor", "positive"), strict=True):
        np.testing.assert_allclose(queue.value[:8], unit(np.array(outputs[z])), 1e-5)


def test_multi_crop_trains():
    model = kc.SwAV(tiny_encoder(None), head(), num_prototypes=6, local_views=2)
    model.compile(sgd(), run_eagerly=True)
    images = np.repeat(VIEW_1, 2, axis=1).repeat(2, axis=2)
    policy = kc.layers.Views(
        [[kc.layers.RandomResizedCrop(size)] for size in (8, 8, 6, 6)]
    )
    views = kc.data.views_from_arrays(
        images.astype("uint8"), augmentation=policy, batch_size=8, seed=0
    )
    history = model.fit(views, epochs=1, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    with pytest.raises(ValueError, match="at least 4 views"):
        model.fit(dataset(), epochs=1, verbose=0)


def test_bad_arguments():
    with pytest.raises(ValueError, match="at least 2. Received: num_prototypes=1"):
        swav(num_prototypes=1)
    with pytest.raises(ValueError, match="`epsilon` must be a finite number"):
        swav(epsilon=0)
    with pytest.raises(ValueError, match="`temperature` must be a finite number"):
        swav(temperature=-1.0)
    with pytest.raises(ValueError, match="`size` must be a positive integer"):
        swav(queue_size=-1)

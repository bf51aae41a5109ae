"""Losses in blocks of rows: the same values and gradients in less memory."""

import numpy as np
import pytest
import tensorflow as tf
from loss_checks import assert_close, on_replicas, value_and_gradients

import keras_contrastive as kc
from keras_contrastive.losses import in_blocks as module

RANDOM = np.random.default_rng(0)
Z = RANDOM.normal(size=(4, 10, 6)).astype("float32")
LABELS = np.array([3, 1, 3, 2**40, 1, 1, 0, 2**40, 3, 2])
LOSSES = {
    "nt_xent": (kc.losses.NTXentLoss, {}, Z[0], Z[1]),
    "dcl": (kc.losses.DCLLoss, {}, Z[0], Z[1]),
    "dclw": (kc.losses.DCLLoss, {"weighted": True}, Z[0], Z[1]),
    "info_nce": (kc.losses.InfoNCELoss, {}, (Z[0], None), Z[1]),
    "info_nce_queue": (kc.losses.InfoNCELoss, {}, (Z[0], Z[2]), Z[1]),
    "sce": (kc.losses.SCELoss, {}, (Z[0], None), Z[1]),
    "sce_queue": (kc.losses.SCELoss, {}, (Z[0], Z[2]), Z[1]),
    "sce_zero": (kc.losses.SCELoss, {"self_logit": "zero"}, (Z[0], Z[2]), Z[1]),
    "supcon": (kc.losses.SupConLoss, {}, LABELS, Z[:2].swapaxes(0, 1)),
    "supcon_self": (kc.losses.SupConLoss, {}, None, Z[:3].swapaxes(0, 1)),
}


def assert_same(found, expected):
    assert_close(found[0], expected[0], 1e-5)
    for one, other in zip(found[1], expected[1], strict=True):
        assert_close(one, other, 1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_values_and_gradients_are_the_plain_ones(name):
    make, arguments, targets, predictions = LOSSES[name]
    plain, blocks = make(**arguments, block_size=0), make(**arguments, block_size=4)
    graph = tf.function(lambda *x: value_and_gradients(blocks, *x))
    expected = value_and_gradients(plain, targets, predictions)
    assert_same(graph(targets, predictions), expected)


def test_weighted_values():
    """Each has a gradient of its own: nothing can be scaled."""
    weights = np.linspace(-1, 2, 10).astype("float32")
    found, expected = (
        value_and_gradients(
            lambda t, p, of=loss: of(t, p, weights), *LOSSES["nt_xent"][2:]
        )
        for loss in (kc.losses.NTXentLoss(block_size=n) for n in (1, 0))
    )
    assert_same(found, expected)


@pytest.mark.parametrize("name", ["supcon", "sce_queue"])
def test_on_replicas(name, strategy_of):
    make, arguments, targets, predictions = LOSSES[name]
    shared = (1,) if name == "sce_queue" else ()
    found, expected = (
        on_replicas(
            strategy_of(2),
            make(**arguments, block_size=block_size),
            *(targets, predictions, (5, 5)),
            shared=shared,
        )
        for block_size in (3, 0)
    )
    assert_same(found, expected)


@pytest.mark.parametrize("name", ["dcl", "sce"])
def test_compiled(name):
    make, arguments, targets, predictions = LOSSES[name]
    blocks = make(**arguments, block_size=4)
    found = tf.function(
        lambda *x: value_and_gradients(blocks, *x), jit_compile=True, autograph=False
    )(targets, predictions)
    plain = make(**arguments, block_size=0)
    assert_same(found, value_and_gradients(plain, targets, predictions))


def test_only_large_batches_are_cut(monkeypatch):
    seen = []

    def compare(rows, columns):
        seen.append(rows.shape[0])
        return tf.reduce_sum(tf.matmul(rows, columns, transpose_b=True), axis=1)

    monkeypatch.setattr(module, "_FEW", 100)
    monkeypatch.setattr(module, "_PAIRS", 40)
    monkeypatch.setattr(module, "_ROWS", 1)

    def rows_at_once(n, m):
        seen.clear()
        graph = tf.function(lambda x, y: module.in_blocks(compare, [x], [y]))
        shapes = [tf.TensorSpec((size, 4)) for size in (n, m)]
        graph.get_concrete_function(*shapes)
        return seen[0]

    assert rows_at_once(10, 10) == 10
    assert rows_at_once(10, 11) == 3
    assert rows_at_once(10, 1000) == 1
    assert rows_at_once(None, 1000) is None  # nobody knows: as it is
    x = tf.ones((10, 4))
    np.testing.assert_array_equal(module.in_blocks(compare, [x], [x], 3), [40.0] * 10)


def test_block_size_is_refused_and_kept():
    for wrong in (-1, 2.0, True):
        with pytest.raises(ValueError, match="`block_size` must be None .chosen.*="):
            kc.losses.NTXentLoss(block_size=wrong)
    for make, arguments, *_ in LOSSES.values():
        loss = make(**arguments, block_size=7)
        assert make.from_config(loss.get_config()).block_size == 7
        assert make(**arguments).get_config()["block_size"] is None

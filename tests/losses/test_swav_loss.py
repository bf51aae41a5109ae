import golden_values
import numpy as np
import pytest
import tensorflow as tf
from loss_checks import assert_close, value_and_gradients

from keras_contrastive.losses import SwAVLoss, sinkhorn

GOLDEN = golden_values.load("swav")


def codes_of(golden, view):
    hp = golden["hp"]
    queue = golden["queue_scores"][view] if "queue_scores" in golden else None
    return sinkhorn(
        golden["scores"][view], hp["epsilon"], hp["sinkhorn_iterations"], shared=queue
    )


@pytest.mark.parametrize("case", GOLDEN)
def test_authors_codes(case):
    golden = GOLDEN[case]
    for view, expected in enumerate(golden["codes"]):
        np.testing.assert_allclose(codes_of(golden, view), expected, 2e-4, 1e-6)


@pytest.mark.parametrize("case", GOLDEN)
def test_authors_loss_and_gradients(case):
    """The mean over the pairs of a code and another view."""
    golden = GOLDEN[case]
    loss = SwAVLoss(golden["hp"]["temperature"])
    codes, scores = (golden[k].astype("float32") for k in ("codes", "scores"))
    total, gradients = 0.0, np.zeros_like(scores)
    pairs = [(a, v) for a in range(len(codes)) for v in range(len(scores)) if a != v]
    for a, v in pairs:
        value, (to_codes, to_scores) = value_and_gradients(loss, codes[a], scores[v])
        assert not np.any(to_codes)
        total += value / len(pairs)
        gradients[v] += to_scores / len(pairs)
    np.testing.assert_allclose(total, golden["loss"], rtol=2e-5)
    assert_close(gradients, golden["grad_scores"], rtol=1e-4)


def naive_sinkhorn(scores, epsilon, iterations):
    q = np.exp(scores / epsilon).T  # (K, B), as in the paper
    q /= q.sum()
    for _ in range(iterations):
        q /= q.sum(axis=1, keepdims=True) * len(q)
        q /= q.sum(axis=0, keepdims=True) * q.shape[1]
    return (q * q.shape[1]).T


@pytest.mark.parametrize("epsilon", [0.05, 0.5])
@pytest.mark.parametrize("iterations", [1, 3, 10])
def test_naive_sinkhorn(epsilon, iterations):
    scores = np.random.default_rng(0).uniform(-1, 1, (9, 5))
    expected = naive_sinkhorn(scores, epsilon, iterations)
    np.testing.assert_allclose(sinkhorn(scores, epsilon, iterations), expected, 1e-4)
    with_shared = sinkhorn(scores[6:], epsilon, iterations, shared=scores[:6])
    np.testing.assert_allclose(with_shared, expected[6:], rtol=1e-4)


def test_codes_use_all_units_and_do_not_overflow():
    scores = np.array([[1.0, 0.9, -1.0]] * 6) + 0.01 * np.eye(6, 3)
    codes = sinkhorn(scores, epsilon=1e-3, iterations=200).numpy()
    np.testing.assert_allclose(codes.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(codes.sum(axis=0), 2, rtol=1e-2)


@pytest.mark.parametrize("replicas", [2, 4])
def test_codes_are_those_of_the_global_batch(replicas, strategy_of):
    scores, queue = (
        np.random.default_rng(seed).uniform(-1, 1, (8, 5)).astype("float32")
        for seed in (0, 1)
    )
    expected = sinkhorn(scores, shared=queue)
    strategy = strategy_of(replicas)
    parts = strategy.experimental_distribute_values_from_function(
        lambda c: tf.constant(np.split(scores, replicas)[c.replica_id_in_sync_group])
    )
    run = tf.function(
        lambda part: strategy.run(lambda x: sinkhorn(x, shared=queue), (part,))
    )
    codes = strategy.experimental_local_results(run(parts))
    np.testing.assert_allclose(np.concatenate(codes), expected, rtol=1e-5)


def test_shapes_that_do_not_fit():
    good = np.ones((4, 3))
    with pytest.raises(ValueError, match=r"`codes` must have shape \(batch, proto"):
        SwAVLoss()(np.ones((4, 2, 3)), good)
    with pytest.raises(ValueError, match=r"`scores` must have shape \(batch, proto"):
        SwAVLoss()(good, np.ones(4))
    with pytest.raises(ValueError, match="the same shape. Received"):
        SwAVLoss()(good, np.ones((4, 2)))

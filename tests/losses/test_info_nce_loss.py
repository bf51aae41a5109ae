import golden_values
import numpy as np
import pytest
from loss_checks import assert_close, value_and_gradients

from keras_contrastive.losses import InfoNCELoss, SCELoss

GOLDEN = {k: v for k, v in golden_values.load("moco").items() if k != "t00_trace"}


def naive(keys, queue, queries, temperature):
    """Equation 1, pair by pair, in float64."""
    keys, queries, queue = (
        None if x is None else x / np.linalg.norm(x, axis=1, keepdims=True)
        for x in (keys.astype("float64"), queries.astype("float64"), queue)
    )
    losses = []
    for i, q in enumerate(queries):
        others = queue if queue is not None else np.delete(keys, i, axis=0)
        positive = q @ keys[i] / temperature
        logits = [positive, *(q @ k / temperature for k in others)]
        losses.append(np.logaddexp.reduce(logits) - positive)
    return np.array(losses)


@pytest.mark.parametrize("case", GOLDEN)
def test_authors_values_and_gradients(case):
    golden = GOLDEN[case]
    data = {k: golden[k].astype("float32") for k in golden if k != "hp"}
    loss = InfoNCELoss(golden["hp"]["temperature"])
    value, gradients = value_and_gradients(
        loss, (data["raw_k"], data["queue"]), data["raw_q"]
    )
    np.testing.assert_allclose(value, golden["loss_v2"], rtol=3e-5)
    assert_close(gradients[-1], golden["grad_raw_q"], rtol=5e-4)

    keys, queries = data["v3_raw_k2"], data["v3_raw_q1"]
    value, gradients = value_and_gradients(loss, (keys, None), queries)
    np.testing.assert_allclose(value, golden["loss_infonce_q1_k2"], rtol=3e-5)
    factor = 2 * golden["hp"]["temperature"]  # of MoCo v3
    np.testing.assert_allclose(factor * value, golden["loss_v3_q1_k2"], rtol=3e-5)
    assert_close(factor * gradients[-1], golden["grad_v3_raw_q1"], rtol=5e-4)


@pytest.mark.parametrize("temperature", [0.01, 0.2, 1.0])
@pytest.mark.parametrize(("n", "size"), [(1, None), (5, None), (1, 1), (5, 9)])
def test_naive_loop(n, size, temperature):
    rng = np.random.default_rng(0)
    keys, queries = rng.normal(size=(2, n, 8)).astype("float32")
    queue = None if size is None else rng.normal(size=(size, 8)).astype("float32")
    loss = InfoNCELoss(temperature, reduction="none")
    expected = naive(keys, queue, queries, temperature)
    values = loss((keys, queue), queries)
    np.testing.assert_allclose(values, expected, rtol=3e-5, atol=2e-6)


def test_closed_forms():
    same = np.ones((7, 3))
    loss = InfoNCELoss(0.3)
    np.testing.assert_allclose(loss((same, None), same), np.log(7), rtol=1e-5)
    np.testing.assert_allclose(loss((same[:2], same), same[:2]), np.log(8), rtol=1e-5)
    expected = np.log(1 + 3 * np.exp(-1 / 0.3))  # orthogonal keys
    np.testing.assert_allclose(loss((np.eye(4), None), np.eye(4)), expected, rtol=1e-5)


def test_gradients_reach_all_three_and_the_queries_as_in_sce():
    rng = np.random.default_rng(0)
    keys, queries, queue = rng.normal(size=(3, 5, 8)).astype("float32")
    _, gradients = value_and_gradients(InfoNCELoss(0.2), (keys, queue), queries)
    assert all(np.any(g) for g in gradients)
    sce = SCELoss(temperature=0.2, coefficient=1.0)  # InfoNCE with fixed keys
    _, (*fixed, to_queries) = value_and_gradients(sce, (keys, queue), queries)
    assert not any(np.any(g) for g in fixed)
    assert_close(gradients[-1], to_queries, rtol=1e-5)

import golden_values
import numpy as np
import pytest
from loss_checks import assert_close, on_replicas, value_and_gradients

from keras_contrastive.losses import SCELoss

GOLDEN = golden_values.load("sce")
GATHERED = GOLDEN.pop("g00_gathered_world2")
VARIANTS = {"queue_masked": "masked", "queue_zero_logit": "zero", "keys": "masked"}


def loss_of(hp, self_logit="masked", **kwargs):
    return SCELoss(hp["temp"], hp["temp_m"], hp["coeff"], self_logit, **kwargs)


def through_normalisation(gradient, unit):
    """Gradient with respect to a unit vector that is normalised once more."""
    return gradient - np.sum(gradient * unit, axis=1, keepdims=True) * unit


def naive(keys, queue, queries, temperature, target_temperature, coefficient, zero):
    """The paper's formulas, pair by pair, in float64."""
    keys, queries, queue = (
        None if x is None else x / np.linalg.norm(x, axis=1, keepdims=True)
        for x in (keys, queries, queue)
    )
    losses = []
    for i in range(len(keys)):
        columns = keys if queue is None else np.concatenate([keys[i : i + 1], queue])
        own = i if queue is None else 0
        others = [j for j in range(len(columns)) if j != own]
        terms = {j: keys[i] @ columns[j] / target_temperature for j in others}
        if zero:
            terms[own] = 0.0
        top = max(terms.values(), default=0.0)
        total = sum(np.exp(x - top) for x in terms.values())
        w = np.zeros(len(columns))
        for j, x in terms.items():
            w[j] = (1 - coefficient) * np.exp(x - top) / total
        w[own] += coefficient
        logits = columns @ queries[i] / temperature
        log_p = logits - logits.max()
        log_p = log_p - np.log(np.exp(log_p).sum())
        losses.append(-w @ log_p)
    return np.array(losses)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("case", GOLDEN)
def test_authors_values_and_gradients(case, variant):
    golden = GOLDEN[case]
    raw = {
        k: golden[f"raw_{k}"].astype("float32")
        for k in ("q1", "q2", "k1", "k2", "queue")
    }
    loss = loss_of(golden["hp"], VARIANTS[variant])
    queue = None if variant == "keys" else raw["queue"]
    for direction, q, k in (("A", "q2", "k1"), ("B", "q1", "k2")):
        value, gradients = value_and_gradients(loss, (raw[k], queue), raw[q])
        expected = golden[f"loss_{direction}_{variant}"]
        np.testing.assert_allclose(value, expected, rtol=3e-5)
        assert not any(np.any(g) for g in gradients[:-1])  # keys, queue
        # The golden gradients are those of the mean of both directions.
        if (key := f"grad_raw_{q}_{variant}") in golden:
            assert_close(gradients[-1] / 2, golden[key], rtol=5e-4)
        unit = golden[q]
        _, gradients = value_and_gradients(
            loss, (raw[k], queue), unit.astype("float32")
        )
        expected = through_normalisation(golden[f"grad_{q}_{variant}"], unit)
        assert_close(gradients[-1] / 2, expected, rtol=5e-4)


def test_authors_values_with_gathered_keys(strategy_of):
    keys = GATHERED["k_global"].astype("float32")
    queries = GATHERED["q"].astype("float32")
    loss = loss_of(GATHERED["hp"], reduction="none")
    both = np.concatenate([queries[::-1], queries])  # replica 0 may ask anything
    values, gradients = on_replicas(strategy_of(2), loss, (keys, None), both, (4, 4))
    np.testing.assert_allclose(values[1].mean(), GATHERED["loss"], rtol=3e-5)
    expected = through_normalisation(GATHERED["grad_q"], GATHERED["q"])
    assert_close(gradients[1][1] / 4, expected, rtol=5e-4)
    assert not np.any(gradients[0])  # keys


@pytest.mark.parametrize("temperatures", [(0.01, 0.01), (0.1, 0.05), (1.0, 0.3)])
@pytest.mark.parametrize("coefficient", [0.0, 0.4, 1.0])
@pytest.mark.parametrize(("n", "size"), [(1, 3), (2, 1), (9, 20)])
@pytest.mark.parametrize("mode", ["keys", "masked", "zero"])
def test_naive_loop(n, size, temperatures, coefficient, mode):
    if (n, mode, coefficient < 1) == (1, "keys", True):
        pytest.skip("one key has no relations: the formula divides by zero")
    rng = np.random.default_rng(0)
    keys, queries = rng.normal(size=(2, n, 8)).astype("float32")
    queue = None if mode == "keys" else rng.normal(size=(size, 8)).astype("float32")
    loss = SCELoss(
        *temperatures,
        coefficient,
        "zero" if mode == "zero" else "masked",
        reduction="none",
    )
    expected = naive(keys, queue, queries, *temperatures, coefficient, mode == "zero")
    np.testing.assert_allclose(
        loss((keys, queue), queries), expected, rtol=3e-5, atol=2e-6
    )


def test_a_single_key_is_its_own_answer():
    keys, queries = np.random.default_rng(0).normal(size=(2, 1, 4))
    value, gradients = value_and_gradients(SCELoss(), (keys, None), queries)
    assert value == 0 and not np.any(gradients)


def test_closed_forms():
    n, size, same = 5, 7, np.ones((7, 3))
    loss = SCELoss(0.2, 0.1, 0.3)
    np.testing.assert_allclose(loss((same[:n], None), same[:n]), np.log(n), rtol=1e-5)
    np.testing.assert_allclose(
        loss((same[:n], same), same[:n]), np.log(size + 1), rtol=1e-5
    )
    # Orthogonal keys: relations are uniform, only the positive has a similarity.
    expected = np.log(np.exp(1 / 0.2) + n - 1) - 0.3 / 0.2
    np.testing.assert_allclose(loss((np.eye(n), None), np.eye(n)), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("coefficient", 1.1),
        ("coefficient", -0.1),
        ("coefficient", float("nan")),
        ("self_logit", "mask"),
    ],
)
def test_bad_constructor_arguments(argument, value):
    with pytest.raises(ValueError, match=f"`{argument}`.*must be .*Received: "):
        SCELoss(**{argument: value})


def test_bad_targets():
    x = np.ones((4, 3))
    with pytest.raises(ValueError, match=r"tuple \(keys, queue\).*ndarray.*None"):
        SCELoss()(x, x)
    with pytest.raises(ValueError, match=r"`queue` and `queries`.*same width.*\(2,\)"):
        SCELoss()((x, np.ones((8, 2))), x)
    with pytest.raises(ValueError, match=r"`queue` must have shape \(size, dim\)"):
        SCELoss()((x, np.ones(3)), x)

import golden_values
import numpy as np
import pytest
from loss_checks import assert_close, on_replicas, value_and_gradients

from keras_contrastive.losses import LeJEPALoss, sigreg
from keras_contrastive.losses.sliced_loss import random_directions

GOLDEN = golden_values.load("sigreg")


def inputs(golden):
    """Directions, embeddings (batch, views, dim), and arguments."""
    hp = golden["hp"]
    z = golden["proj"].transpose(1, 0, 2).astype("float32")
    arguments = {"knots": hp.get("knots", 17), "upper": hp.get("t_max", 3.0)}
    return golden["directions"].astype("float32"), z, arguments


@pytest.mark.parametrize("case", GOLDEN)
def test_authors_values_and_gradients(case):
    golden = GOLDEN[case]
    directions, z, arguments = inputs(golden)

    def regularizer(targets, predictions):
        return sigreg(targets, predictions, **arguments)

    value, (_, gradient) = value_and_gradients(regularizer, directions, z)
    np.testing.assert_allclose(value, golden["sigreg"], rtol=3e-5)
    expected = golden["grad_proj_sigreg"].transpose(1, 0, 2)
    assert_close(gradient, expected, rtol=5e-4)
    if "loss" not in golden:  # that of two processes
        return
    hp = golden["hp"]
    arguments.update(weight=hp["lambda"], num_global=hp["n_global"])
    loss = LeJEPALoss(**arguments)
    value, (_, gradient) = value_and_gradients(loss, directions, z)
    np.testing.assert_allclose(value, golden["loss"], rtol=3e-5)
    expected = golden["grad_proj_loss"].transpose(1, 0, 2)
    assert_close(gradient, expected, rtol=5e-4)


def test_naive_loop():
    rng = np.random.default_rng(0)
    z = rng.normal(0.5, 2, (5, 3, 4))
    directions = rng.normal(size=(4, 6))
    directions /= np.linalg.norm(directions, axis=0)
    t = np.linspace(-3, 3, 33)  # the whole line
    statistics = []
    for v in range(3):
        for s in range(6):
            x = [np.dot(z[n, v], directions[:, s]) for n in range(5)]
            ecf = np.array([np.mean([np.exp(1j * k * y) for y in x]) for k in t])
            integrand = np.abs(ecf - np.exp(-(t**2) / 2)) ** 2 * np.exp(-(t**2) / 2)
            statistics.append(5 * np.trapezoid(integrand, t))
    distances = [
        np.mean((z[n, v] - z[n, :2].mean(axis=0)) ** 2)
        for n in range(5)
        for v in range(3)
    ]
    expected = 0.7 * np.mean(distances) + 0.3 * np.mean(statistics)
    value = LeJEPALoss(0.3)(directions.astype("float32"), z.astype("float32"))
    np.testing.assert_allclose(value, expected, rtol=3e-5)


def test_closed_forms():
    directions = random_directions(4, 32, seed=1)
    # All at zero: the characteristic function is 1 everywhere.
    t = np.linspace(-3, 3, 33)
    w = np.exp(-(t**2) / 2)
    expected = 6 * np.trapezoid((1 - w) ** 2 * w, t)
    zero = np.zeros((6, 3, 4), "float32")
    np.testing.assert_allclose(sigreg(directions, zero), expected, rtol=1e-5)
    np.testing.assert_allclose(LeJEPALoss(0.1)(directions, zero), 0.1 * expected, 1e-5)
    # Without the regulariser equal views cost nothing.
    z = np.random.default_rng(0).normal(size=(6, 1, 4)).repeat(3, axis=1)
    assert LeJEPALoss(0.0)(directions, z) == 0
    # Far from Gaussian it grows with the batch.
    twice = np.concatenate([zero, zero])
    np.testing.assert_allclose(sigreg(directions, twice), 2 * expected, rtol=1e-5)


def test_directions_are_drawn_anew_in_each_call():
    z = np.random.default_rng(0).normal(size=(6, 2, 4))
    loss = LeJEPALoss(num_slices=8)
    first, second = loss(None, z), loss(None, z)
    assert first != second
    many = LeJEPALoss(num_slices=8192)
    np.testing.assert_allclose(many(None, z), many(None, z), rtol=0.02)
    drawn = random_directions(4, 100, seed=3)
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=0), 1, rtol=1e-6)
    np.testing.assert_array_equal(drawn, random_directions(4, 100, seed=3))


def test_replicas_draw_the_same_directions(strategy_of):
    strategy = strategy_of(2)
    drawn = strategy.run(lambda: random_directions(4, 3))
    first, second = strategy.experimental_local_results(drawn)
    np.testing.assert_array_equal(first, second)


def test_replicas_with_uneven_batches(strategy_of):
    z = np.random.default_rng(0).normal(size=(8, 3, 4)).astype("float32")
    directions, loss = random_directions(4, 8, seed=1).numpy(), LeJEPALoss(0.3)
    value, (_, expected) = value_and_gradients(loss, directions, z)
    values, (_, gradients) = on_replicas(
        strategy_of(2), loss, directions, z, (5, 3), shared=(0,)
    )
    np.testing.assert_allclose(values, value / 2, rtol=1e-5)
    assert_close(np.concatenate(gradients), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"num_slices": 0}, "`num_slices` must be a positive integer.*0"),
        ({"num_global": 0}, "`num_global` must be a positive integer.*0"),
        ({"weight": 1.5}, "`weight` must be in .*1.5"),
        ({"knots": 1}, "`knots` must be at least 2"),
        ({"upper": 0}, "`upper` positive"),
    ],
)
def test_bad_arguments(arguments, match):
    with pytest.raises(ValueError, match=match):
        LeJEPALoss(**arguments)


def test_bad_shapes():
    z = np.zeros((4, 3, 6), "float32")
    with pytest.raises(ValueError, match="at least num_global=4 views.*smaller"):
        LeJEPALoss(num_global=4)(None, z)
    with pytest.raises(ValueError, match=r"`z` must have shape \(batch, views, dim\)"):
        LeJEPALoss()(None, z[0])
    with pytest.raises(ValueError, match="`directions` and `z` must have the same"):
        LeJEPALoss()(np.eye(5), z)
    with pytest.raises(ValueError, match="`directions` must have shape"):
        LeJEPALoss()(np.ones(6), z)

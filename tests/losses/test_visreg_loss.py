from statistics import NormalDist

import golden_values
import numpy as np
import pytest
from loss_checks import assert_close, value_and_gradients

from keras_contrastive.losses import VISRegLoss
from keras_contrastive.losses.sliced_loss import random_directions

GOLDEN = golden_values.load("visreg")


@pytest.mark.parametrize("case", GOLDEN)
def test_authors_values_and_gradients(case):
    golden, hp = GOLDEN[case], GOLDEN[case]["hp"]
    z = golden["proj"].transpose(1, 0, 2).astype("float32")
    directions = golden["directions"].astype("float32")
    terms = {
        term: hp.get(f"lambda_{term}", 1.0) for term in ("scale", "shape", "center")
    }
    whole = {"weight": hp["lambda"], "num_global": hp["n_global"], **terms}
    off = dict.fromkeys(terms, 0.0)
    for key, arguments in (
        ("loss", whole),
        ("reg", {"weight": 1}),
        *((term, {"weight": 1, **off, term: 1.0}) for term in terms),
    ):
        loss = VISRegLoss(**{"num_global": 1, **arguments})
        value, (_, gradient) = value_and_gradients(loss, directions, z)
        np.testing.assert_allclose(value, golden[key], rtol=3e-5, err_msg=key)
        expected = golden[f"grad_proj_{key}"].transpose(1, 0, 2)
        assert_close(gradient, expected, rtol=5e-4)


def test_naive_loop():
    rng = np.random.default_rng(0)
    z = rng.normal(0.5, 2, (5, 3, 4))
    directions = rng.normal(size=(4, 6))
    directions /= np.linalg.norm(directions, axis=0)
    scale, shape, center, distances = [], [], [], []
    for v in range(3):
        mean = z[:, v].mean(axis=0)
        deviation = z[:, v].std(axis=0) + 1e-6
        center += [m**2 for m in mean]
        scale += [(s - 1) ** 2 for s in deviation]
        for s in range(6):
            x = sorted(
                np.dot((z[n, v] - mean) / deviation, directions[:, s]) for n in range(5)
            )
            for n, value in enumerate(x, 1):
                shape.append((value - NormalDist().inv_cdf(n / 6)) ** 2)
        for n in range(5):
            distances.append(np.mean((z[n, v] - z[n, :2].mean(axis=0)) ** 2))
    terms = 2 * np.mean(scale) + 0.5 * np.mean(shape) + 3 * np.mean(center)
    expected = 0.7 * np.mean(distances) + 0.3 * terms
    loss = VISRegLoss(0.3, scale=2, shape=0.5, center=3)
    value = loss(directions.astype("float32"), z.astype("float32"))
    np.testing.assert_allclose(value, expected, rtol=3e-5)


def test_closed_forms():
    directions = random_directions(4, 32, seed=1)
    quantiles = [NormalDist().inv_cdf(n / 6) for n in range(1, 6)]
    # Collapsed: no scale and no shape; the centre is where all are.
    same = np.full((5, 3, 4), 3.0, "float32")
    expected = 1 + np.mean(np.square(quantiles)) + 9
    value, (_, gradient) = value_and_gradients(VISRegLoss(1.0), directions, same)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    assert np.isfinite(gradient).all()
    # A batch of one has the median alone, and no scale.
    np.testing.assert_allclose(VISRegLoss(1.0)(directions, same[:1]), 1 + 9, rtol=1e-5)
    # Without the regularisers equal views cost nothing.
    z = np.random.default_rng(0).normal(size=(6, 1, 4)).repeat(3, axis=1)
    assert VISRegLoss(0.0)(directions, z) == 0


@pytest.mark.parametrize(("n", "shrinks"), [(8, True), (256, False)])
def test_few_images_shrink(n, shrinks):
    """However small they are: the quantiles' variance is below 1."""
    z = np.random.default_rng(0).normal(size=(n, 2, 4)).astype("float32")
    directions = random_directions(4, 256, seed=1)
    for size in (0.3, 0.1):
        _, (_, gradient) = value_and_gradients(VISRegLoss(1.0), directions, size * z)
        assert (np.sum(gradient * z) > 0) == shrinks


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"num_slices": 0}, "`num_slices` must be a positive integer.*0"),
        ({"num_global": 0}, "`num_global` must be a positive integer.*0"),
        ({"weight": -0.5}, "`weight` must be in .*-0.5"),
        ({"shape": -1}, "`shape` must be >= 0. Received: shape=-1"),
    ],
)
def test_bad_arguments(arguments, match):
    with pytest.raises(ValueError, match=match):
        VISRegLoss(**arguments)


def test_bad_shapes():
    z = np.zeros((4, 3, 6), "float32")
    with pytest.raises(ValueError, match="at least num_global=4 views.*smaller"):
        VISRegLoss(num_global=4)(None, z)
    with pytest.raises(ValueError, match="`directions` and `z` must have the same"):
        VISRegLoss()(np.eye(5), z)

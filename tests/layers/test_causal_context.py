"""Context networks see no row below; patches are cut and put back in order."""

import json

import keras
import numpy as np
import pytest

from keras_contrastive.layers import (
    CausalConvolutions,
    ColumnGRU,
    Patches,
    PatchGrid,
)

MAKERS = {
    "convolutions": lambda: CausalConvolutions(units=6, depth=2),
    "gru": lambda: ColumnGRU(5),
}
WIDTH = {"convolutions": 4, "gru": 5}


def grid(n=2, rows=5, columns=4, dim=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, rows, columns, dim)).astype("float32")


def positive(layer):
    """Weights with which no ReLU hides a change."""
    layer.set_weights([0.1 + np.abs(w) for w in layer.get_weights()])


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("row", [0, 2, 4])
def test_a_row_changes_those_from_it_on(name, row):
    context = MAKERS[name]()
    x = np.abs(grid())
    before = np.array(context(x))
    assert before.shape == (2, 5, 4, WIDTH[name])
    positive(context)
    before = np.array(context(x))
    x[:, row] += 0.5
    changed = np.abs(np.array(context(x)) - before).max(axis=(0, 3)) > 1e-7
    assert not changed[:row].any()
    reach = row + 3 if name == "convolutions" else 5  # one row for each of two blocks
    assert changed[row:reach].all() and not changed[reach:].any()


def test_convolutions_by_the_paper():
    context = CausalConvolutions(units=3, depth=2)
    x = grid()
    context(x)
    expected = x.astype("float64")
    weights = iter(context.get_weights())
    for _ in range(2):
        (w_1, b_1), (w_2, b_2), (w_3, b_3), (w_4, b_4) = [
            (next(weights), next(weights)) for _ in range(4)
        ]
        c = np.maximum(expected @ w_1[0, 0] + b_1, 0)
        sides = np.pad(c, ((0, 0), (0, 0), (1, 1), (0, 0)))
        c = sum(sides[:, :, i : i + 4] @ w_2[0, i] for i in range(3)) + b_2
        above = np.pad(c, ((0, 0), (1, 0), (0, 0), (0, 0)))[:, :5]
        c = np.maximum(above @ w_3[0, 0] + c @ w_3[1, 0] + b_3, 0)
        expected = expected + c @ w_4[0, 0] + b_4
    np.testing.assert_allclose(context(x), np.maximum(expected, 0), atol=1e-5)


def test_columns_of_a_gru_do_not_know_of_each_other():
    context = ColumnGRU(5)
    x = grid()
    together = np.array(context(x))
    for column in range(4):
        alone = context.gru(x[:, :, column])
        np.testing.assert_allclose(together[:, :, column], alone, atol=1e-6)


@pytest.mark.parametrize("name", MAKERS)
def test_context_is_saved_and_loaded(name, tmp_path):
    inputs = keras.Input((5, 4, 4))
    model = keras.Model(inputs, MAKERS[name]()(inputs))
    assert model.output_shape == (None, 5, 4, WIDTH[name])
    model.save(tmp_path / "context.keras")
    loaded = keras.models.load_model(tmp_path / "context.keras")
    np.testing.assert_array_equal(loaded(grid()), model(grid()))
    config = json.loads(json.dumps(model.layers[1].get_config()))
    assert type(model.layers[1]).from_config(config).get_config() == config


def test_patches_in_order_and_back():
    x = np.arange(2 * 7 * 6 * 2).reshape(2, 7, 6, 2).astype("float32")
    cut = Patches((3, 2), stride=2)
    patches = np.array(cut(x))
    assert cut.grid(x.shape) == (3, 3)
    assert patches.shape == cut.compute_output_shape(x.shape) == (18, 3, 2, 2)
    back = np.array(PatchGrid(3, 3)(patches.reshape(18, -1)))
    for i, r, c in np.ndindex(2, 3, 3):
        expected = x[i, 2 * r : 2 * r + 3, 2 * c : 2 * c + 2]
        np.testing.assert_array_equal(back[i, r, c], expected.reshape(-1))


def test_bad_arguments():
    for make in (
        lambda: CausalConvolutions(units=0),
        lambda: CausalConvolutions(depth=1.5),
        lambda: ColumnGRU(0),
        lambda: Patches(4, stride=0),
        lambda: PatchGrid(0, 2),
    ):
        with pytest.raises(ValueError, match="must be a positive integer. Received"):
            make()
    with pytest.raises(ValueError, match="`size` must be.*Received: size=0"):
        Patches(0, 2)
    with pytest.raises(ValueError, match=r"4 x 4 pixels.*shape \(1, 3, 8, 3\)"):
        Patches(4, 2)(np.zeros((1, 3, 8, 3)))

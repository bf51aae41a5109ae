"""A method of a user's own: the example that the base class gives, as it stands."""

import textwrap

import keras
import numpy as np
import pytest
from helpers import arrays, build, dataset, head, sgd, tiny_encoder

import keras_contrastive as kc


@pytest.fixture(scope="module")
def example():
    """What the docstring of ContrastiveModel defines, run on tiny data."""
    text = kc.ContrastiveModel.__doc__.split("Example:")[1]
    code = textwrap.dedent(text[text.index("        @keras") :])
    names = {"keras": keras, "kc": kc, "encoder": tiny_encoder()}
    exec(code, {**names, "two_view_dataset": dataset()}, names)
    return names


def test_the_example_trains_and_is_loaded_with_the_same_loss(example, tmp_path):
    model = example["model"]
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert type(loaded) is example["AlignOnly"]
    expected = model.evaluate(dataset(), verbose=0, return_dict=True)
    assert loaded.evaluate(dataset(), verbose=0, return_dict=True) == expected
    views, labels = arrays(8)
    for m in (model, loaded):
        assert np.isfinite(m.train_on_batch(tuple(views), labels)[0])


def test_a_target_of_the_base_is_saved(example, tmp_path):
    model = example["AlignOnly"](tiny_encoder(), head(), target=True)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert loaded.target is not None


def test_a_method_without_recipe_asks_for_an_optimizer(example):
    model = example["AlignOnly"](tiny_encoder(), head())
    with pytest.raises(ValueError, match="AlignOnly has no recipe.*`optimizer`.*None"):
        model.compile()
    with pytest.raises(NotImplementedError, match="its own `default_projector`"):
        kc.ContrastiveModel(tiny_encoder())


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"loss": "mse"}, TypeError, "`loss` must be .*Loss.*loss='mse'.*instance"),
        ({"loss": kc.losses.NTXentLoss}, TypeError, "`loss` must be .*instance"),
        ({"loss": lambda a, b: 0.0}, TypeError, "`loss` must be"),
        ({"optimizer": "adma"}, TypeError, "`optimizer` must be.*'adma'"),
        ({"optimizer": 0.1}, TypeError, "`optimizer` must be.*=0.1"),
        ({"optimizer": kc.recipes.BYOL_SMALL}, TypeError, "`recipe.optimizer\\(\\)`"),
        ({"momentum_update": 0.99}, TypeError, "`momentum_update`.*=0.99.*constant"),
        ({"jit_compile": "yes"}, TypeError, "`jit_compile`.*'yes'"),
        ({"jit_compile": None}, TypeError, "`jit_compile`.*None"),
    ],
)
def test_wrong_arguments_of_compile(arguments, error, match):
    with pytest.raises(error, match=match):
        build("byol").compile(**{"optimizer": sgd(), **arguments})


def test_momentum_update_of_compile_needs_a_target():
    with pytest.raises(ValueError, match="SimCLR has no target.*`momentum_update`"):
        build("simclr").compile(momentum_update=kc.callbacks.MomentumUpdate())

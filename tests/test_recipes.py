import dataclasses

import keras
import numpy as np
import pytest

from keras_contrastive import recipes
from keras_contrastive.callbacks import MomentumUpdate
from keras_contrastive.layers.projection_head import ProjectionHead
from keras_contrastive.optimizers import LARS, CoupledSGD
from keras_contrastive.recipes import Recipe

ALL = {
    name: getattr(recipes, name)
    for name in recipes.__all__
    if isinstance(getattr(recipes, name), Recipe)
}
each = pytest.mark.parametrize("recipe", ALL.values(), ids=ALL.keys())


def test_two_recipes_per_method():
    methods = [recipe.method for recipe in ALL.values()]
    assert len(methods) == 8
    assert {methods.count(m) for m in ("SimCLR", "SupCon", "BYOL", "SCE")} == {2}


@each
def test_every_constant_has_a_source_and_every_source_a_constant(recipe):
    rows = recipe.constants()
    assert all(source for _, _, source in rows)
    fields = {field.name for field in dataclasses.fields(Recipe)}
    assert set(recipe.sources) <= fields | {name for name, _, _ in rows}


@each
def test_prints_every_constant(recipe):
    lines = str(recipe).splitlines()
    assert lines[0] == f"{recipe.method}, {recipe.images}"
    for name, value, source in recipe.constants():
        text = getattr(value, "__name__", str(value))
        assert any(
            line.split()[0] == name and text in line and line.endswith(source)
            for line in lines
        )


@each
def test_optimizer_is_new_and_unbound(recipe):
    first, second = recipe.optimizer(), recipe.optimizer()
    assert first is not second
    assert not first._learning_rate.bound
    assert first._learning_rate.base_learning_rate == recipe.base_learning_rate
    assert first.weight_decay == recipe.weight_decay
    assert first.momentum == recipe.optimizer_momentum
    config = keras.optimizers.serialize(first)
    restored = keras.optimizers.deserialize(config)
    assert restored.get_config() == first.get_config()


@each
def test_heads_and_target_are_arguments_as_they_stand(recipe):
    x = np.zeros((4, 8), "float32")
    assert ProjectionHead(**recipe.projector)(x).shape == (4, recipe.projector["units"])
    assert bool(recipe.predictor) == (
        recipe.method == "BYOL" or recipe is recipes.SCE_IMAGENET
    )
    if recipe.predictor:
        assert recipe.predictor["units"] == recipe.projector["units"]
        ProjectionHead(**recipe.predictor)
    assert bool(recipe.target_momentum) == (recipe.method in ("BYOL", "SCE"))
    if recipe.target_momentum:
        MomentumUpdate(**recipe.target_momentum)


@pytest.mark.parametrize(
    ("recipe", "optimizer_class", "peak", "weight_decay"),
    [
        (recipes.SIMCLR_SMALL, LARS, 0.4, 1e-4),
        (recipes.SIMCLR_IMAGENET, LARS, 4.8, 1e-6),
        (recipes.SUPCON_SMALL, CoupledSGD, 0.5, 1e-4),
        (recipes.SUPCON_IMAGENET, LARS, 7.2, 1e-6),
        (recipes.BYOL_SMALL, LARS, 1.0, 1e-5),
        (recipes.BYOL_IMAGENET, LARS, 3.2, 1.5e-6),
        (recipes.SCE_SMALL, CoupledSGD, 0.06, 5e-4),
        (recipes.SCE_IMAGENET, LARS, 4.8, 1e-6),
    ],
)
def test_published_numbers(recipe, optimizer_class, peak, weight_decay):
    optimizer = recipe.optimizer()
    assert type(optimizer) is optimizer_class
    assert recipe.schedule().peak(recipe.batch_size) == pytest.approx(peak)
    assert optimizer.weight_decay == weight_decay


def test_small_recipes_of_solo_learn_clip_the_trust_ratio():
    for recipe in (recipes.SIMCLR_SMALL, recipes.BYOL_SMALL):
        optimizer = recipe.optimizer()
        assert optimizer.clip_trust_ratio and optimizer.trust_coefficient == 0.02


def test_a_recipe_is_frozen_but_can_be_varied():
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipes.BYOL_IMAGENET.epochs = 100
    shorter = dataclasses.replace(recipes.BYOL_IMAGENET, base_learning_rate=0.45)
    assert shorter.schedule().peak(256) == pytest.approx(0.45)
    assert recipes.BYOL_IMAGENET.base_learning_rate == 0.2

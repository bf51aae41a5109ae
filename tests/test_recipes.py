import dataclasses

import keras
import pytest

import keras_contrastive as kc
from keras_contrastive import augmentations, recipes
from keras_contrastive.layers.projection_head import ProjectionHead
from keras_contrastive.optimizers import LARS, AdamW, CoupledSGD
from keras_contrastive.recipes import Recipe

ALL = {
    name: getattr(recipes, name)
    for name in recipes.__all__
    if isinstance(getattr(recipes, name), Recipe)
}
each = pytest.mark.parametrize("recipe", ALL.values(), ids=ALL.keys())


def test_two_recipes_per_method():
    methods = [
        recipe.loss_class.__name__ if recipe.loss_class else recipe.method
        for recipe in ALL.values()
    ]
    expected = (
        "SimCLR",
        "SupCon",
        "BYOL",
        "SCE",
        "BarlowTwins",
        "DCLLoss",
        "SimSiam",
        "NNCLR",
        "DINO",
        "VICReg",
        "AlignUniform",
        "LeJEPA",
        "VISReg",
        "MMCL",
        "SwAV",
        "CMC",
        "PIRL",
        "CPC",
        "AMDIM",
    )
    assert {methods.count(m) for m in expected} == {2}
    assert methods.count("MoCo") == 7  # three versions, one of two networks, InfoMin
    assert methods.count("PCL") == 3  # of two versions
    assert methods.count("DIM") == 1  # its authors train on small images


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
    assert getattr(first, "momentum", None) == recipe.optimizer_momentum
    config = keras.optimizers.serialize(first)
    restored = keras.optimizers.deserialize(config)
    assert restored.get_config() == first.get_config()


def pooled(dim=8, size=None):
    """An encoder without layers that cost anything."""
    inputs = keras.Input((size, size, 3))
    x = keras.layers.Identity(name="map")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(dim)(x))


def halves():
    """An encoder of two."""
    images = keras.Input((4, 4, 3))
    parts = {
        name: keras.Model(images, keras.layers.Dense(4)(images[:, i, 0]))
        for i, name in enumerate(("lightness", "color"))
    }
    return kc.encoders.side_by_side(parts)


ENCODERS = {
    "CMC": halves,
    "CPC": lambda: kc.encoders.of_patches(pooled(size=4), 2, (10, 10, 3)),
}

REQUIRED = {
    "AMDIM": {"maps": ["map", "map"]},
    "DIM": {"local_map": "map"},
    "InstanceDiscrimination": {"num_examples": 20},
    "CMC": {"num_examples": 20},
    "PCL": {"num_examples": 100_000},
    "PIRL": {"num_examples": 20},
}


@each
def test_model_has_every_constant(recipe):
    encoder = ENCODERS.get(recipe.method, pooled)()
    model = recipe.model(encoder, **REQUIRED.get(recipe.method, {}))
    assert type(model).__name__ == recipe.method
    projector, *_ = getattr(model.projector, "heads", [model.projector])
    assert type(projector) is recipe.projector_class
    head = projector.get_config()
    for name, value in recipe.projector.items():
        if name == "hidden_units":
            value = [8 if width == "dim" else width for width in value]
        assert head[name] == value, name
    assert bool(recipe.predictor) == (model.predictor is not None)
    if recipe.predictor:
        assert model.predictor.units == recipe.projector["units"]
        assert model.predictor.hidden_units == recipe.predictor["hidden_units"]
    config = model.get_config()
    for name, value in recipe.method_arguments.items():
        assert config[name] == value
    loss = model.loss.get_config()
    assert type(model.loss) is (recipe.loss_class or type(model.default_loss()))
    assert {name: loss[name] for name in recipe.loss_arguments} == recipe.loss_arguments
    rule = model.momentum_update
    assert bool(recipe.target_momentum) == (rule is not None)
    if rule:
        assert rule.get_config() == dict(recipe.target_momentum)
    assert type(model.optimizer) is recipe.optimizer_class
    assert model.optimizer.weight_decay == recipe.weight_decay


def test_model_takes_changes():
    head = ProjectionHead(6)
    model = recipes.BYOL_SMALL.model(pooled(), projector=head, num_classes=3)
    assert model.projector is head and model.predictor.units == 6
    assert model.num_classes == 3
    model = recipes.SIMCLR_SMALL.model(pooled(), temperature=0.7)
    assert model.temperature == 0.7
    model = recipes.DCL_SMALL.model(pooled(), temperature=0.7)  # of loss and method
    assert model.temperature == model.loss.temperature == 0.7
    with pytest.raises(TypeError, match="`encoder` must be a keras.Model"):
        recipes.SIMCLR_SMALL.model("resnet")


@each
def test_policy_has_every_constant(recipe):
    policy = recipe.policy(16)
    expected = getattr(augmentations, recipe.augmentation)(
        16, **recipe.augmentation_arguments
    )
    assert str(policy) == str(expected)
    area = "area=({:.4g}, {:.4g})".format(*recipe.augmentation_arguments["area"])
    others = [
        int(recipe.augmentation_arguments.get(name, 0))
        for name in ("local_views", "jigsaw_views")
    ]
    of_pirl = "jigsaw_area" in recipe.augmentation_arguments
    expected = len(policy.branches) - sum(others) - of_pirl
    assert str(policy).count(area) == expected
    assert "area=(0.5, 0.6)" in str(recipe.policy(16, area=(0.5, 0.6)))


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
        (recipes.NNCLR_SMALL, LARS, 0.4, 1e-5),
        (recipes.MOCO_V3_SMALL, LARS, 0.3, 1e-6),
        (recipes.MOCO_V3_IMAGENET, LARS, 4.8, 1e-6),
        (recipes.MOCO_V3_VIT_IMAGENET, keras.optimizers.AdamW, 2.4e-3, 0.1),
        (recipes.DINO_IMAGENET, AdamW, 0.002, 0.04),
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

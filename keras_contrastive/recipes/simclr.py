"""SimCLR's recipes: Chen et al., 2020, https://arxiv.org/abs/2002.05709."""

from keras_contrastive.optimizers import LARS
from keras_contrastive.recipes import solo_learn
from keras_contrastive.recipes.recipe import Recipe, from_source

_SIMCLR = "Chen et al. 2020; google-research/simclr 383d414"

SIMCLR_SMALL = Recipe(
    **solo_learn.CONSTANTS,
    method="SimCLR",
    weight_decay=1e-4,
    base_learning_rate=0.4,
    method_arguments={"temperature": 0.2},
    projector=solo_learn.HEAD,
    augmentation="simclr",
    augmentation_arguments={"strength": 1.0, "blur": 0.5, "area": (0.08, 1.0)},
    sources=solo_learn.sources(),
)

SIMCLR_IMAGENET = Recipe(
    method="SimCLR",
    images="ImageNet (224 x 224)",
    encoder="ResNet-50",
    epochs=1000,
    batch_size=4096,
    optimizer_class=LARS,
    optimizer_arguments={"trust_coefficient": 0.001},
    weight_decay=1e-6,
    base_learning_rate=0.3,
    warmup_epochs=10,
    method_arguments={"temperature": 0.1},
    projector={
        "units": 128,
        "hidden_units": ("dim",),
        "hidden_bias": False,
        "hidden_norm": True,
        "output_bias": False,
        "output_norm": True,
        "output_scale": True,
        "output_center": False,
    },
    augmentation="simclr",
    augmentation_arguments={"strength": 1.0, "blur": 0.5, "area": (0.08, 1.0)},
    sources=from_source(
        _SIMCLR,
        epochs=f"{_SIMCLR}: 100 to 1000",
        weight_decay=f"{_SIMCLR}: the code's default; its README command has 1e-4",
        base_learning_rate=f"{_SIMCLR}; or 0.075 * sqrt(batch), equal at 4096",
        projector=f"{_SIMCLR}: two layers (version 1)",
    ),
    notes=(
        "The authors' LARS has the learning rate inside the momentum buffer, and their "
        "loss is twice the paper's (which LARS hides for adapted weights)."
    ),
)

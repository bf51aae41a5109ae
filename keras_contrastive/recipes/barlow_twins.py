"""Barlow Twins' recipes: Zbontar et al., 2021, https://arxiv.org/abs/2103.03230."""

from typing import Any

from keras_contrastive.optimizers import LARS
from keras_contrastive.recipes import solo_learn
from keras_contrastive.recipes.recipe import Recipe, from_source

_BARLOW = "Zbontar et al. 2021; facebookresearch/barlowtwins 8e8d284"

# What VICReg's authors, who build on this code, have too.
IMAGENET: dict[str, Any] = {
    "images": "ImageNet (224 x 224)",
    "encoder": "ResNet-50",
    "epochs": 1000,
    "batch_size": 2048,
    "optimizer_class": LARS,
    "optimizer_arguments": {"trust_coefficient": 0.001},
    "weight_decay": 1e-6,
    "base_learning_rate": 0.2,
    "warmup_epochs": 10,
    "final_learning_rate": 0.0016,
    "augmentation": "byol",
    "augmentation_arguments": {
        "blur": (1.0, 0.1),
        "solarize": (0.0, 0.2),
        "area": (0.08, 1.0),
    },
}

BARLOW_TWINS_SMALL = Recipe(
    **solo_learn.CONSTANTS,
    **solo_learn.ASYMMETRIC,
    method="BarlowTwins",
    weight_decay=1e-4,
    base_learning_rate=0.3,
    method_arguments={"off_diagonal_weight": 0.0051},
    projector={
        "units": 2048,
        "hidden_units": (2048, 2048),
        "hidden_bias": False,
        "hidden_norm": True,
        "output_bias": False,
    },
    sources=solo_learn.sources(
        projector=f"widths: {solo_learn.SOURCE}; form: {_BARLOW}",
    ),
)

BARLOW_TWINS_IMAGENET = Recipe(
    **IMAGENET,
    method="BarlowTwins",
    method_arguments={"off_diagonal_weight": 0.0051},
    projector={
        "units": 8192,
        "hidden_units": (8192, 8192),
        "hidden_bias": False,
        "hidden_norm": True,
        "output_bias": False,
    },
    sources=from_source(
        _BARLOW,
        weight_decay=f"{_BARLOW}: the code's; the paper has 1.5e-6",
        final_learning_rate=f"{_BARLOW}: a thousandth of the peak at 2,048",
    ),
    notes=(
        "The authors train biases and batch norm at 0.0048 per 256 images without "
        "adaptation; here they have the rate of the weights."
    ),
)

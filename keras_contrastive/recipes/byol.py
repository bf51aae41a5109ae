"""BYOL's recipes: Grill et al., 2020, https://arxiv.org/abs/2006.07733."""

from typing import Any

from keras_contrastive.optimizers import LARS
from keras_contrastive.recipes import solo_learn
from keras_contrastive.recipes.recipe import Recipe, from_source

_BYOL = "Grill et al. 2020; deepmind-research f5de0ed, byol"
_SOLO = solo_learn.SOURCE

_BYOL_HEAD: dict[str, Any] = {
    "units": 256,
    "hidden_units": (4096,),
    "hidden_bias": True,
    "hidden_norm": True,
    "output_bias": False,
}

BYOL_SMALL = Recipe(
    **solo_learn.CONSTANTS,
    **solo_learn.ASYMMETRIC,
    method="BYOL",
    weight_decay=1e-5,
    base_learning_rate=1.0,
    projector=_BYOL_HEAD,
    predictor=_BYOL_HEAD,
    target_momentum={"start": 0.99, "end": 1.0, "schedule": "cosine"},
    sources=solo_learn.sources(
        projector=f"widths: {_SOLO}; biases and batch norm: {_BYOL}",
        predictor=f"widths: {_SOLO}; biases and batch norm: {_BYOL}",
    ),
)

BYOL_IMAGENET = Recipe(
    method="BYOL",
    images="ImageNet (224 x 224)",
    encoder="ResNet-50",
    epochs=1000,
    batch_size=4096,
    optimizer_class=LARS,
    optimizer_arguments={"trust_coefficient": 0.001},
    weight_decay=1.5e-6,
    base_learning_rate=0.2,
    warmup_epochs=10,
    projector=_BYOL_HEAD,
    predictor=_BYOL_HEAD,
    target_momentum={"start": 0.996, "end": 1.0, "schedule": "cosine"},
    augmentation="byol",
    augmentation_arguments={
        "blur": (1.0, 0.1),
        "solarize": (0.0, 0.2),
        "area": (0.08, 1.0),
    },
    sources=from_source(
        _BYOL,
        weight_decay=f"{_BYOL}: 1e-6 for fewer epochs",
        base_learning_rate=f"{_BYOL}: 0.45 for 100 epochs, 0.3 for 300",
        target_momentum=f"{_BYOL}; start 0.97 for 40 epochs, 0.99 for 100 and 300",
    ),
)

"""BYOL's recipes: Grill et al., 2020, https://arxiv.org/abs/2006.07733."""

from keras_contrastive.optimizers import LARS
from keras_contrastive.recipes.recipe import Recipe, from_source
from keras_contrastive.recipes.solo_learn import CLIPPED_LARS, CLIPPED_LARS_NOTE
from keras_contrastive.recipes.solo_learn import SOURCE as SOLO

_BYOL = "Grill et al. 2020; deepmind-research f5de0ed, byol"

_BYOL_HEAD = {
    "units": 256,
    "hidden_units": (4096,),
    "hidden_bias": True,
    "hidden_norm": True,
    "output_bias": False,
}

BYOL_SMALL = Recipe(
    method="BYOL",
    images="small images (32 x 32)",
    encoder="ResNet-18, small-image stem",
    epochs=1000,
    batch_size=256,
    optimizer_class=LARS,
    optimizer_arguments=CLIPPED_LARS,
    weight_decay=1e-5,
    base_learning_rate=1.0,
    warmup_epochs=10,
    warmup_start=3e-5,
    method_arguments={},
    projector=_BYOL_HEAD,
    predictor=_BYOL_HEAD,
    target_momentum={"start": 0.99, "end": 1.0, "schedule": "cosine"},
    augmentation="byol",
    sources=from_source(
        SOLO,
        scaling="learning rate stated per 256 images",
        projector=f"widths: {SOLO}; biases and batch norm: {_BYOL}",
        predictor=f"widths: {SOLO}; biases and batch norm: {_BYOL}",
        augmentation=f"{SOLO}: no blur, solarise 0 / 0.2, crop area from 0.08",
    ),
    notes=CLIPPED_LARS_NOTE,
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
    method_arguments={},
    projector=_BYOL_HEAD,
    predictor=_BYOL_HEAD,
    target_momentum={"start": 0.996, "end": 1.0, "schedule": "cosine"},
    augmentation="byol",
    sources=from_source(
        _BYOL,
        weight_decay=f"{_BYOL}: 1e-6 for fewer epochs",
        base_learning_rate=f"{_BYOL}: 0.45 for 100 epochs, 0.3 for 300",
        augmentation=f"{_BYOL}: blur 1 / 0.1, solarise 0 / 0.2, crop area from 0.08",
        target_momentum=f"{_BYOL}; start 0.97 for 40 epochs, 0.99 for 100 and 300",
    ),
)

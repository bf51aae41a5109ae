"""NNCLR's recipes: Dwibedi et al., 2021, https://arxiv.org/abs/2104.14548."""

from typing import Any

from keras_contrastive.optimizers import LARS
from keras_contrastive.recipes import solo_learn
from keras_contrastive.recipes.recipe import Recipe, from_source

_RECALLED = "Dwibedi et al. 2021: recalled, unchecked"
_FORM = "solo-learn 9187ea3, NNCLR"

_HEADS: dict[str, Any] = {
    "projector": {
        "units": 256,
        "hidden_units": (2048, 2048),
        "hidden_bias": True,
        "hidden_norm": True,
        "output_bias": True,
        "output_norm": True,
        "output_scale": True,
        "output_center": True,
    },
    "predictor": {
        "units": 256,
        "hidden_units": (4096,),
        "hidden_bias": True,
        "hidden_norm": True,
        "output_bias": True,
    },
}

NNCLR_SMALL = Recipe(
    **solo_learn.CONSTANTS,
    **solo_learn.ASYMMETRIC,
    **_HEADS,
    method="NNCLR",
    weight_decay=1e-5,
    base_learning_rate=0.4,
    method_arguments={"temperature": 0.2, "queue_size": 65536},
    sources=solo_learn.sources(),
)

NNCLR_IMAGENET = Recipe(
    **_HEADS,
    method="NNCLR",
    images="ImageNet (224 x 224)",
    encoder="ResNet-50",
    epochs=1000,
    batch_size=4096,
    optimizer_class=LARS,
    optimizer_arguments={"trust_coefficient": 0.001},
    weight_decay=1.5e-6,
    base_learning_rate=0.2,
    warmup_epochs=10,
    method_arguments={"temperature": 0.1, "queue_size": 98304},
    augmentation="byol",
    augmentation_arguments={
        "blur": (1.0, 0.1),
        "solarize": (0.0, 0.2),
        "area": (0.08, 1.0),
    },
    sources=from_source(
        f"BYOL's; that NNCLR trains with LARS as BYOL does: {_RECALLED}",
        method_arguments=_RECALLED,
        epochs=_RECALLED,
        projector=f"widths: {_RECALLED}; biases and batch norm: {_FORM}",
        predictor=f"widths: {_RECALLED}; biases and batch norm: {_FORM}",
        augmentation=f"chosen here: BYOL's, as in {_FORM}",
        augmentation_arguments="chosen here: BYOL's",
    ),
)

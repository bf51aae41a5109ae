"""MoCo's recipes: arXiv 1911.05722 (version 1), 2003.04297 (2), 2104.02057 (3)."""

import dataclasses
from typing import Any

import keras

from keras_contrastive.optimizers import LARS, CoupledSGD
from keras_contrastive.recipes import solo_learn
from keras_contrastive.recipes.recipe import Recipe, from_source

_MOCO = "facebookresearch/moco 7397dfe"
_V3 = "Chen et al. 2021; facebookresearch/moco-v3 c349e6e"

_CONSTANTS: dict[str, Any] = {
    "method": "MoCo",
    "images": "ImageNet (224 x 224)",
    "encoder": "ResNet-50",
    "epochs": 200,
    "batch_size": 256,
    "optimizer_class": CoupledSGD,
    "weight_decay": 1e-4,
    "base_learning_rate": 0.03,
    "warmup_epochs": 0,
    "target_momentum": {"start": 0.999, "end": 0.999, "schedule": "constant"},
}

MOCO_V1_IMAGENET = Recipe(
    **_CONSTANTS,
    method_arguments={
        "version": 1,
        "temperature": 0.07,
        "queue_size": 65536,
        "symmetric": False,
    },
    projector={"units": 128, "hidden_units": (), "output_bias": True},
    augmentation="moco_v1",
    augmentation_arguments={"area": (0.2, 1.0)},
    sources=from_source(f"He et al. 2020; {_MOCO}"),
    notes=(
        "All variables are decayed. The authors lower the learning rate to a tenth at "
        "epochs 120 and 160; here it follows a cosine, as in version 2."
    ),
)

MOCO_V2_IMAGENET = Recipe(
    **_CONSTANTS,
    method_arguments={
        "version": 2,
        "temperature": 0.2,
        "queue_size": 65536,
        "symmetric": False,
    },
    projector={
        "units": 128,
        "hidden_units": ("dim",),
        "hidden_bias": True,
        "hidden_norm": False,
        "output_bias": True,
    },
    augmentation="moco_v2",
    augmentation_arguments={"blur": 0.5, "area": (0.2, 1.0)},
    sources=from_source(f"Chen et al. 2020; {_MOCO}"),
    notes="All variables are decayed. The authors lower the cosine once an epoch.",
)

INFOMIN_IMAGENET = dataclasses.replace(
    MOCO_V2_IMAGENET,
    method_arguments={
        **MOCO_V2_IMAGENET.method_arguments,
        "temperature": 0.15,
        "jigsaw_weight": 0.5,
    },
    augmentation="infomin",
    augmentation_arguments={"jigsaw_views": 1, "blur": 0.5, "area": (0.2, 1.0)},
    sources=from_source("Tian et al. 2020; HobbitLong/PyContrast 84f94ea"),
    notes=(
        "MoCo version 2 with stronger views and a jigsaw query. The authors' head of "
        "the patches has a hidden layer more. All variables are decayed."
    ),
)

MOCO_SMALL = Recipe(
    method="MoCo",
    images="small images (32 x 32)",
    encoder="ResNet-18, small-image stem",
    epochs=1000,
    batch_size=256,
    optimizer_class=CoupledSGD,
    weight_decay=1e-4,
    base_learning_rate=0.3,
    warmup_epochs=10,
    warmup_start=3e-5,
    method_arguments={
        "version": 2,
        "temperature": 0.2,
        "queue_size": 32768,
        "symmetric": True,
    },
    projector=solo_learn.HEAD,
    target_momentum={"start": 0.99, "end": 0.999, "schedule": "cosine"},
    augmentation="moco_v2",
    augmentation_arguments={"blur": 0.5, "area": (0.2, 1.0)},
    sources=solo_learn.sources(
        projector=f"widths: {solo_learn.SOURCE}; biases and no batch norm: {_MOCO}",
        augmentation_arguments=f"blur: {solo_learn.SOURCE}; area: {_MOCO}",
    ),
)

# Neither head has a bias, and the projector ends with a batch norm without parameters.
_V3_HEADS: dict[str, Any] = {
    "projector": {
        "units": 256,
        "hidden_units": (4096,),
        "hidden_bias": False,
        "hidden_norm": True,
        "output_bias": False,
        "output_norm": True,
        "output_scale": False,
        "output_center": False,
    },
    "predictor": {
        "units": 256,
        "hidden_units": (4096,),
        "hidden_bias": False,
        "hidden_norm": True,
        "output_bias": False,
    },
    "target_momentum": {"start": 0.99, "end": 1.0, "schedule": "cosine"},
}

MOCO_V3_IMAGENET = Recipe(
    **_V3_HEADS,
    method="MoCo",
    images="ImageNet (224 x 224)",
    encoder="ResNet-50",
    epochs=300,
    batch_size=4096,
    optimizer_class=LARS,
    optimizer_arguments={"trust_coefficient": 0.001},
    weight_decay=1e-6,
    base_learning_rate=0.3,
    warmup_epochs=10,
    method_arguments={
        "version": 3,
        "temperature": 1.0,
        "queue_size": 0,
        "symmetric": True,
    },
    augmentation="byol",
    augmentation_arguments={
        "blur": (1.0, 0.1),
        "solarize": (0.0, 0.2),
        "area": (0.2, 1.0),
    },
    sources=from_source(
        _V3,
        epochs=f"{_V3}: 100, 300 or 1000",
        weight_decay=f"{_V3}: 1.5e-6 for 1000 epochs",
        base_learning_rate=f"{_V3}: 0.6 for 100 epochs",
        target_momentum=f"{_V3}: start 0.996 for 1000 epochs",
    ),
)

MOCO_V3_VIT_IMAGENET = dataclasses.replace(
    MOCO_V3_IMAGENET,
    encoder="ViT-S/16 or ViT-B/16",
    optimizer_class=keras.optimizers.AdamW,
    optimizer_arguments={},
    optimizer_momentum=None,
    weight_decay=0.1,
    base_learning_rate=1.5e-4,
    warmup_epochs=40,
    projector={**_V3_HEADS["projector"], "hidden_units": (4096, 4096)},
    predictor={
        **_V3_HEADS["predictor"],
        "output_norm": True,
        "output_scale": False,
        "output_center": False,
    },
    method_arguments={**MOCO_V3_IMAGENET.method_arguments, "temperature": 0.2},
    augmentation_arguments={
        **MOCO_V3_IMAGENET.augmentation_arguments,
        "area": (0.08, 1.0),
    },
    sources=from_source(_V3),
    notes=(
        "All variables are decayed. The authors' positions are fixed sines and "
        "cosines, and their patch embedding stays as it is drawn; for the latter: "
        'encoder.get_layer("patches").conv.trainable = False.'
    ),
)

MOCO_V3_SMALL = Recipe(
    **solo_learn.CONSTANTS,
    **solo_learn.ASYMMETRIC,
    **_V3_HEADS,
    method="MoCo",
    weight_decay=1e-6,
    base_learning_rate=0.3,
    method_arguments={**MOCO_V3_IMAGENET.method_arguments, "temperature": 0.2},
    sources=solo_learn.sources(),
)

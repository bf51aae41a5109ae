"""MoCo's recipes: https://arxiv.org/abs/1911.05722 and https://arxiv.org/abs/2003.04297."""

from keras_contrastive.optimizers import CoupledSGD
from keras_contrastive.recipes import solo_learn
from keras_contrastive.recipes.recipe import Recipe, from_source

_MOCO = "facebookresearch/moco 7397dfe"

_CONSTANTS = {
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
    method_arguments={"version": 1, "temperature": 0.07, "queue_size": 65536},
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
    method_arguments={"version": 2, "temperature": 0.2, "queue_size": 65536},
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

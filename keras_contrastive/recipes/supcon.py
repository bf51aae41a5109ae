"""SupCon's recipes: Khosla et al., 2020, https://arxiv.org/abs/2004.11362."""

from typing import Any

from keras_contrastive.optimizers import LARS, CoupledSGD
from keras_contrastive.recipes.recipe import Recipe, from_source

_SUPCON = "HobbitLong/SupContrast 66a8fe5, CIFAR"
_RECALLED = "Khosla et al. 2020 (recalled, unchecked)"
_CHOSEN = "chosen here: as SimCLR on ImageNet"

_HEAD: dict[str, Any] = {
    "units": 128,
    "hidden_units": ("dim",),
    "hidden_bias": True,
    "hidden_norm": False,
    "output_bias": True,
}

SUPCON_SMALL = Recipe(
    method="SupCon",
    images="small images (32 x 32)",
    encoder="ResNet-50, small-image stem",
    epochs=1000,
    batch_size=1024,
    optimizer_class=CoupledSGD,
    weight_decay=1e-4,
    base_learning_rate=0.5,
    reference_batch=1024,
    warmup_epochs=10,
    warmup_start=0.01,
    final_learning_rate=5e-4,
    method_arguments={"temperature": 0.1, "base_temperature": 0.07},
    projector=_HEAD,
    augmentation="supcon",
    augmentation_arguments={"area": (0.2, 1.0)},
    sources=from_source(
        _SUPCON,
        reference_batch=f"{_SUPCON}: the learning rate is stated for 1024",
        scaling="chosen here: the authors state no rule",
        final_learning_rate=f"{_SUPCON}: the learning rate times 0.1 ** 3",
        augmentation=f"{_SUPCON}: jitter 0.4, no blur",
        **{
            "method_arguments.base_temperature": (
                f"{_SUPCON}: multiplies the loss by 0.1 / 0.07, which SGD feels; "
                "the paper has no such factor"
            )
        },
    ),
    notes=(
        "All variables are decayed. The authors lower the cosine once an epoch. Their "
        "base_temperature belongs to their learning rate; SupCon's default is the "
        "paper's factor of 1: give the method these method_arguments to have both."
    ),
)

SUPCON_IMAGENET = Recipe(
    method="SupCon",
    images="ImageNet (224 x 224)",
    encoder="ResNet-50",
    epochs=700,
    batch_size=6144,
    optimizer_class=LARS,
    optimizer_arguments={"trust_coefficient": 0.001},
    weight_decay=1e-6,
    base_learning_rate=0.3,
    warmup_epochs=10,
    method_arguments={"temperature": 0.1},
    projector=_HEAD,
    augmentation="supcon",
    augmentation_arguments={"area": (0.2, 1.0)},
    sources=from_source(
        _RECALLED,
        epochs="Khosla et al. 2020: 350 or 700 (recalled, unchecked)",
        optimizer_arguments=_CHOSEN,
        optimizer_momentum=_CHOSEN,
        weight_decay=_CHOSEN,
        base_learning_rate=_CHOSEN,
        reference_batch=_CHOSEN,
        scaling=_CHOSEN,
        warmup_epochs=_CHOSEN,
        warmup_start=_CHOSEN,
        final_learning_rate=_CHOSEN,
        projector="HobbitLong/SupContrast 66a8fe5",
        augmentation="chosen here; AutoAugment was best (recalled, unchecked)",
        augmentation_arguments=_CHOSEN,
    ),
    notes=(
        "The least certain recipe: the paper's learning rate and weight decay on "
        "ImageNet were not looked up."
    ),
)

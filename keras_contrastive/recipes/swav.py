"""SwAV's recipes: Caron et al., 2020, https://arxiv.org/abs/2006.09882."""

from typing import Any

from keras_contrastive.optimizers import LARS
from keras_contrastive.recipes import solo_learn
from keras_contrastive.recipes.recipe import Recipe, from_source

_SWAV = "Caron et al. 2020; facebookresearch/swav 06b1b7c"
_HEAD: dict[str, Any] = {
    "units": 128,
    "hidden_units": (2048,),
    "hidden_bias": True,
    "hidden_norm": True,
    "output_bias": True,
}

SWAV_SMALL = Recipe(
    **solo_learn.CONSTANTS,
    method="SwAV",
    weight_decay=1e-6,
    base_learning_rate=0.6,
    method_arguments={
        "num_prototypes": 3000,
        "temperature": 0.1,
        "epsilon": 0.05,
        "iterations": 3,
        "queue_size": 3840,
        "queue_start_epoch": 50,
        "freeze_epochs": 2,
    },
    projector=_HEAD,
    augmentation="swav",
    augmentation_arguments={"local_views": 0, "blur": 0.0, "area": (0.08, 1.0)},
    sources=solo_learn.sources(
        projector=f"widths: {solo_learn.SOURCE}; form: {_SWAV}",
    ),
)

SWAV_IMAGENET = Recipe(
    method="SwAV",
    images="ImageNet (224 x 224)",
    encoder="ResNet-50",
    epochs=800,
    batch_size=4096,
    optimizer_class=LARS,
    optimizer_arguments={"trust_coefficient": 0.001},
    weight_decay=1e-6,
    base_learning_rate=0.3,
    warmup_epochs=10,
    warmup_start=0.3,
    final_learning_rate=0.0048,
    method_arguments={
        "num_prototypes": 3000,
        "temperature": 0.1,
        "epsilon": 0.05,
        "iterations": 3,
        "freeze_epochs": 1,
        "local_views": 6,
    },
    projector=_HEAD,
    augmentation="swav",
    augmentation_arguments={
        "local_size": 96,
        "local_views": 6,
        "area": (0.14, 1.0),
        "local_area": (0.05, 0.14),
        "blur": 0.5,
    },
    sources=from_source(
        _SWAV,
        base_learning_rate=f"{_SWAV}: 4.8 for 4,096 images; 0.6 for 256 with a queue",
        scaling="chosen here: the authors state both rates",
    ),
    notes=(
        "The authors adapt and decay biases and batch norm, too. Their batches of 256 "
        "have a queue of 3,840 from epoch 15 on (`queue_size`)."
    ),
)

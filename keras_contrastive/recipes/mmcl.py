"""MMCL's recipes: Shah et al., 2022, https://arxiv.org/abs/2112.11450."""

import dataclasses

from keras.optimizers import AdamW

from keras_contrastive.optimizers import no_scaling
from keras_contrastive.recipes.recipe import Recipe, from_source
from keras_contrastive.recipes.simclr import SIMCLR_IMAGENET

_MMCL = "Shah et al. 2022; anshulbshah/MMCL d6f747a"
_CONFIG = f"{_MMCL}, configs/imagenet1k_mmcl_inv.yaml"

MMCL_SMALL = Recipe(
    method="MMCL",
    images="small images (32 x 32)",
    encoder="ResNet-50, small-image stem",
    epochs=400,
    batch_size=256,
    optimizer_class=AdamW,
    optimizer_momentum=None,
    weight_decay=1e-6,
    base_learning_rate=1e-3,
    scaling=no_scaling,
    warmup_epochs=0,
    final_learning_rate=1e-3,
    method_arguments={"sigma": 0.5, "regularization": 0.1, "upper": 100.0},
    projector={
        "units": 128,
        "hidden_units": (512,),
        "hidden_bias": False,
        "hidden_norm": True,
        "output_bias": True,
    },
    augmentation="moco_v2",
    augmentation_arguments={"blur": 0.5, "area": (0.08, 1.0)},
    sources=from_source(
        f"{_MMCL}, CIFAR100",
        reference_batch="no effect without scaling",
        scaling="none in the authors' code",
        **{
            "method_arguments.sigma": (
                f"{_MMCL}, CIFAR100: from epoch 125 on; 50, then 5 before"
            ),
        },
    ),
    notes="The authors have Adam with weight decay in the gradient.",
)

# All but what stands here is SimCLR's, as the authors build on a SimCLR.
MMCL_IMAGENET = dataclasses.replace(
    SIMCLR_IMAGENET,
    method="MMCL",
    epochs=100,
    batch_size=256,
    base_learning_rate=1.2,
    method_arguments={"sigma": 10.0, "regularization": 0.1},
    sources=from_source(
        _CONFIG,
        optimizer_arguments=f"{_MMCL}, utils/lars_optimizer.py",
        projector=f"{_MMCL}, models/encoder.py",
        reference_batch="that of the configuration",
        scaling="chosen here: the authors train one batch size",
    ),
)

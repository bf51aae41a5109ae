"""PIRL's recipes: Misra and van der Maaten, 2020, https://arxiv.org/abs/1912.01991."""

import dataclasses

from keras_contrastive.optimizers import CoupledSGD
from keras_contrastive.recipes.recipe import Recipe, from_source

_PAPER = "Misra and van der Maaten 2020 (recalled, unchecked)"
_CODES = "Misra and van der Maaten 2020; facebookresearch/vissl 09270ed"

PIRL_IMAGENET = Recipe(
    method="PIRL",
    images="ImageNet (224 x 224)",
    encoder="ResNet-50",
    epochs=800,
    batch_size=1024,
    optimizer_class=CoupledSGD,
    weight_decay=1e-4,
    base_learning_rate=0.12,
    reference_batch=1024,
    warmup_epochs=0,
    final_learning_rate=1.2e-4,
    method_arguments={
        "num_negatives": 32_000,
        "temperature": 0.07,
        "bank_momentum": 0.5,
        "nce": True,
        "weight": 0.5,
    },
    projector={"units": 128, "hidden_units": (), "output_bias": True},
    augmentation="pirl",
    augmentation_arguments={"area": (0.2, 1.0), "jigsaw_area": (0.6, 1.0)},
    sources=from_source(
        _PAPER,
        method_arguments=_CODES,
        augmentation_arguments="HobbitLong/PyContrast 84f94ea (recalled, unchecked)",
    ),
    notes="All variables are decayed.",
)

PIRL_SMALL = dataclasses.replace(
    PIRL_IMAGENET,
    images="small images (32 x 32)",
    encoder="ResNet-18, small-image stem",
    batch_size=256,
    weight_decay=5e-4,
    base_learning_rate=0.03,
    reference_batch=256,
    warmup_epochs=10,
    final_learning_rate=0.0,
    method_arguments={
        **PIRL_IMAGENET.method_arguments,
        "num_negatives": 4096,
        "nce": False,
    },
    sources={
        **dict.fromkeys(PIRL_IMAGENET.sources, "chosen here: as for ImageNet"),
        "batch_size": "chosen here",
        "weight_decay": "chosen here: common for CIFAR",
        "warmup_epochs": "chosen here",
        "final_learning_rate": "chosen here",
        "method_arguments": (
            "chosen here: with thousands of images the noise of the NCE form outweighs "
            "the image itself; the softmax form is that of later code"
        ),
    },
    notes="No number of PIRL's authors is of small images. All variables are decayed.",
)

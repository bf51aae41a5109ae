"""Recipes of alignment and uniformity: https://arxiv.org/abs/2005.10242 (2020)."""

import dataclasses

from keras_contrastive.optimizers import CoupledSGD
from keras_contrastive.recipes.recipe import Recipe, from_source

_PAPER = "Wang and Isola 2020; SsnL/align_uniform e256d47, STL-10"
_CHOSEN = "chosen here: as for STL-10"

ALIGN_UNIFORM_SMALL = Recipe(
    method="AlignUniform",
    images="small images (STL-10, 64 x 64)",
    encoder="a small AlexNet",
    epochs=200,
    batch_size=768,
    optimizer_class=CoupledSGD,
    weight_decay=1e-4,
    base_learning_rate=0.12,
    warmup_epochs=0,
    method_arguments={
        "alpha": 2.0,
        "t": 2.0,
        "align_weight": 1.0,
        "uniform_weight": 1.0,
    },
    projector={
        "units": 128,
        "hidden_units": ("dim",),
        "hidden_bias": True,
        "hidden_norm": False,
        "output_bias": True,
    },
    augmentation="moco_v1",
    augmentation_arguments={"area": (0.08, 1.0)},
    sources=from_source(
        _PAPER,
        optimizer_momentum="recalled, unchecked",
        final_learning_rate="chosen here: the authors' rate falls in steps",
        projector=f"units: {_PAPER}; hidden layer chosen here",
    ),
    notes=(
        "All variables are decayed. The authors lower the learning rate to a tenth at "
        "epochs 155, 170 and 185; here it follows a cosine. Their jitter comes before "
        "their gray, here after it."
    ),
)

ALIGN_UNIFORM_IMAGENET = dataclasses.replace(
    ALIGN_UNIFORM_SMALL,
    images="ImageNet (224 x 224)",
    encoder="ResNet-50",
    sources={
        name: source.replace(_PAPER, _CHOSEN)
        for name, source in ALIGN_UNIFORM_SMALL.sources.items()
    },
    notes=(
        "No number of this recipe is published for ImageNet: it is that of STL-10. The "
        "authors train ImageNet with a queue of MoCo's, which this method has not."
    ),
)

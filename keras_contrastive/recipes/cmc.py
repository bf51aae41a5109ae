"""CMC's recipes: Tian et al., 2020, https://arxiv.org/abs/1906.05849."""

import dataclasses

from keras_contrastive.optimizers import CoupledSGD
from keras_contrastive.recipes.recipe import Recipe, from_source

_CMC = "Tian et al. 2020; HobbitLong/CMC 7b227be"
_PYCONTRAST = "HobbitLong/PyContrast 84f94ea (recalled, unchecked)"

CMC_IMAGENET = Recipe(
    method="CMC",
    images="ImageNet (224 x 224)",
    encoder="two ResNet-50 of half the width, for lightness and colour",
    epochs=240,
    batch_size=128,
    optimizer_class=CoupledSGD,
    weight_decay=1e-4,
    base_learning_rate=0.03,
    reference_batch=128,
    warmup_epochs=0,
    method_arguments={
        "num_negatives": 16_384,
        "temperature": 0.07,
        "bank_momentum": 0.5,
        "nce": True,
    },
    projector={"units": 128, "hidden_units": (), "output_bias": True},
    augmentation="cmc",
    augmentation_arguments={"area": (0.2, 1.0), "strength": 0.5},
    sources=from_source(_CMC, **{"augmentation_arguments.strength": _PYCONTRAST}),
    notes=(
        "All variables are decayed. The authors lower the learning rate to a tenth at "
        "epochs 120, 160 and 200; here it follows a cosine."
    ),
)

CMC_SMALL = dataclasses.replace(
    CMC_IMAGENET,
    images="small images (32 x 32)",
    encoder="two ResNet-18 of half the width, small-image stem",
    epochs=200,
    batch_size=256,
    weight_decay=5e-4,
    base_learning_rate=0.03,
    reference_batch=256,
    warmup_epochs=10,
    method_arguments={
        **CMC_IMAGENET.method_arguments,
        "num_negatives": 4096,
        "nce": False,
    },
    sources={
        **dict.fromkeys(CMC_IMAGENET.sources, "chosen here: as for ImageNet"),
        "epochs": "chosen here",
        "batch_size": "chosen here",
        "weight_decay": "chosen here: common for CIFAR",
        "warmup_epochs": "chosen here",
        "method_arguments": (
            "chosen here: with thousands of images the noise of the NCE form outweighs "
            "the image itself; the softmax form is that of later code"
        ),
    },
    notes="No number of CMC's authors is of small images. All variables are decayed.",
)

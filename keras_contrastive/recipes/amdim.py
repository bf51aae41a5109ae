"""AMDIM's recipes: Bachman et al., 2019, https://arxiv.org/abs/1906.00910."""

import dataclasses
from typing import Any

import keras

from keras_contrastive.optimizers import no_scaling
from keras_contrastive.recipes.recipe import Recipe, from_source

_AMDIM = "Philip-Bachman/amdim-public 8754ae1"
_CHOSEN: dict[str, Any] = {
    "scaling": "chosen here: Adam's rate does not follow the batch",
    "final_learning_rate": "chosen here: the authors' last rate is 8e-6",
}
_NOTES = (
    "The authors lower the rate to a fifth twice, after {} and {} epochs; here it "
    "follows a cosine. Their Adam adds the weight decay to the gradient, Keras's "
    "decays the weights by themselves. Both views of an image are flipped together "
    "there, here each by itself."
)

AMDIM_SMALL = Recipe(
    method="AMDIM",
    images="small images (32 to 64 pixels)",
    encoder="kc.encoders.amdim(width=128, depth=3, dim=1024)",
    epochs=300,
    batch_size=200,
    optimizer_class=keras.optimizers.Adam,
    optimizer_arguments={"beta_1": 0.8, "beta_2": 0.999, "epsilon": 1e-8},
    optimizer_momentum=None,
    weight_decay=1e-5,
    base_learning_rate=2e-4,
    reference_batch=200,
    scaling=no_scaling,
    warmup_epochs=2,
    method_arguments={"clip": 20.0, "regularization": 0.05},
    projector_class=keras.layers.Identity,
    projector={},
    augmentation="amdim",
    augmentation_arguments={"area": (0.3, 1.0), "hue": 0.2},
    sources=from_source(
        _AMDIM,
        warmup_epochs=f"{_AMDIM}: 500 steps",
        augmentation_arguments=f"{_AMDIM}: STL-10; CIFAR is shifted, see the policy",
        **_CHOSEN,
    ),
    notes=_NOTES.format(250, 280),
)

AMDIM_IMAGENET = dataclasses.replace(
    AMDIM_SMALL,
    images="ImageNet (128 x 128)",
    encoder="kc.encoders.amdim(width=192, depth=8, dim=1536) of 128 x 128 pixels",
    epochs=50,
    batch_size=480,
    reference_batch=480,
    warmup_epochs=0.2,
    augmentation_arguments={"area": (0.3, 1.0), "hue": 0.1},
    sources=from_source(
        _AMDIM,
        warmup_epochs=f"{_AMDIM}: 500 steps",
        **_CHOSEN,
    ),
    notes=(
        f"{_NOTES.format(30, 45)} Their best results have wider encoders, longer runs "
        "and the ImageNet policy of Fast AutoAugment."
    ),
)

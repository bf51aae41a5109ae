"""VISReg's recipes: Wu et al., 2026, https://arxiv.org/abs/2606.02572."""

from typing import Any

from keras_contrastive.optimizers import AdamW
from keras_contrastive.recipes.lejepa import CONSTANTS, HEAD, LARGE_VIEWS, SMALL
from keras_contrastive.recipes.recipe import Recipe, from_source

_VISREG = "HaiyuWu/visreg 074fb51"
_NOTES = (
    "The authors clip the gradient of the global batch, here each replica clips its "
    "own. They train in bfloat16."
)

_CONSTANTS: dict[str, Any] = {
    **CONSTANTS,
    "optimizer_class": AdamW,
    "optimizer_arguments": {"global_clipnorm": 1.0},
}
_SOURCES: dict[str, Any] = {
    "optimizer_class": f"{_VISREG}, train.py",
    "weight_decay": f"{_VISREG}, train.py",
    "reference_batch": "no effect without scaling",
    "scaling": "none in the authors' code",
    "warmup_start": f"{_VISREG}, train.py: a thousandth of the peak",
    "projector": f"{_VISREG}, visreg/models/vit_encoder.py; units: configs",
    "augmentation_arguments": f"{_VISREG}, visreg/data; numbers and sizes: configs",
    "method_arguments.num_slices": f"{_VISREG}, configs/loss/visreg.yaml",
}

VISREG_SMALL = Recipe(
    **_CONSTANTS,
    **SMALL,
    method="VISReg",
    batch_size=64,
    base_learning_rate=1e-3,
    warmup_start=1e-6,
    final_learning_rate=1e-6,
    method_arguments={"weight": 0.6, "num_slices": 4096, "num_global": 4},
    projector={"units": 128, **HEAD},
    sources=from_source(
        f"{_VISREG}, configs/imagenette.yaml",
        images="chosen here: the authors' images are of 128 pixels",
        **{
            **_SOURCES,
            "augmentation_arguments.blur": (
                "chosen here, as usual for small images; the authors have 0.5"
            ),
        },
    ),
    notes=_NOTES,
)

VISREG_IMAGENET = Recipe(
    **_CONSTANTS,
    method="VISReg",
    images="ImageNet (224 x 224)",
    encoder="ViT-B/16",
    epochs=100,
    batch_size=128,
    base_learning_rate=9e-4,
    warmup_epochs=5,
    warmup_start=9e-7,
    final_learning_rate=9e-7,
    method_arguments={"weight": 0.9, "num_slices": 4096, "num_global": 4},
    projector={"units": 256, "activation": "gelu", **HEAD},
    augmentation_arguments={"global_views": 4, "local_size": 96, **LARGE_VIEWS},
    sources=from_source(
        f"{_VISREG}, configs/default.yaml",
        epochs=f"{_VISREG}, configs/default.yaml; 400 for the published weights",
        batch_size=f"{_VISREG}: 16 per GPU, and 8 GPUs in the README",
        **_SOURCES,
    ),
    notes=_NOTES,
)

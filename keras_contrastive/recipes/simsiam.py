"""SimSiam's recipes: Chen and He, 2020, https://arxiv.org/abs/2011.10566."""

from typing import Any

from keras_contrastive.optimizers import CoupledSGD
from keras_contrastive.recipes import solo_learn
from keras_contrastive.recipes.recipe import Recipe, from_source

_SIMSIAM = "Chen and He 2020; facebookresearch/simsiam a7bc177"
_SOLO = solo_learn.SOURCE

_HEADS: dict[str, Any] = {
    "projector": {
        "units": 2048,
        "hidden_units": (2048, 2048),
        "hidden_bias": False,
        "hidden_norm": True,
        "output_bias": False,
        "output_norm": True,
        "output_scale": False,
        "output_center": False,
    },
    "predictor": {
        "hidden_units": (512,),
        "hidden_bias": False,
        "hidden_norm": True,
        "output_bias": True,
    },
}

SIMSIAM_SMALL = Recipe(
    **_HEADS,
    method="SimSiam",
    images="small images (32 x 32)",
    encoder="ResNet-18, small-image stem",
    epochs=1000,
    batch_size=256,
    optimizer_class=CoupledSGD,
    weight_decay=1e-5,
    base_learning_rate=0.5,
    warmup_epochs=10,
    warmup_start=3e-5,
    method_arguments={"constant_predictor_rate": True},
    augmentation="moco_v2",
    augmentation_arguments={"blur": 0.5, "area": (0.08, 1.0)},
    sources=solo_learn.sources(),
    notes=(
        "All variables are decayed. The paper's own recipe for CIFAR-10: 800 epochs, "
        "rate 0.03, weight decay 5e-4, a projector of two layers, no blur."
    ),
)

SIMSIAM_IMAGENET = Recipe(
    **_HEADS,
    method="SimSiam",
    images="ImageNet (224 x 224)",
    encoder="ResNet-50",
    epochs=100,
    batch_size=512,
    optimizer_class=CoupledSGD,
    weight_decay=1e-4,
    base_learning_rate=0.05,
    warmup_epochs=0,
    method_arguments={"constant_predictor_rate": True},
    augmentation="moco_v2",
    augmentation_arguments={"blur": 0.5, "area": (0.2, 1.0)},
    sources=from_source(
        _SIMSIAM,
        epochs=f"{_SIMSIAM}: 100 to 800",
        method_arguments=f"{_SIMSIAM}: table 1, --fix-pred-lr",
    ),
    notes="All variables are decayed. The authors lower the cosine once an epoch.",
)

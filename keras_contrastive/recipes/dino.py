"""DINO's recipes: Caron et al., 2021, https://arxiv.org/abs/2104.14294."""

from keras_contrastive.layers.dino_head import DINOHead
from keras_contrastive.optimizers import AdamW
from keras_contrastive.recipes import solo_learn
from keras_contrastive.recipes.recipe import Recipe, from_source

_DINO = "facebookresearch/dino 7c446df"
_SOLO = solo_learn.SOURCE

DINO_SMALL = Recipe(
    **solo_learn.CONSTANTS,
    **solo_learn.ASYMMETRIC,
    method="DINO",
    weight_decay=1e-6,
    base_learning_rate=0.3,
    method_arguments={
        "temperature": 0.1,
        "target_temperature": 0.04,
        "warmup_temperature": 0.04,
        "warmup_epochs": 0,
        "center_momentum": 0.9,
        "freeze_epochs": 1,
    },
    projector_class=DINOHead,
    projector={
        "units": 4096,
        "hidden_units": (2048, 2048),
        "bottleneck": 256,
        "hidden_norm": True,
    },
    target_momentum={"start": 0.996, "end": 1.0, "schedule": "cosine"},
    sources=solo_learn.sources(
        target_momentum=f"{_DINO}; {_SOLO}: from 0.9995",
        **{
            "method_arguments.target_temperature": f"{_DINO}; {_SOLO}: 0.07",
            "method_arguments.center_momentum": _DINO,
            "projector.hidden_norm": "chosen here: short runs learn little without",
        },
    ),
)

DINO_IMAGENET = Recipe(
    method="DINO",
    images="ImageNet (224 x 224)",
    encoder="ViT-S/16",
    epochs=300,
    batch_size=1024,
    optimizer_class=AdamW,
    optimizer_arguments={"final_weight_decay": 0.4, "clipnorm": 3.0},
    optimizer_momentum=None,
    weight_decay=0.04,
    base_learning_rate=5e-4,
    warmup_epochs=10,
    final_learning_rate=1e-6,
    method_arguments={
        "temperature": 0.1,
        "target_temperature": 0.07,
        "warmup_temperature": 0.04,
        "warmup_epochs": 30,
        "center_momentum": 0.9,
        "freeze_epochs": 1,
        "local_views": 8,
    },
    projector_class=DINOHead,
    projector={
        "units": 65536,
        "hidden_units": (2048, 2048),
        "bottleneck": 256,
        "hidden_norm": False,
    },
    target_momentum={"start": 0.996, "end": 1.0, "schedule": "cosine"},
    augmentation="dino",
    augmentation_arguments={
        "local_size": 96,
        "local_views": 8,
        "area": (0.4, 1.0),
        "local_area": (0.05, 0.4),
        "blur": (1.0, 0.1, 0.5),
        "solarize": (0.0, 0.2),
    },
    sources=from_source(
        f"Caron et al. 2021; {_DINO}",
        epochs=f"{_DINO}, README: its longer run; the default is 100",
        batch_size=f"{_DINO}, README: 16 GPUs of 64",
        scaling="learning rate stated per 256 images",
        **{
            "method_arguments.target_temperature": f"{_DINO}, README; default 0.04",
            "method_arguments.warmup_epochs": f"{_DINO}, README; default 0",
        },
    ),
    notes=(
        "The README's run also trains the gain of the last layer, and all drop paths "
        "of the ViT with probability up to 0.1; neither is done here. A ResNet-50 is "
        "trained there by SGD at 0.03 with weight decay 1e-4, from areas (0.14, 1.0) "
        "and (0.05, 0.14). The authors' warm-up divides by W - 1 steps."
    ),
)

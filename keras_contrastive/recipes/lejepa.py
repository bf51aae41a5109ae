"""LeJEPA's recipes: Balestriero and LeCun, 2025, https://arxiv.org/abs/2511.08544."""

from typing import Any

from keras.optimizers import AdamW

from keras_contrastive.optimizers import no_scaling
from keras_contrastive.recipes.recipe import Recipe, from_source

_LEJEPA = "rbalestr-lab/lejepa eddffdd"
_MINIMAL = f"{_LEJEPA}, MINIMAL.md (Imagenette)"
_README = f"{_LEJEPA}, README"
_ABLATION = f"{_LEJEPA}, scripts/launch_epps_ablation.md"

# What the recipes of both methods on random directions share, as their authors' code.
CONSTANTS: dict[str, Any] = {
    "optimizer_momentum": None,
    "weight_decay": 5e-2,
    "scaling": no_scaling,
    "augmentation": "lejepa",
}
SMALL: dict[str, Any] = {
    "images": "small images (32 x 32)",
    "encoder": "ViT-S/8 at 128 x 128",
    "epochs": 800,
    "warmup_epochs": 1,
    "augmentation_arguments": {
        "global_views": 4,
        "local_views": 0,
        "area": (0.08, 1.0),
        "jitter": (0.8, 0.8, 0.8, 0.2),
        "blur": 0.0,
    },
}
LARGE_VIEWS: dict[str, Any] = {
    "local_views": 6,
    "area": (0.3, 1.0),
    "local_area": (0.05, 0.3),
    "jitter": (0.4, 0.4, 0.2, 0.1),
    "blur": 0.5,
    "solarize": 0.2,
}
# torchvision's MLP with batch norm.
HEAD: dict[str, Any] = {
    "hidden_units": (2048, 2048),
    "hidden_bias": True,
    "hidden_norm": True,
    "output_bias": True,
}

LEJEPA_SMALL = Recipe(
    **CONSTANTS,
    **SMALL,
    method="LeJEPA",
    batch_size=256,
    optimizer_class=AdamW,
    base_learning_rate=2e-3,
    warmup_start=2e-5,
    final_learning_rate=1e-3,
    method_arguments={"weight": 0.02, "num_slices": 256, "num_global": 4},
    projector={"units": 16, **HEAD},
    sources=from_source(
        _MINIMAL,
        images="chosen here: the authors' images are of 128 pixels",
        reference_batch="no effect without scaling",
        scaling="none in the authors' code",
        **{
            "augmentation_arguments.blur": (
                "chosen here, as usual for small images; MINIMAL.md has 0.5"
            ),
        },
    ),
    notes="The authors train in bfloat16.",
)

LEJEPA_IMAGENET = Recipe(
    **CONSTANTS,
    method="LeJEPA",
    images="ImageNet (224 x 224)",
    encoder="ViT-L/14",
    epochs=100,
    batch_size=512,
    optimizer_class=AdamW,
    base_learning_rate=5e-4,
    warmup_epochs=1,
    warmup_start=5e-6,
    final_learning_rate=5e-7,
    method_arguments={"weight": 0.05, "num_slices": 1024, "num_global": 2},
    projector={"units": 512, **HEAD},
    augmentation_arguments={"global_views": 2, **LARGE_VIEWS},
    sources=from_source(
        _README,
        batch_size=_ABLATION,
        weight_decay=f"{_README}: 5e-4 for ResNets",
        reference_batch="no effect without scaling",
        scaling="none in the authors' code",
        warmup_epochs=f"{_MINIMAL}; README: a linear warm-up",
        warmup_start=f"a hundredth of the peak: {_MINIMAL}",
        final_learning_rate=f"a thousandth of the peak: {_README}",
        projector=f"form: {_MINIMAL}; units: {_ABLATION}",
        **{"method_arguments.weight": _ABLATION},
    ),
    notes="The authors train in bfloat16; their ablation drops 30 % of the patches.",
)

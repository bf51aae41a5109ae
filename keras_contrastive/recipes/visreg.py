"""VISReg's recipes: Wu et al., 2026, https://arxiv.org/abs/2606.02572."""

from keras_contrastive.optimizers import AdamW, no_scaling
from keras_contrastive.recipes.recipe import Recipe, from_source

_VISREG = "HaiyuWu/visreg 074fb51"
_NOTES = (
    "The authors clip the gradient of the global batch, here each replica clips its "
    "own. They train in bfloat16."
)

_SOURCES = {
    "optimizer_class": f"{_VISREG}, train.py",
    "weight_decay": f"{_VISREG}, train.py",
    "reference_batch": "no effect without scaling",
    "scaling": "none in the authors' code",
    "warmup_start": f"{_VISREG}, train.py: a thousandth of the peak",
    "projector": f"{_VISREG}, visreg/models/vit_encoder.py; units: configs",
    "augmentation_arguments": f"{_VISREG}, visreg/data; numbers and sizes: configs",
    "method_arguments.num_slices": f"{_VISREG}, configs/loss/visreg.yaml",
}

# torchvision's MLP with batch norm.
_HEAD = {
    "hidden_units": (2048, 2048),
    "hidden_bias": True,
    "hidden_norm": True,
    "output_bias": True,
}

VISREG_SMALL = Recipe(
    method="VISReg",
    images="small images (32 x 32)",
    encoder="ViT-S/8 at 128 x 128",
    epochs=800,
    batch_size=64,
    optimizer_class=AdamW,
    optimizer_arguments={"global_clipnorm": 1.0},
    optimizer_momentum=None,
    weight_decay=5e-2,
    base_learning_rate=1e-3,
    scaling=no_scaling,
    warmup_epochs=1,
    warmup_start=1e-6,
    final_learning_rate=1e-6,
    method_arguments={"weight": 0.6, "num_slices": 4096, "num_global": 4},
    projector={"units": 128, **_HEAD},
    augmentation="lejepa",
    augmentation_arguments={
        "global_views": 4,
        "local_views": 0,
        "area": (0.08, 1.0),
        "jitter": (0.8, 0.8, 0.8, 0.2),
        "blur": 0.0,
    },
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
    method="VISReg",
    images="ImageNet (224 x 224)",
    encoder="ViT-B/16",
    epochs=100,
    batch_size=128,
    optimizer_class=AdamW,
    optimizer_arguments={"global_clipnorm": 1.0},
    optimizer_momentum=None,
    weight_decay=5e-2,
    base_learning_rate=9e-4,
    scaling=no_scaling,
    warmup_epochs=5,
    warmup_start=9e-7,
    final_learning_rate=9e-7,
    method_arguments={"weight": 0.9, "num_slices": 4096, "num_global": 4},
    projector={"units": 256, **_HEAD},
    augmentation="lejepa",
    augmentation_arguments={
        "global_views": 4,
        "local_views": 6,
        "local_size": 96,
        "area": (0.3, 1.0),
        "local_area": (0.05, 0.3),
        "jitter": (0.4, 0.4, 0.2, 0.1),
        "blur": 0.5,
        "solarize": 0.2,
    },
    sources=from_source(
        f"{_VISREG}, configs/default.yaml",
        epochs=f"{_VISREG}, configs/default.yaml; 400 for the published weights",
        batch_size=f"{_VISREG}: 16 per GPU, and 8 GPUs in the README",
        **_SOURCES,
    ),
    notes=f"{_NOTES} Their projector has GELU in place of ReLU.",
)

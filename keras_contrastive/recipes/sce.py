"""SCE's recipes: Denize et al., 2023, https://arxiv.org/abs/2111.14585."""

from keras_contrastive.optimizers import LARS, CoupledSGD
from keras_contrastive.recipes.recipe import Recipe, from_source

_SCE = "CEA-LIST/SCE 07cbe63"

SCE_SMALL = Recipe(
    method="SCE",
    images="small images (32 x 32)",
    encoder="ResNet-18, small-image stem",
    epochs=200,
    batch_size=256,
    optimizer_class=CoupledSGD,
    weight_decay=5e-4,
    base_learning_rate=0.06,
    warmup_epochs=5,
    method_arguments={
        "temperature": 0.1,
        "target_temperature": 0.05,
        "coefficient": 0.5,
        "queue_size": 4096,
        "symmetric": False,
    },
    projector={
        "units": 128,
        "hidden_units": (512,),
        "hidden_bias": False,
        "hidden_norm": True,
        "output_bias": True,
    },
    target_momentum={"start": 0.99, "end": 0.99, "schedule": "constant"},
    augmentation="sce",
    augmentation_arguments={"blur": 0.5, "area": (0.2, 1.0)},
    sources=from_source(
        f"Denize et al. 2023; {_SCE}, CIFAR",
        scaling="learning rate stated per 256 images",
        augmentation=f"{_SCE}, CIFAR: weak view for the target, strong view online",
    ),
    notes=(
        "All variables are decayed. The authors' warm-up divides by W - 1 steps, the "
        "target's batch norm sees eight simulated splits of a permuted batch, and the "
        'own key is not masked as in the paper: self_logit="zero".'
    ),
)

SCE_IMAGENET = Recipe(
    method="SCE",
    images="ImageNet (224 x 224)",
    encoder="ResNet-50",
    epochs=200,
    batch_size=4096,
    optimizer_class=LARS,
    optimizer_arguments={"trust_coefficient": 0.001},
    weight_decay=1e-6,
    base_learning_rate=0.3,
    warmup_epochs=10,
    method_arguments={
        "temperature": 0.1,
        "target_temperature": 0.07,
        "coefficient": 0.5,
        "queue_size": 65536,
        "symmetric": True,
    },
    projector={
        "units": 256,
        "hidden_units": (2048, 2048),
        "hidden_bias": False,
        "hidden_norm": True,
        "output_bias": False,
        "output_norm": True,
        "output_scale": False,
        "output_center": False,
    },
    predictor={
        "units": 256,
        "hidden_units": (4096,),
        "hidden_bias": False,
        "hidden_norm": True,
        "output_bias": False,
    },
    target_momentum={"start": 0.99, "end": 1.0, "schedule": "cosine"},
    augmentation="byol",
    augmentation_arguments={"area": (0.2, 1.0)},
    sources=from_source(
        f"Denize et al. 2023; {_SCE}, ImageNet",
        epochs=f"{_SCE}, ImageNet: 100, 200, 300 or 1000",
        weight_decay=f"{_SCE}, ImageNet: 1.5e-6 for 1000 epochs",
        base_learning_rate=f"{_SCE}, ImageNet: 0.6 for 100 epochs",
        scaling="learning rate stated per 256 images",
        projector=f"{_SCE}, ImageNet: hidden width 4096 with multi-crop",
        augmentation=f"{_SCE}, ImageNet: as BYOL, but for the crop area",
    ),
    notes=(
        "The authors' warm-up divides by W - 1 steps, their target momentum by one "
        'step less than the run has, and the own key is not masked: self_logit="zero".'
    ),
)

"""What the small-image recipes that come from solo-learn share."""

from typing import Any

from keras_contrastive.optimizers import LARS
from keras_contrastive.recipes.recipe import from_source

SOURCE = "solo-learn 9187ea3, CIFAR-10 / CIFAR-100 configuration"

CONSTANTS: dict[str, Any] = {
    "images": "small images (32 x 32)",
    "encoder": "ResNet-18, small-image stem",
    "epochs": 1000,
    "batch_size": 256,
    "optimizer_class": LARS,
    "optimizer_arguments": {"trust_coefficient": 0.02, "clip_trust_ratio": True},
    "warmup_epochs": 10,
    "warmup_start": 3e-5,
    "notes": (
        "solo-learn's LARS divides by |g| + weight_decay * |w|, this one by "
        "|g + weight_decay * w|. Its published accuracies are of an online classifier."
    ),
}

# The asymmetric policy and the head without batch norm of several methods.
ASYMMETRIC: dict[str, Any] = {
    "augmentation": "byol",
    "augmentation_arguments": {
        "blur": (0.0, 0.0),
        "solarize": (0.0, 0.2),
        "area": (0.08, 1.0),
    },
}
HEAD: dict[str, Any] = {
    "units": 256,
    "hidden_units": (2048,),
    "hidden_bias": True,
    "hidden_norm": False,
    "output_bias": True,
}


def sources(**exceptions: str) -> dict[str, str]:
    """Return solo-learn as the source of all constants, but for `exceptions`."""
    scaling = "learning rate stated per 256 images"
    return from_source(SOURCE, scaling=scaling, **exceptions)

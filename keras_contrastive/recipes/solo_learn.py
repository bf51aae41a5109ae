"""What the small-image recipes that come from solo-learn share."""

from keras_contrastive.optimizers import LARS
from keras_contrastive.recipes.recipe import from_source

SOURCE = "solo-learn 9187ea3, CIFAR-10 / CIFAR-100 configuration"

CONSTANTS = {
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


def sources(**exceptions: str) -> dict[str, str]:
    """Return solo-learn as the source of all constants, but for `exceptions`."""
    scaling = "learning rate stated per 256 images"
    return from_source(SOURCE, scaling=scaling, **exceptions)

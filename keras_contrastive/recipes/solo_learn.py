"""What the small-image recipes that come from solo-learn share."""

SOURCE = "solo-learn 9187ea3, CIFAR-10 / CIFAR-100 configuration"

CLIPPED_LARS = {"trust_coefficient": 0.02, "clip_trust_ratio": True}
CLIPPED_LARS_NOTE = (
    "solo-learn's LARS divides by |g| + weight_decay * |w|, this one by "
    "|g + weight_decay * w|. Its published accuracies are of an online classifier."
)

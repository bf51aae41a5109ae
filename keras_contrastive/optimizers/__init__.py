from keras_contrastive.optimizers.adamw import AdamW
from keras_contrastive.optimizers.coupled_sgd import CoupledSGD
from keras_contrastive.optimizers.lars import LARS
from keras_contrastive.optimizers.warmup_cosine import (
    WarmupCosine,
    linear_scaling,
    no_scaling,
    square_root_scaling,
)

__all__ = [
    "LARS",
    "AdamW",
    "CoupledSGD",
    "WarmupCosine",
    "linear_scaling",
    "no_scaling",
    "square_root_scaling",
]

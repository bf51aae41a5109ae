"""Decoupled SimCLR's recipes: Yeh et al., 2021, https://arxiv.org/abs/2110.06848."""

import dataclasses

from keras_contrastive.losses.dcl_loss import DCLLoss
from keras_contrastive.recipes.simclr import SIMCLR_IMAGENET, SIMCLR_SMALL

_DCL = "Yeh et al. 2021; raminnakhli/Decoupled-Contrastive-Learning 0b9b76d"
_SIMCLR = "chosen here: as SimCLR's recipe"

# All but what stands here is SimCLR's, with SimCLR's sources.
DCL_SMALL = dataclasses.replace(
    SIMCLR_SMALL,
    loss_class=DCLLoss,
    loss_arguments={"temperature": 0.2, "weighted": False},
    sources={
        **SIMCLR_SMALL.sources,
        "method_arguments": _SIMCLR,
        "loss_class": _DCL,
        "loss_arguments": f"{_DCL}; temperature {_SIMCLR}",
    },
    notes=(
        f"{SIMCLR_SMALL.notes} The authors of the loss train CIFAR-10 with Adam at "
        "0.001 and batches of 512, and sum both directions."
    ),
)

DCL_IMAGENET = dataclasses.replace(
    SIMCLR_IMAGENET,
    epochs=200,
    batch_size=256,
    loss_class=DCLLoss,
    loss_arguments={"temperature": 0.1, "weighted": False},
    sources={
        **SIMCLR_IMAGENET.sources,
        "epochs": "Yeh et al. 2021, abstract: 68.2 % top-1",
        "batch_size": "Yeh et al. 2021, abstract: 68.2 % top-1",
        "method_arguments": f"{_DCL}: the code's default",
        "loss_class": _DCL,
        "loss_arguments": f"{_DCL}: the code's defaults",
    },
    notes="Optimizer, head and policy are SimCLR's: this package's choice.",
)

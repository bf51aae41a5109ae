"""Contrastive and self-supervised image representation learning for Keras 3."""

import keras

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        "keras_contrastive needs the TensorFlow backend of Keras. "
        f"Received: backend={keras.backend.backend()!r}. Set the environment variable "
        "KERAS_BACKEND=tensorflow before Python starts, or the key `backend` in "
        "~/.keras/keras.json."
    )

from keras_contrastive import (  # noqa: E402
    augmentations,
    callbacks,
    data,
    encoders,
    evaluation,
    export,
    layers,
    losses,
    mutual_information,
    optimizers,
    recipes,
    report,
    zoo,
)
from keras_contrastive._version import __version__  # noqa: E402
from keras_contrastive.methods import (  # noqa: E402
    AMDIM,
    BYOL,
    CMC,
    CPC,
    DIM,
    DINO,
    MMCL,
    NNCLR,
    PCL,
    PIRL,
    SCE,
    AlignUniform,
    BarlowTwins,
    Batch,
    ContrastiveModel,
    Distillation,
    InstanceDiscrimination,
    LeJEPA,
    MoCo,
    Needs,
    SimCLR,
    SimSiam,
    SupCon,
    SwAV,
    VICReg,
    VISReg,
)
from keras_contrastive.zoo import (  # noqa: E402
    from_preset,
    list_presets,
    save_to_preset,
)

__all__ = [
    "AMDIM",
    "AlignUniform",
    "VICReg",
    "BYOL",
    "CPC",
    "CMC",
    "DIM",
    "DINO",
    "MMCL",
    "NNCLR",
    "PCL",
    "PIRL",
    "SCE",
    "BarlowTwins",
    "Batch",
    "ContrastiveModel",
    "Distillation",
    "InstanceDiscrimination",
    "LeJEPA",
    "MoCo",
    "Needs",
    "SimCLR",
    "SimSiam",
    "SupCon",
    "SwAV",
    "VISReg",
    "__version__",
    "augmentations",
    "callbacks",
    "data",
    "encoders",
    "evaluation",
    "export",
    "from_preset",
    "layers",
    "list_presets",
    "losses",
    "mutual_information",
    "optimizers",
    "recipes",
    "report",
    "save_to_preset",
    "zoo",
]

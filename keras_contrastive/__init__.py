"""Contrastive and self-supervised image representation learning for Keras 3."""

import importlib
import typing

import keras

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        "keras_contrastive needs the TensorFlow backend of Keras. "
        f"Received: backend={keras.backend.backend()!r}. Set the environment variable "
        "KERAS_BACKEND=tensorflow before Python starts, or the key `backend` in "
        "~/.keras/keras.json."
    )

from keras_contrastive import (  # noqa: E402
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
    Exemplar,
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

if typing.TYPE_CHECKING:
    from keras_contrastive import augmentations

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
    "Exemplar",
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


def __getattr__(name):
    if name != "augmentations":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")  # with keras-cv: later

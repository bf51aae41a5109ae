from keras_contrastive.methods.batch import Batch, Needs
from keras_contrastive.methods.byol import BYOL
from keras_contrastive.methods.contrastive_model import ContrastiveModel
from keras_contrastive.methods.sce import SCE
from keras_contrastive.methods.simclr import SimCLR
from keras_contrastive.methods.supcon import SupCon

__all__ = [
    "BYOL",
    "SCE",
    "Batch",
    "ContrastiveModel",
    "Needs",
    "SimCLR",
    "SupCon",
]

from keras_contrastive.methods.byol import BYOL
from keras_contrastive.methods.contrastive_model import ContrastiveModel
from keras_contrastive.methods.sce import SCE
from keras_contrastive.methods.simclr import SimCLR
from keras_contrastive.methods.supcon import SupCon

__all__ = ["BYOL", "SCE", "ContrastiveModel", "SimCLR", "SupCon"]

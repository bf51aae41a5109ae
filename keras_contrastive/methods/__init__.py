from keras_contrastive.methods.align_uniform import AlignUniform
from keras_contrastive.methods.amdim import AMDIM
from keras_contrastive.methods.barlow_twins import BarlowTwins
from keras_contrastive.methods.batch import Batch, Needs
from keras_contrastive.methods.byol import BYOL
from keras_contrastive.methods.cmc import CMC
from keras_contrastive.methods.contrastive_model import ContrastiveModel
from keras_contrastive.methods.cpc import CPC
from keras_contrastive.methods.dim import DIM
from keras_contrastive.methods.dino import DINO
from keras_contrastive.methods.distillation import Distillation
from keras_contrastive.methods.exemplar import Exemplar
from keras_contrastive.methods.instance_discrimination import InstanceDiscrimination
from keras_contrastive.methods.lejepa import LeJEPA
from keras_contrastive.methods.mmcl import MMCL
from keras_contrastive.methods.moco import MoCo
from keras_contrastive.methods.nnclr import NNCLR
from keras_contrastive.methods.pcl import PCL
from keras_contrastive.methods.pirl import PIRL
from keras_contrastive.methods.sce import SCE
from keras_contrastive.methods.simclr import SimCLR
from keras_contrastive.methods.simsiam import SimSiam
from keras_contrastive.methods.supcon import SupCon
from keras_contrastive.methods.swav import SwAV
from keras_contrastive.methods.vicreg import VICReg
from keras_contrastive.methods.visreg import VISReg

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
]

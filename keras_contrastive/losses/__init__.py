from keras_contrastive.losses.align_uniform_loss import AlignUniformLoss
from keras_contrastive.losses.amdim_loss import AMDIMLoss
from keras_contrastive.losses.barlow_twins_loss import BarlowTwinsLoss
from keras_contrastive.losses.byol_loss import BYOLLoss
from keras_contrastive.losses.contrastive_loss import ContrastiveLoss
from keras_contrastive.losses.cpc_loss import CPCLoss
from keras_contrastive.losses.dcl_loss import DCLLoss
from keras_contrastive.losses.dim_loss import DIMLoss
from keras_contrastive.losses.dino_loss import DINOLoss
from keras_contrastive.losses.distillation_loss import DistillationLoss
from keras_contrastive.losses.exemplar_loss import ExemplarLoss
from keras_contrastive.losses.info_nce_loss import InfoNCELoss
from keras_contrastive.losses.lejepa_loss import LeJEPALoss, sigreg
from keras_contrastive.losses.mmcl_loss import MMCLLoss
from keras_contrastive.losses.nce_loss import NCELoss
from keras_contrastive.losses.negative_cosine_loss import NegativeCosineLoss
from keras_contrastive.losses.nt_xent_loss import NTXentLoss
from keras_contrastive.losses.proto_nce_loss import ProtoNCELoss
from keras_contrastive.losses.sce_loss import SCELoss
from keras_contrastive.losses.sinkhorn import sinkhorn
from keras_contrastive.losses.supcon_loss import SupConLoss
from keras_contrastive.losses.swav_loss import SwAVLoss
from keras_contrastive.losses.vicreg_loss import VICRegLoss
from keras_contrastive.losses.visreg_loss import VISRegLoss

__all__ = [
    "AMDIMLoss",
    "AlignUniformLoss",
    "CPCLoss",
    "DIMLoss",
    "VICRegLoss",
    "BYOLLoss",
    "BarlowTwinsLoss",
    "ContrastiveLoss",
    "DINOLoss",
    "DCLLoss",
    "DistillationLoss",
    "ExemplarLoss",
    "InfoNCELoss",
    "LeJEPALoss",
    "MMCLLoss",
    "NCELoss",
    "NTXentLoss",
    "NegativeCosineLoss",
    "ProtoNCELoss",
    "SCELoss",
    "SupConLoss",
    "SwAVLoss",
    "VISRegLoss",
    "sigreg",
    "sinkhorn",
]

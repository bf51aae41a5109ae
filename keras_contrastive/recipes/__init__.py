"""What each paper trained with: optimizer, schedule, heads, every constant's source.

    print(kc.recipes.BYOL_IMAGENET)
    model = kc.recipes.BYOL_IMAGENET.model(encoder)
    policy = kc.recipes.BYOL_IMAGENET.policy(224)
    shorter = dataclasses.replace(kc.recipes.BYOL_IMAGENET, epochs=300)

"recalled, unchecked" marks a constant that nobody has looked up again; "chosen here"
one for which the paper and its code give no value.
"""

from keras_contrastive.recipes.align_uniform import (
    ALIGN_UNIFORM_IMAGENET,
    ALIGN_UNIFORM_SMALL,
)
from keras_contrastive.recipes.amdim import AMDIM_IMAGENET, AMDIM_SMALL
from keras_contrastive.recipes.barlow_twins import (
    BARLOW_TWINS_IMAGENET,
    BARLOW_TWINS_SMALL,
)
from keras_contrastive.recipes.byol import BYOL_IMAGENET, BYOL_SMALL
from keras_contrastive.recipes.cmc import CMC_IMAGENET, CMC_SMALL
from keras_contrastive.recipes.cpc import CPC_IMAGENET, CPC_SMALL
from keras_contrastive.recipes.dcl import DCL_IMAGENET, DCL_SMALL
from keras_contrastive.recipes.dim import DIM_SMALL
from keras_contrastive.recipes.dino import DINO_IMAGENET, DINO_SMALL
from keras_contrastive.recipes.exemplar import EXEMPLAR_IMAGENET, EXEMPLAR_SMALL
from keras_contrastive.recipes.instance_discrimination import (
    INSTANCE_DISCRIMINATION_IMAGENET,
)
from keras_contrastive.recipes.lejepa import LEJEPA_IMAGENET, LEJEPA_SMALL
from keras_contrastive.recipes.mmcl import MMCL_IMAGENET, MMCL_SMALL
from keras_contrastive.recipes.moco import (
    INFOMIN_IMAGENET,
    MOCO_SMALL,
    MOCO_V1_IMAGENET,
    MOCO_V2_IMAGENET,
    MOCO_V3_IMAGENET,
    MOCO_V3_SMALL,
    MOCO_V3_VIT_IMAGENET,
)
from keras_contrastive.recipes.nnclr import NNCLR_IMAGENET, NNCLR_SMALL
from keras_contrastive.recipes.pcl import (
    PCL_SMALL,
    PCL_V1_IMAGENET,
    PCL_V2_IMAGENET,
)
from keras_contrastive.recipes.pirl import PIRL_IMAGENET, PIRL_SMALL
from keras_contrastive.recipes.recipe import Recipe
from keras_contrastive.recipes.sce import SCE_IMAGENET, SCE_SMALL
from keras_contrastive.recipes.simclr import SIMCLR_IMAGENET, SIMCLR_SMALL
from keras_contrastive.recipes.simsiam import SIMSIAM_IMAGENET, SIMSIAM_SMALL
from keras_contrastive.recipes.supcon import SUPCON_IMAGENET, SUPCON_SMALL
from keras_contrastive.recipes.swav import SWAV_IMAGENET, SWAV_SMALL
from keras_contrastive.recipes.vicreg import VICREG_IMAGENET, VICREG_SMALL
from keras_contrastive.recipes.visreg import VISREG_IMAGENET, VISREG_SMALL

__all__ = [
    "ALIGN_UNIFORM_IMAGENET",
    "ALIGN_UNIFORM_SMALL",
    "AMDIM_IMAGENET",
    "AMDIM_SMALL",
    "VICREG_IMAGENET",
    "VICREG_SMALL",
    "BARLOW_TWINS_IMAGENET",
    "BARLOW_TWINS_SMALL",
    "BYOL_IMAGENET",
    "BYOL_SMALL",
    "CPC_IMAGENET",
    "CPC_SMALL",
    "CMC_IMAGENET",
    "CMC_SMALL",
    "DCL_IMAGENET",
    "DCL_SMALL",
    "DIM_SMALL",
    "DINO_IMAGENET",
    "DINO_SMALL",
    "EXEMPLAR_IMAGENET",
    "EXEMPLAR_SMALL",
    "INFOMIN_IMAGENET",
    "INSTANCE_DISCRIMINATION_IMAGENET",
    "LEJEPA_IMAGENET",
    "LEJEPA_SMALL",
    "MMCL_IMAGENET",
    "MMCL_SMALL",
    "MOCO_SMALL",
    "MOCO_V1_IMAGENET",
    "MOCO_V2_IMAGENET",
    "MOCO_V3_IMAGENET",
    "MOCO_V3_SMALL",
    "MOCO_V3_VIT_IMAGENET",
    "NNCLR_IMAGENET",
    "NNCLR_SMALL",
    "PCL_SMALL",
    "PCL_V1_IMAGENET",
    "PCL_V2_IMAGENET",
    "PIRL_IMAGENET",
    "PIRL_SMALL",
    "SCE_IMAGENET",
    "SCE_SMALL",
    "SIMCLR_IMAGENET",
    "SIMCLR_SMALL",
    "SIMSIAM_IMAGENET",
    "SIMSIAM_SMALL",
    "SUPCON_IMAGENET",
    "SUPCON_SMALL",
    "SWAV_IMAGENET",
    "SWAV_SMALL",
    "VISREG_IMAGENET",
    "VISREG_SMALL",
    "Recipe",
]

"""VICReg's recipes: Bardes et al., 2022, https://arxiv.org/abs/2105.04906."""

from keras_contrastive.recipes import solo_learn
from keras_contrastive.recipes.barlow_twins import IMAGENET
from keras_contrastive.recipes.recipe import Recipe, from_source

_VICREG = "Bardes et al. 2022; facebookresearch/vicreg 4e12602"
_SOLO = solo_learn.SOURCE

VICREG_SMALL = Recipe(
    **solo_learn.CONSTANTS,
    method="VICReg",
    weight_decay=1e-4,
    base_learning_rate=0.3,
    method_arguments={"invariance": 25.0, "variance": 25.0, "covariance": 1.0},
    projector={
        "units": 2048,
        "hidden_units": (2048, 2048),
        "hidden_bias": True,
        "hidden_norm": True,
        "output_bias": False,
    },
    augmentation="byol",
    augmentation_arguments={
        "blur": (0.0, 0.0),
        "solarize": (0.1, 0.1),
        "area": (0.2, 1.0),
    },
    sources=solo_learn.sources(
        method_arguments=f"{_VICREG}; {_SOLO}, whose variance counts twice",
        projector=f"widths: {_SOLO}; form: {_VICREG}",
    ),
)

VICREG_IMAGENET = Recipe(
    **IMAGENET,
    method="VICReg",
    method_arguments={"invariance": 25.0, "variance": 25.0, "covariance": 1.0},
    projector={
        "units": 8192,
        "hidden_units": (8192, 8192),
        "hidden_bias": True,
        "hidden_norm": True,
        "output_bias": False,
    },
    sources=from_source(
        _VICREG,
        base_learning_rate=f"{_VICREG}; 0.3 for 100 epochs and a batch of 512",
        final_learning_rate=f"{_VICREG}: a thousandth of the peak at 2,048",
    ),
)

"""CPC's recipes: van den Oord et al., 2018; Henaff et al., 2019 (version 2).

https://arxiv.org/abs/1807.03748, https://arxiv.org/abs/1905.09272
"""

from keras.optimizers import Adam

from keras_contrastive.optimizers import no_scaling
from keras_contrastive.recipes.recipe import Recipe, from_source

_RECALLED = "Henaff et al. 2019 (recalled, unchecked)"
_LISTING = "Henaff et al. 2019, appendix, listing"
_CHOSEN = "chosen here"
_HEAD = {"units": 64, "hidden_units": (), "output_bias": True}

CPC_IMAGENET = Recipe(
    method="CPC",
    images="ImageNet (260 x 260)",
    encoder="ResNet-161 with layer norm, on 6 x 6 patches of 80 x 80, 36 pixels apart",
    epochs=200,
    batch_size=512,
    optimizer_class=Adam,
    optimizer_arguments={"beta_1": 0.8, "beta_2": 0.999, "epsilon": 1e-8},
    optimizer_momentum=None,
    weight_decay=0.0,
    base_learning_rate=4e-4,
    scaling=no_scaling,
    warmup_epochs=0,
    final_learning_rate=4e-4,
    method_arguments={"offsets": [3], "candidates": "all", "scale": 0.1},
    projector=_HEAD,
    augmentation="cpc",
    augmentation_arguments={"area": (0.08, 1.0)},
    sources=from_source(
        _RECALLED,
        method_arguments=_LISTING,
        projector=_LISTING,
        augmentation_arguments=_CHOSEN,
        reference_batch="no effect without scaling",
    ),
    notes=(
        "The authors predict in four directions, augment each patch by itself and "
        "average weights; here patches are predicted downwards, and an image is "
        "augmented as a whole. Version 1 (2018): 7 x 7 patches of 64 x 64, 32 pixels "
        "apart, offsets 1 to 5, Adam at 2e-4 (recalled, unchecked)."
    ),
)

CPC_SMALL = Recipe(
    method="CPC",
    images="small images (32 x 32)",
    encoder="ResNet-18 with layer norm, on 7 x 7 patches of 8 x 8, 4 pixels apart",
    epochs=200,
    batch_size=256,
    optimizer_class=Adam,
    optimizer_momentum=None,
    weight_decay=0.0,
    base_learning_rate=1e-3,
    scaling=no_scaling,
    warmup_epochs=5,
    method_arguments={"offsets": [2, 3], "candidates": "all", "scale": 0.1},
    projector=_HEAD,
    augmentation="cpc",
    augmentation_arguments={"area": (0.2, 1.0)},
    sources=from_source(
        _CHOSEN,
        reference_batch="no effect without scaling",
        projector=f"chosen here: {_LISTING}",
        **{
            "method_arguments.offsets": (
                "chosen here: patches of half a side's stride overlap at offset 1"
            ),
            "method_arguments.candidates": f"chosen here: {_LISTING}",
            "method_arguments.scale": f"chosen here: {_LISTING}",
        },
    ),
    notes="No number of CPC's authors is of small images.",
)

"""DIM's recipe: Hjelm et al., 2019, https://arxiv.org/abs/1808.06670."""

from keras.optimizers import Adam

from keras_contrastive.layers.residual_head import ResidualHead
from keras_contrastive.optimizers import no_scaling
from keras_contrastive.recipes.recipe import Recipe, from_source

_DIM = "Hjelm et al. 2019; rdevon/DIM bac4765"
_RECALLED = "Hjelm et al. 2019 (recalled, unchecked)"

DIM_SMALL = Recipe(
    method="DIM",
    images="small images (32 to 64 pixels)",
    encoder="three convolutions and a dense layer (CIFAR), AlexNet (STL-10)",
    epochs=1000,
    batch_size=64,
    optimizer_class=Adam,
    optimizer_momentum=None,
    weight_decay=0.0,
    base_learning_rate=1e-4,
    reference_batch=64,
    scaling=no_scaling,
    warmup_epochs=0,
    method_arguments={
        "global_weight": 0.0,
        "local_weight": 1.0,
        "prior_weight": 0.1,
        "prior_units": 64,
        "estimator": "jsd",
    },
    projector_class=ResidualHead,
    projector={"units": 2048, "hidden_norm": True, "layer_norm": True},
    augmentation="dim",
    augmentation_arguments={"area": (0.4, 1.0)},
    sources=from_source(
        _DIM,
        weight_decay="chosen here: the authors' code names none",
        scaling="chosen here: Adam's rate does not follow the batch",
        final_learning_rate="chosen here: the authors' rate is constant",
        method_arguments=_RECALLED,
        augmentation="chosen here: the authors flip STL-10, and CIFAR is not changed",
        augmentation_arguments="chosen here: 64 of STL-10's 96 pixels are 0.44",
    ),
    notes=(
        "The weights are those of DIM(L). The authors' rate is constant, here it "
        "follows a cosine, as it should in short runs."
    ),
)

"""Instance discrimination's recipe: Wu et al., 2018, https://arxiv.org/abs/1805.01978."""

from keras_contrastive.optimizers import CoupledSGD
from keras_contrastive.recipes.recipe import Recipe, from_source

_WU = "Wu et al. 2018 (recalled, unchecked)"
_CMC = "HobbitLong/CMC 7b227be"

INSTANCE_DISCRIMINATION_IMAGENET = Recipe(
    method="InstanceDiscrimination",
    images="ImageNet (224 x 224)",
    encoder="ResNet-50",
    epochs=200,
    batch_size=256,
    optimizer_class=CoupledSGD,
    weight_decay=1e-4,
    base_learning_rate=0.03,
    warmup_epochs=0,
    method_arguments={"num_negatives": 4096, "temperature": 0.07, "bank_momentum": 0.5},
    projector={"units": 128, "hidden_units": (), "output_bias": True},
    augmentation="instance_discrimination",
    augmentation_arguments={"area": (0.2, 1.0)},
    sources=from_source(
        _WU,
        **{
            "method_arguments.temperature": f"Wu et al. 2018; {_CMC}",
            "method_arguments.bank_momentum": f"Wu et al. 2018; {_CMC}",
        },
    ),
    notes=(
        "All variables are decayed. The authors lower the learning rate to a tenth "
        "at epochs 120 and 160; here it follows a cosine."
    ),
)

"""PCL's recipes: Li et al., 2021, https://arxiv.org/abs/2005.04966."""

import dataclasses
from typing import Any

from keras_contrastive.recipes.moco import (
    MOCO_SMALL,
    MOCO_V1_IMAGENET,
    MOCO_V2_IMAGENET,
)

_PCL = "Li et al. 2021; salesforce/PCL 964da1f"
_MOCO = "as MoCo's recipe for small images"
_ARGUMENTS: dict[str, Any] = {
    "temperature": 0.2,
    "queue_size": 16384,
    "symmetric": False,
    "num_clusters": [25_000, 50_000, 100_000],
    "num_negatives": 16384,
}
_NOTES = (
    "Clusters from epoch 20 on: ClusterFeatures(images, first_epoch=20), with 20 steps "
    "and 5 starts of k-means, the callback's defaults."
)


def _of_moco(recipe, **changes):
    """MoCo's constants, which the authors' code has, and PCL's own."""
    return dataclasses.replace(
        recipe,
        method="PCL",
        sources=dict.fromkeys(recipe.sources, _PCL)
        | {"warmup_limit": recipe.sources["warmup_limit"]},
        **changes,
    )


PCL_V1_IMAGENET = _of_moco(
    MOCO_V1_IMAGENET,
    method_arguments={"version": 1, **_ARGUMENTS},
    notes=f"{_NOTES} {MOCO_V1_IMAGENET.notes}",
)

PCL_V2_IMAGENET = _of_moco(
    MOCO_V2_IMAGENET,
    method_arguments={"version": 2, **_ARGUMENTS},
    notes=f"{_NOTES} {MOCO_V2_IMAGENET.notes}",
)

PCL_SMALL = dataclasses.replace(
    MOCO_SMALL,
    method="PCL",
    method_arguments={
        **MOCO_SMALL.method_arguments,
        "num_clusters": [1000, 2500, 5000],
        "num_negatives": 1024,
        "queue_size": 16384,
    },
    sources={
        **dict.fromkeys(MOCO_SMALL.sources, f"chosen here: {_MOCO}"),
        "method_arguments": (
            f"chosen here: {_MOCO}, and clusters of 10 to 50 images of CIFAR-10"
        ),
    },
    notes=f"No number of PCL's authors is of small images. {_NOTES}",
)

import importlib
import typing

import keras

from keras_contrastive.layers.causal_context import CausalConvolutions, ColumnGRU
from keras_contrastive.layers.classification_head import ClassificationHead
from keras_contrastive.layers.clustering import Clustering
from keras_contrastive.layers.color_spaces import RGBToLab, RGBToYDbDr
from keras_contrastive.layers.dino_head import DINOHead
from keras_contrastive.layers.feature_queue import FeatureQueue
from keras_contrastive.layers.gradient_reversal import GradientReversal
from keras_contrastive.layers.jigsaw import Jigsaw
from keras_contrastive.layers.memory_bank import MemoryBank
from keras_contrastive.layers.momentum_target import MomentumTarget
from keras_contrastive.layers.online_probe import OnlineProbe
from keras_contrastive.layers.part_heads import PartHeads
from keras_contrastive.layers.patches import Patches, PatchGrid
from keras_contrastive.layers.projection_head import ProjectionHead
from keras_contrastive.layers.prototypes import Prototypes
from keras_contrastive.layers.residual_head import ResidualHead
from keras_contrastive.layers.resize_and_center_crop import ResizeAndCenterCrop
from keras_contrastive.layers.running_mean import RunningMean
from keras_contrastive.layers.sync_batch_normalization import SyncBatchNormalization

if typing.TYPE_CHECKING:
    from keras_contrastive.layers.random_apply import RandomApply
    from keras_contrastive.layers.random_color_jitter import RandomColorJitter
    from keras_contrastive.layers.random_gaussian_blur import RandomGaussianBlur
    from keras_contrastive.layers.random_grayscale import RandomGrayscale
    from keras_contrastive.layers.random_resized_crop import RandomResizedCrop
    from keras_contrastive.layers.random_solarize import RandomSolarize
    from keras_contrastive.layers.views import Views

__all__ = [
    "CausalConvolutions",
    "ClassificationHead",
    "Clustering",
    "ColumnGRU",
    "DINOHead",
    "FeatureQueue",
    "Jigsaw",
    "GradientReversal",
    "MemoryBank",
    "MomentumTarget",
    "OnlineProbe",
    "PatchGrid",
    "Patches",
    "PartHeads",
    "ProjectionHead",
    "RGBToLab",
    "RGBToYDbDr",
    "Prototypes",
    "RandomApply",
    "RandomColorJitter",
    "RandomGaussianBlur",
    "RandomGrayscale",
    "RandomResizedCrop",
    "RandomSolarize",
    "ResidualHead",
    "ResizeAndCenterCrop",
    "RunningMean",
    "SyncBatchNormalization",
    "Views",
]

# Made of keras-cv's layers, whose import takes longer than all of this package's: they
# are imported when they are first used.
_LATER = {
    "RandomApply": "random_apply",
    "RandomColorJitter": "random_color_jitter",
    "RandomGaussianBlur": "random_gaussian_blur",
    "RandomGrayscale": "random_grayscale",
    "RandomResizedCrop": "random_resized_crop",
    "RandomSolarize": "random_solarize",
    "Views": "views",
}


def __getattr__(name):
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_LATER[name]}")
    return globals().setdefault(name, getattr(module, name))


class _Later:
    """Stands for a layer in Keras's registry until a model with it is loaded."""

    def __init__(self, name):
        self.name = name

    def from_config(self, config):
        """Return the layer of that configuration."""
        return __getattr__(self.name).from_config(config)


for _name in _LATER:
    keras.saving.get_custom_objects()[f"keras_contrastive>{_name}"] = _Later(_name)

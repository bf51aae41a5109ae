from keras_contrastive.callbacks.augmentation_preview import AugmentationPreview
from keras_contrastive.callbacks.best_encoder import BestEncoder
from keras_contrastive.callbacks.checkpoint import Checkpoint
from keras_contrastive.callbacks.cluster_features import ClusterFeatures
from keras_contrastive.callbacks.collapse_monitor import CollapseMonitor
from keras_contrastive.callbacks.embedding_projector import EmbeddingProjector
from keras_contrastive.callbacks.knn_evaluation import KNNEvaluation
from keras_contrastive.callbacks.linear_probe_evaluation import LinearProbeEvaluation
from keras_contrastive.callbacks.momentum_update import MomentumUpdate

__all__ = [
    "AugmentationPreview",
    "BestEncoder",
    "Checkpoint",
    "ClusterFeatures",
    "CollapseMonitor",
    "EmbeddingProjector",
    "KNNEvaluation",
    "LinearProbeEvaluation",
    "MomentumUpdate",
]

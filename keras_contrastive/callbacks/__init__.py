from keras_contrastive.callbacks.checkpoint import Checkpoint
from keras_contrastive.callbacks.cluster_features import ClusterFeatures
from keras_contrastive.callbacks.collapse_monitor import CollapseMonitor
from keras_contrastive.callbacks.knn_evaluation import KNNEvaluation
from keras_contrastive.callbacks.momentum_update import MomentumUpdate

__all__ = [
    "Checkpoint",
    "ClusterFeatures",
    "CollapseMonitor",
    "KNNEvaluation",
    "MomentumUpdate",
]

"""What features are worth: kNN, linear probe, fine-tuning, geometry."""

from keras_contrastive.evaluation.features import extract_features
from keras_contrastive.evaluation.fine_tune import build_classifier
from keras_contrastive.evaluation.geometry import alignment, effective_rank, uniformity
from keras_contrastive.evaluation.knn import knn_accuracy
from keras_contrastive.evaluation.linear_probe import linear_probe

__all__ = [
    "alignment",
    "build_classifier",
    "effective_rank",
    "extract_features",
    "knn_accuracy",
    "linear_probe",
    "uniformity",
]

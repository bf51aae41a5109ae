"""What features are worth: kNN, linear probe, fine-tuning, geometry."""

from keras_contrastive.evaluation.approximate_neighbors import approximate_neighbors
from keras_contrastive.evaluation.build_classifier import build_classifier
from keras_contrastive.evaluation.class_balanced_subset import class_balanced_subset
from keras_contrastive.evaluation.cluster_accuracy import cluster_accuracy
from keras_contrastive.evaluation.cluster_result import ClusterResult
from keras_contrastive.evaluation.evaluate_features import evaluate_features
from keras_contrastive.evaluation.evaluation_result import EvaluationResult
from keras_contrastive.evaluation.features import extract_features
from keras_contrastive.evaluation.few_label_evaluation import few_label_evaluation
from keras_contrastive.evaluation.few_label_result import FewLabelResult
from keras_contrastive.evaluation.fine_tuning import FineTuning
from keras_contrastive.evaluation.geometry import (
    alignment,
    effective_rank,
    lidar,
    rankme,
    uniformity,
)
from keras_contrastive.evaluation.information_result import InformationResult
from keras_contrastive.evaluation.judge import judge
from keras_contrastive.evaluation.judgement import Judgement
from keras_contrastive.evaluation.knn import knn_accuracy
from keras_contrastive.evaluation.linear_probe import linear_probe
from keras_contrastive.evaluation.neighbors import near_duplicates, nearest_neighbors
from keras_contrastive.evaluation.split_by_class import split_by_class
from keras_contrastive.evaluation.view_information import view_information

__all__ = [
    "ClusterResult",
    "EvaluationResult",
    "FewLabelResult",
    "FineTuning",
    "InformationResult",
    "Judgement",
    "alignment",
    "approximate_neighbors",
    "build_classifier",
    "class_balanced_subset",
    "cluster_accuracy",
    "effective_rank",
    "evaluate_features",
    "extract_features",
    "few_label_evaluation",
    "judge",
    "knn_accuracy",
    "lidar",
    "linear_probe",
    "near_duplicates",
    "nearest_neighbors",
    "rankme",
    "split_by_class",
    "uniformity",
    "view_information",
]

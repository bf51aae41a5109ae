"""Estimators of mutual information, in nats: lower bounds, critics, MINE."""

from keras_contrastive.mutual_information.bilinear_critic import BilinearCritic
from keras_contrastive.mutual_information.bounds import dv, infonce, nwj, tuba
from keras_contrastive.mutual_information.concatenated_critic import ConcatenatedCritic
from keras_contrastive.mutual_information.gan_bounds import js, smile
from keras_contrastive.mutual_information.information_estimator import (
    InformationEstimator,
)
from keras_contrastive.mutual_information.interpolated import interpolated
from keras_contrastive.mutual_information.mine import MINE
from keras_contrastive.mutual_information.separable_critic import SeparableCritic

__all__ = [
    "MINE",
    "BilinearCritic",
    "ConcatenatedCritic",
    "InformationEstimator",
    "SeparableCritic",
    "dv",
    "infonce",
    "interpolated",
    "js",
    "nwj",
    "smile",
    "tuba",
]

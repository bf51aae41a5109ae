"""Estimators of mutual information, in nats: lower bounds, critics, MINE."""

from keras_contrastive.mutual_information.bounds import dv, infonce, nwj, tuba
from keras_contrastive.mutual_information.gan_bounds import js, smile
from keras_contrastive.mutual_information.interpolated import interpolated

__all__ = ["dv", "infonce", "interpolated", "js", "nwj", "smile", "tuba"]

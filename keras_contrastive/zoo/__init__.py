"""Published encoders: list, load, check and describe them, and save your own."""

from keras_contrastive.zoo.convert import convert
from keras_contrastive.zoo.foreign_sources import SOURCES
from keras_contrastive.zoo.measure import measure
from keras_contrastive.zoo.preset import add_metrics, save_to_preset
from keras_contrastive.zoo.publish import publish
from keras_contrastive.zoo.to_torch import to_torch
from keras_contrastive.zoo.verify_numbers import verify
from keras_contrastive.zoo.zoo import describe, from_preset, list_presets, table

__all__ = [
    "SOURCES",
    "add_metrics",
    "convert",
    "describe",
    "from_preset",
    "list_presets",
    "measure",
    "publish",
    "save_to_preset",
    "table",
    "to_torch",
    "verify",
]

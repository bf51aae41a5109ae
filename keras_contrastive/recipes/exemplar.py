"""Exemplar's recipes: Zhao et al., 2020, https://arxiv.org/abs/2006.06606."""

import dataclasses

from keras_contrastive.recipes.simclr import SIMCLR_IMAGENET, SIMCLR_SMALL

_NOTES = (
    "All constants are SimCLR's, by this package's choice, so that the two differ in "
    "what they push away alone. The authors train MoCo version 2, whose queue of "
    "65,536 keys holds more negatives than a batch."
)

EXEMPLAR_SMALL = dataclasses.replace(SIMCLR_SMALL, method="Exemplar", notes=_NOTES)
EXEMPLAR_IMAGENET = dataclasses.replace(
    SIMCLR_IMAGENET, method="Exemplar", notes=_NOTES
)

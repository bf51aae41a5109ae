"""PIRL: pretext-invariant representations (Misra and van der Maaten, 2020)."""

import dataclasses
import functools

import keras

from keras_contrastive import recipes
from keras_contrastive.checks import check_share
from keras_contrastive.layers.jigsaw import Jigsaw
from keras_contrastive.losses.nce_loss import estimate_z
from keras_contrastive.methods.batch import Needs
from keras_contrastive.methods.instance_discrimination import InstanceDiscrimination


@keras.saving.register_keras_serializable(package="keras_contrastive")
class PIRL(InstanceDiscrimination):
    """An image and its shuffled patches both find the image in a memory bank.

    With v the embedding of the image, `v_t = g(patches)` that of a jigsaw puzzle of it,
    and L the loss of instance discrimination, both compared with the same old entries
    of the bank (equation 5):

    `w * L(v_t, bank) + (1 - w) * L(v, bank)`

    g projects each patch's features, and projects them again in a row; the nine patches
    come in an order of their own for each image. The bank remembers v alone. Z of the
    NCE form is estimated on the patches of the first batch, and serves both.

    The first view is the image, the second what the patches are cut from.

    Args:
        encoder: Functional `keras.Model` of images of any size in [0, 255] to features:
            images and patches pass it, each with batch statistics of their own.
        projector: Layer, features to embeddings; by default the paper's Dense(128).
        patch_projector: Layer g, the features of an image's patches
            `(batch, patches, dim)` to embeddings; by default the paper's two Dense
            layers.
        num_examples: n, the number of examples in the data set.
        num_negatives: K; the paper's 32,000. Both terms share the draws, which depend
            on the step alone.
        temperature: t > 0; the paper's 0.07.
        bank_momentum: How much of an old row stays, in [0, 1).
        nce: Whether L is the NCE form, or else the softmax form.
        weight: w, in [0, 1]; the paper's 0.5.
        grid: Patches in each direction; the paper's 3.
        num_classes, augmentation: See `ContrastiveModel`.

    Example:
        policy = kc.augmentations.pirl(32)
        views = kc.data.views_from_arrays(images, augmentation=policy, with_ids=True)
        encoder = kc.encoders.resnet(depth=18, input_shape=(None, None, 3))
        model = kc.PIRL(encoder, num_examples=len(images), num_negatives=4096)
        model.compile()
        model.fit(views, epochs=100)

    Reference: Self-Supervised Learning of Pretext-Invariant Representations (2020),
    https://arxiv.org/abs/1912.01991. NCE is that of the authors' code (vissl), where it
    differs from the paper's equation 4; the authors draw negatives for each term anew.
    """

    recipe = recipes.PIRL_IMAGENET
    needs = Needs(min_views=2, max_views=2, ids=True, fitting_views=False)

    def __init__(
        self,
        encoder: keras.Model,
        projector: keras.layers.Layer | None = None,
        patch_projector: keras.layers.Layer | None = None,
        *,
        num_negatives: int = 32_000,
        weight: float = 0.5,
        grid: int = 3,
        **kwargs,
    ):
        super().__init__(encoder, projector, num_negatives=num_negatives, **kwargs)
        self.weight = check_share("weight", weight)
        self.jigsaw = Jigsaw(grid)
        self.patch_projector = self.jigsaw.projector(
            encoder, self.embedding_dim, patch_projector
        )

    def forward(self, batch, training):
        """Scores of the image and of its patches, the own entry first."""
        image, puzzle = batch.views
        outputs = super().forward(dataclasses.replace(batch, views=(image,)), training)
        network = functools.partial(self.jigsaw.features, self.encoder)
        patches = self.jigsaw(puzzle, seed=batch.step)
        (patches,) = self.of_view(network, patches, training)
        scores = self.scores(self.patch_projector(patches, training=training), batch)
        Z = self.constant.of(estimate_z(scores, self.num_examples))
        return {**outputs, "puzzle_scores": scores, "Z": Z}

    def contrastive_loss(self, outputs, batch):
        """Return the weighted mean of both terms (equation 5)."""
        of_puzzle = self.of_scores(outputs["puzzle_scores"], outputs["Z"])
        of_image = super().contrastive_loss(outputs, batch)
        return self.weight * of_puzzle + (1 - self.weight) * of_image

    def get_config(self):
        """Return the constructor's arguments."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "weight": self.weight,
            "patch_projector": serialize(self.patch_projector),
            "grid": self.jigsaw.grid,
        }

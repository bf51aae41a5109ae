"""BYOL: bootstrap your own latent (Grill et al., 2020)."""

import keras

from keras_contrastive import recipes
from keras_contrastive.losses.byol_loss import BYOLLoss
from keras_contrastive.methods.batch import Needs
from keras_contrastive.methods.contrastive_model import ContrastiveModel


@keras.saving.register_keras_serializable(package="keras_contrastive")
class BYOL(ContrastiveModel):
    """The online network predicts the target's embedding of the other view.

    Online: `z = projector(encoder(v))`, `p = predictor(z)`; target, a moving average
    of encoder and projector: `z'`. The loss is the sum of both directions, the mean of

    `|n(p_1) - n(z'_2)|^2 + |n(p_2) - n(z'_1)|^2`,   n(x) = x / |x|, in [0, 8]

    (equation 2 and its swap). There are no negatives: what prevents collapse is the
    predictor with its batch norm, and a target that moves slowly.

    Args:
        encoder: Functional `keras.Model`, images in [0, 255] to features.
        projector: Layer, features to embeddings; by default the paper's
            4096 - BN - ReLU - 256 (section 3.2).
        predictor: Layer, embeddings to embeddings; by default of the same form.
        num_classes, augmentation, concatenate_views: See `ContrastiveModel`. One
            forward per view is the default, as in the authors' code.

    The default momentum goes from 0.99 to 1 along a cosine, the authors' choice for
    100 and 300 epochs; give `fit` a `MomentumUpdate` for another one.

    Example:
        encoder = kc.encoders.resnet(depth=18, input_shape=(32, 32, 3))
        model = kc.BYOL(encoder)
        model.compile()
        model.fit(two_view_dataset, epochs=100)

    Reference: Bootstrap Your Own Latent: A New Approach to Self-Supervised Learning
    (2020), https://arxiv.org/abs/2006.07733. The authors start online and target from
    different seeds; here, as elsewhere, the target starts as a copy.
    """

    recipe = recipes.BYOL_SMALL
    needs = Needs(predictor=True)

    def __init__(
        self,
        encoder: keras.Model,
        projector: keras.layers.Layer | None = None,
        predictor: keras.layers.Layer | None = None,
        num_classes: int | None = None,
        **kwargs,
    ):
        super().__init__(
            encoder,
            projector,
            predictor,
            target=True,
            num_classes=num_classes,
            **kwargs,
        )

    def default_loss(self):
        """Return the squared distance of unit vectors."""
        return BYOLLoss()

    def forward(self, batch, training):
        """Predictions of the online network, embeddings of the target."""
        features, embeddings = self.online(batch.views, training)
        p_1, p_2 = (self.predictor(z, training=training) for z in embeddings)
        t_1, t_2 = self.target_embeddings(batch.views, training)
        return {
            "features": features,
            "anchor": p_1,
            "positive": t_2,
            "directions": ((t_2, p_1), (t_1, p_2)),
        }

    def contrastive_loss(self, outputs, batch):
        """Return equation 2 plus its swap."""
        return sum(self.loss(t, p) for t, p in outputs["directions"])

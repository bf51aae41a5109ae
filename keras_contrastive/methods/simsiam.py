"""SimSiam: simple siamese representation learning (Chen and He, 2020)."""

import keras

from keras_contrastive import recipes
from keras_contrastive.losses.negative_cosine_loss import NegativeCosineLoss
from keras_contrastive.methods.batch import Needs
from keras_contrastive.methods.contrastive_model import ContrastiveModel


@keras.saving.register_keras_serializable(package="keras_contrastive")
class SimSiam(ContrastiveModel):
    """A network predicts its own embedding of the other view, which does not follow.

    With `z = projector(encoder(v))`, `p = predictor(z)` and `D` minus the cosine of
    prediction and embedding, the loss is (equation 4)

    `D(p_1, stopgrad(z_2)) / 2 + D(p_2, stopgrad(z_1)) / 2`,   in [-1, 1]

    There are no negatives and no target network: what prevents collapse is that no
    gradient passes through the embeddings, and the predictor. The predictor must keep
    up with embeddings that change, and learns at the peak of the learning rate
    throughout (last row of table 1).

    A collapse shows as a loss that soon is -1, and as an `embedding_std` near 0 instead
    of 1 / sqrt(dim).

    Args:
        encoder: Functional `keras.Model`, images in [0, 255] to features.
        projector: Layer, features to embeddings; by default the paper's three layers of
            2,048 with batch norm, the last without scale and offset (section 3).
        predictor: Layer, embeddings to embeddings; by default the paper's bottleneck
            of 512 and an output without batch norm.
        constant_predictor_rate: Whether the predictor's learning rate is constant.
            With a schedule this takes `CoupledSGD`, `LARS` or `AdamW`, and a
            `WarmupCosine`. False: it is that of the rest.
        num_classes, augmentation, concatenate_views: See `ContrastiveModel`. One
            forward per view is the default, as in the authors' code.

    Example:
        encoder = kc.encoders.resnet(depth=18, input_shape=(32, 32, 3))
        model = kc.SimSiam(encoder)
        model.compile()
        model.fit(two_view_dataset, epochs=100)

    Reference: Exploring Simple Siamese Representation Learning (2020),
    https://arxiv.org/abs/2011.10566. In the authors' code the constant rate is an
    option, `--fix-pred-lr`, that is off by default.
    """

    recipe = recipes.SIMSIAM_IMAGENET
    needs = Needs(predictor=True)

    def __init__(
        self,
        encoder: keras.Model,
        projector: keras.layers.Layer | None = None,
        predictor: keras.layers.Layer | None = None,
        constant_predictor_rate: bool = True,
        num_classes: int | None = None,
        **kwargs,
    ):
        super().__init__(
            encoder, projector, predictor, num_classes=num_classes, **kwargs
        )
        self.constant_predictor_rate = constant_predictor_rate

    def compile(self, optimizer=None, loss=None, **kwargs):
        """Configure training as every method, with a constant rate of the predictor.

        Raises:
            ValueError: If the optimizer has a schedule and cannot leave it out for
                some variables.
        """
        super().compile(optimizer, loss, **kwargs)
        optimizer = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        schedule = optimizer._learning_rate
        if not self.constant_predictor_rate or isinstance(schedule, keras.Variable):
            return
        if not hasattr(optimizer, "exclude_from_schedule"):
            raise ValueError(
                "SimSiam's predictor has a constant learning rate. Received: "
                f"optimizer={type(optimizer).__name__} with a schedule for all. Use "
                "CoupledSGD, LARS or AdamW of keras_contrastive.optimizers, a rate "
                "without schedule, or SimSiam(constant_predictor_rate=False)."
            )
        optimizer.exclude_from_schedule(self.predictor.trainable_variables)

    def default_loss(self):
        """Return minus the cosine (equation 1)."""
        return NegativeCosineLoss()

    def forward(self, batch, training):
        """Embeddings and predictions of both views (algorithm 1)."""
        features, (z_1, z_2) = self.online(batch.views, training)
        p_1, p_2 = (self.predictor(z, training=training) for z in (z_1, z_2))
        return {
            "features": features,
            "anchor": p_1,
            "positive": z_2,
            "directions": ((z_2, p_1), (z_1, p_2)),
        }

    def contrastive_loss(self, outputs, batch):
        """Return equation 4; the loss stops the gradient to its target."""
        return sum(self.loss(z, p) for z, p in outputs["directions"]) / 2

    def get_config(self):
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "constant_predictor_rate": self.constant_predictor_rate,
        }

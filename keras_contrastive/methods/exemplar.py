"""Exemplar: instance discrimination that spares the own class (Zhao et al., 2020)."""

import keras
from keras import ops

from keras_contrastive import recipes
from keras_contrastive.losses.exemplar_loss import ExemplarLoss
from keras_contrastive.methods.batch import Needs
from keras_contrastive.methods.contrastive_model import ContrastiveModel


@keras.saving.register_keras_serializable(package="keras_contrastive")
class Exemplar(ContrastiveModel):
    """An image's views attract each other and repel the images of other classes.

    Labels say what is not pushed away, and nothing else: no two images are made alike,
    so features keep what tells images of a class apart, and transfer better than those
    of a classifier. With p(i) the other view of i and y the labels,

    `l_i = -log( exp(z_i.z_p(i)/t)
                 / (exp(z_i.z_p(i)/t) + sum_{a: y_a != y_i} exp(z_i.z_a/t)) )`

    Args:
        encoder: Functional `keras.Model`, images in [0, 255] to features.
        projector: Layer, features to embeddings; by default SimCLR's head,
            `kc.layers.ProjectionHead(128, hidden_units=feature_dim)`.
        temperature: t > 0; 0.1, as in SimCLR.
        num_classes, augmentation, concatenate_views: See `ContrastiveModel`. Both
            views as one batch is the default.

    Labels are integer class ids >= 0 of shape `(batch,)`. The authors draw the
    negatives from MoCo's queue of 65,536 keys; here they are the batch's, as in SimCLR.

    Example:
        encoder = kc.encoders.resnet(depth=18, input_shape=(32, 32, 3))
        model = kc.Exemplar(encoder)
        model.compile()
        model.fit(labelled_two_view_dataset, epochs=100)

    Reference: What Makes Instance Discrimination Good for Transfer Learning? (2020),
    https://arxiv.org/abs/2006.06606, section 6.
    """

    recipe = recipes.EXEMPLAR_IMAGENET
    needs = Needs(labels=True)

    def __init__(
        self,
        encoder: keras.Model,
        projector: keras.layers.Layer | None = None,
        temperature: float = 0.1,
        num_classes: int | None = None,
        concatenate_views: bool = True,
        **kwargs,
    ):
        super().__init__(
            encoder,
            projector,
            num_classes=num_classes,
            concatenate_views=concatenate_views,
            **kwargs,
        )
        self.temperature = temperature
        self.paper_loss = ExemplarLoss(temperature)

    def default_loss(self):
        """Return the loss at the model's temperature."""
        return self.paper_loss

    def forward(self, batch, training):
        """Features and embeddings of both views."""
        features, (z_1, z_2) = self.online(batch.views, training)
        return {"features": features, "anchor": z_1, "positive": z_2}

    def contrastive_loss(self, outputs, batch):
        """Return the mean over both views of all images."""
        z = ops.stack([outputs["anchor"], outputs["positive"]], axis=1)  # (N, 2, D)
        return self.loss(batch.labels, z)

    def get_config(self):
        """Return the constructor's arguments."""
        return {**super().get_config(), "temperature": self.temperature}

"""SimCLR: a simple framework for contrastive learning (Chen et al., 2020)."""

import keras

from keras_contrastive import recipes
from keras_contrastive.losses.nt_xent_loss import NTXentLoss
from keras_contrastive.methods.contrastive_model import ContrastiveModel


@keras.saving.register_keras_serializable(package="keras_contrastive")
class SimCLR(ContrastiveModel):
    """Two views of an image attract each other and repel those of all other images.

    With h = encoder(view) and z = projector(h), the loss is NT-Xent over the 2N
    embeddings of a batch (equation 1):

    `l(i, j) = -log( exp(sim(z_i, z_j) / t) / sum_{k != i} exp(sim(z_i, z_k) / t) )`

    Args:
        encoder: Functional `keras.Model`, images in [0, 255] to features.
        projector: Layer, features to embeddings; by default the paper's two-layer head
            to 128 dimensions (section 4.2), in the authors' form: batch norm after both
            layers, the last one without offset.
        temperature: t > 0. The paper: 0.1 (default) for ImageNet and large batches,
            0.5 for CIFAR-10 and batches up to 1,024; solo-learn's recipe 0.2.
        num_classes, augmentation, concatenate_views: See `ContrastiveModel`. Both
            views as one batch is the default, as in the authors' code.

    Example:
        encoder = kc.encoders.resnet(depth=18, input_shape=(32, 32, 3))
        model = kc.SimCLR(encoder)
        model.compile()
        model.fit(two_view_dataset, epochs=100)
        features = model.predict(images)

    Decoupled contrastive learning, which leaves the positive out of the denominator, is
    this method with `compile(loss=kc.losses.DCLLoss(0.1))` or `kc.recipes.DCL_SMALL`.

    Reference: A Simple Framework for Contrastive Learning of Visual Representations
    (2020), https://arxiv.org/abs/2002.05709. The authors' code
    (google-research/simclr) sums both directions, twice the paper's mean.
    """

    recipe = recipes.SIMCLR_IMAGENET

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
        self.paper_loss = NTXentLoss(temperature)

    def default_loss(self):
        """Return NT-Xent at the model's temperature."""
        return self.paper_loss

    def forward(self, batch, training):
        """h_i = f(x_i), z_i = g(h_i) for both views (algorithm 1)."""
        features, (z_1, z_2) = self.online(batch.views, training)
        return {"features": features, "anchor": z_1, "positive": z_2}

    def contrastive_loss(self, outputs, batch):
        """Return the mean of equation 1 over all 2N anchors."""
        return self.loss(outputs["anchor"], outputs["positive"])

    def get_config(self):
        """Return the constructor's arguments."""
        return {**super().get_config(), "temperature": self.temperature}

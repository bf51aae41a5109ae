"""SupCon: supervised contrastive learning (Khosla et al., 2020)."""

import keras
from keras import ops

from keras_contrastive import recipes
from keras_contrastive.losses.supcon_loss import SupConLoss
from keras_contrastive.methods.batch import Needs
from keras_contrastive.methods.contrastive_model import ContrastiveModel


@keras.saving.register_keras_serializable(package="keras_contrastive")
class SupCon(ContrastiveModel):
    """All views of all images of a class attract each other.

    With P(i) the other embeddings of the class of i, the loss of an anchor is the mean
    over its positives outside the logarithm (equation 2, L_out):

    `l_i = -1/|P(i)| sum_{p in P(i)} log(exp(z_i.z_p/t) / sum_{a != i} exp(z_i.z_a/t))`

    With `classification_weight` w > 0 a classifier over the features is trained
    jointly: `loss = SupCon + w * cross-entropy`.

    Args:
        encoder: Functional `keras.Model`, images in [0, 255] to features.
        projector: Layer, features to embeddings; by default the authors' head,
            Dense(dim) - ReLU - Dense(128), with biases and without batch norm.
        temperature: t > 0; the paper's 0.1.
        num_classes: Number of classes of a classifier over the features: an online
            probe without effect on the encoder if `classification_weight` is 0.
        classification_weight: w >= 0. The default 0 is pure SupCon.
        base_temperature: If given, the loss is multiplied by temperature /
            base_temperature. None (default) is the paper: factor 1. The authors' code
            has 0.07, a factor of 1.43, to which their learning rate for SGD belongs:
            so has `recipes.SUPCON_SMALL.method_arguments`.
        augmentation, concatenate_views: See `ContrastiveModel`. Both views as one
            batch is the default, as in the authors' code.

    Labels are integer class ids >= 0 of shape `(batch,)`.

    Example:
        encoder = kc.encoders.resnet(depth=18, input_shape=(32, 32, 3))
        model = kc.SupCon(encoder, num_classes=10)
        model.compile()
        model.fit(labelled_two_view_dataset, epochs=100)

    Reference: Supervised Contrastive Learning (2020), https://arxiv.org/abs/2004.11362;
    authors' code HobbitLong/SupContrast.
    """

    recipe = recipes.SUPCON_IMAGENET
    needs = Needs(labels=True)

    def __init__(
        self,
        encoder: keras.Model,
        projector: keras.layers.Layer | None = None,
        temperature: float = 0.1,
        num_classes: int | None = None,
        classification_weight: float = 0.0,
        base_temperature: float | None = None,
        concatenate_views: bool = True,
        **kwargs,
    ):
        joint = classification_weight > 0
        if not classification_weight >= 0 or (joint and (num_classes or 0) < 2):
            raise ValueError(
                "`classification_weight` must be >= 0 and needs `num_classes` >= 2. "
                f"Received: {classification_weight=}, {num_classes=}"
            )
        super().__init__(
            encoder,
            projector,
            num_classes=None if joint else num_classes,
            concatenate_views=concatenate_views,
            **kwargs,
        )
        self.num_classes = num_classes
        self.temperature = temperature
        self.base_temperature = base_temperature
        self.classification_weight = float(classification_weight)
        self.classifier = None
        if joint:
            self.classifier = keras.layers.Dense(
                num_classes, dtype="float32", name="classifier"
            )
            self.classifier.build(encoder.output_shape)
            self.cross_entropy = keras.losses.SparseCategoricalCrossentropy(
                from_logits=True
            )
            self.track("accuracy")
        self.paper_loss = SupConLoss(temperature, base_temperature)

    def default_loss(self):
        """Return L_out at the model's temperature."""
        return self.paper_loss

    def forward(self, batch, training):
        """Features and embeddings of both views, and the classifier's logits."""
        features, (z_1, z_2) = self.online(batch.views, training)
        outputs = {"features": features, "anchor": z_1, "positive": z_2}
        if self.classifier is not None:
            labels = ops.tile(batch.labels, [2])
            logits = self.classifier(ops.concatenate(features))
            right = keras.metrics.sparse_categorical_accuracy(labels, logits)
            outputs |= {"logits": logits, "accuracy": ops.mean(right)}
        return outputs

    def contrastive_loss(self, outputs, batch):
        """Return the mean of equation 2, plus w times the cross-entropy."""
        z = ops.stack([outputs["anchor"], outputs["positive"]], axis=1)  # (N, 2, D)
        loss = self.loss(batch.labels, z)
        if self.classifier is not None:
            labels = ops.tile(batch.labels, [2])
            cross_entropy = self.cross_entropy(labels, outputs["logits"])
            loss = loss + self.classification_weight * cross_entropy
        return loss

    def get_config(self):
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "classification_weight": self.classification_weight,
            "base_temperature": self.base_temperature,
        }

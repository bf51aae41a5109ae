"""A linear classifier that watches the encoder while it trains."""

import keras
import tensorflow as tf
from keras import ops


@keras.saving.register_keras_serializable(package="keras_contrastive")
class OnlineProbe(keras.layers.Layer):
    """Linear probe on stop-gradient features, with an optimizer of its own.

    Args:
        num_classes: Number of classes; labels are integers in [0, num_classes), and
            -1 for examples without a label, which do not count.
        optimizer: Keras optimizer of the probe alone; `Adam(1e-3)` by default.

    Reference: SimCLR (2020), authors' code: online linear evaluation.
    """

    def __init__(self, num_classes: int, optimizer=None, name="probe", **kwargs):
        super().__init__(name=name, **kwargs)
        if num_classes < 2:
            raise ValueError(
                f"`num_classes` must be at least 2. Received: num_classes={num_classes}"
            )
        self.num_classes = num_classes
        self.classifier = keras.layers.Dense(
            num_classes, dtype="float32", name="classifier"
        )
        self.optimizer = keras.optimizers.get(optimizer or keras.optimizers.Adam(1e-3))
        self.loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def build(self, input_shape):
        """Create the classifier's and the optimizer's variables."""
        self.classifier.build(input_shape)
        self.optimizer.build(self.classifier.trainable_variables)

    def call(self, features):
        """Map features `(batch, dim)` to logits; no gradient passes to them."""
        return self.classifier(ops.stop_gradient(ops.cast(features, "float32")))

    def train(self, features, labels) -> None:
        """Take one optimizer step on features `(batch, dim)` and labels `(batch,)`."""
        labels = ops.cast(labels, "int32")
        known = ops.cast(labels >= 0, "float32")
        variables = self.classifier.trainable_variables
        with tf.GradientTape() as tape:
            logits = self(features)
            loss = self.loss(ops.maximum(labels, 0), logits, sample_weight=known)
        self.optimizer.apply(tape.gradient(loss, variables), variables)

    def accuracy(self, features, labels):
        """Share of labelled examples that the probe classifies right."""
        labels = ops.cast(labels, "int32")
        hits = ops.equal(ops.cast(ops.argmax(self(features), axis=1), "int32"), labels)
        known = ops.cast(ops.sum(ops.cast(labels >= 0, "int32")), "float32")
        return ops.sum(ops.cast(hits, "float32")) / ops.maximum(known, 1.0)

    def get_config(self):
        """Return the constructor's arguments."""
        optimizer = keras.optimizers.serialize(self.optimizer)
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "optimizer": optimizer,
        }

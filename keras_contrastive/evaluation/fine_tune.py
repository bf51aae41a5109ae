"""Encoder plus classifier, for training with labels."""

import keras

from keras_contrastive.encoder_checks import check_encoder


def build_classifier(
    encoder: keras.Model, num_classes: int, trainable: bool = True
) -> keras.Model:
    """Put a linear classifier on a copy of an encoder.

    The copy leaves the pre-trained encoder as it is, so that several classifiers can
    start from it. It has no optimizer: compile it with a lower learning rate than for
    training from scratch.

    Args:
        encoder: A functional `keras.Model` from images to features `(batch, dim)`.
        num_classes: Number of classes, at least 2.
        trainable: True to fine-tune everything. False trains the classifier alone;
            batch norm is then in inference mode.

    Returns:
        A functional `keras.Model` from images `(batch, height, width, channels)` in
        [0, 255] to float32 logits `(batch, num_classes)`.

    Raises:
        TypeError: `encoder` is not a `keras.Model`.
        ValueError: An encoder that does not return `(batch, dim)`, or a wrong
            `num_classes`.

    Example:
    >>> encoder = keras_contrastive.encoders.resnet(depth=10, width=16)
    >>> model = keras_contrastive.evaluation.build_classifier(encoder, 10)
    >>> model.compile(
    ...     keras.optimizers.Adam(1e-4),
    ...     keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    """
    check_encoder(encoder)
    if not isinstance(num_classes, int) or num_classes < 2:
        raise ValueError(
            f"`num_classes` must be an int >= 2. Received: num_classes={num_classes!r}"
        )
    copy = keras.models.clone_model(encoder)
    copy.set_weights(encoder.get_weights())
    copy.trainable = trainable
    images = keras.Input(encoder.inputs[0].shape[1:], name="images")
    logits = keras.layers.Dense(num_classes, dtype="float32", name="logits")
    return keras.Model(images, logits(copy(images)), name=f"{encoder.name}_classifier")

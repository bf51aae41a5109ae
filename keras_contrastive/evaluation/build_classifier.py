"""Encoder plus classifier: one model from images to classes."""

import keras

from keras_contrastive.encoder_checks import (
    check_encoder,
    warn_of_unsafe_convolutions,
)
from keras_contrastive.layers.classification_head import ClassificationHead


def build_classifier(
    encoder: keras.Model,
    num_classes: int,
    trainable: bool = True,
    class_names: list[str] | None = None,
) -> keras.Model:
    """Put a linear classifier on a copy of an encoder.

    The copy leaves the pre-trained encoder as it is, so that several classifiers can
    start from it. It has no optimizer: compile it with a lower learning rate than for
    training from scratch.

    Args:
        encoder: A functional `keras.Model` from images to features `(batch, dim)`, or
            a `ContrastiveModel`, whose encoder is taken.
        num_classes: Number of classes, at least 2.
        trainable: True to fine-tune everything. False trains the classifier alone;
            batch norm is then in inference mode.
        class_names: If given, the name of each class. They are saved with the model
            and exported with it; `model.layers[-1].class_names` are they.

    Returns:
        A functional `keras.Model` from images `(batch, height, width, channels)` in
        [0, 255] to float32 logits `(batch, num_classes)`.

    Raises:
        TypeError: `encoder` is not a `keras.Model`.
        ValueError: An encoder that does not return `(batch, dim)`, a wrong
            `num_classes`, or `class_names` of another number.

    Example:
    >>> encoder = keras_contrastive.encoders.resnet(depth=10, width=16)
    >>> model = keras_contrastive.evaluation.build_classifier(encoder, 10)
    >>> model.compile(
    ...     keras.optimizers.Adam(1e-4),
    ...     keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    """
    if not isinstance(num_classes, int) or num_classes < 2:
        raise ValueError(
            f"`num_classes` must be an int >= 2. Received: num_classes={num_classes!r}"
        )
    if class_names is None:
        head = keras.layers.Dense(num_classes, dtype="float32", name="logits")
    elif len(class_names) == num_classes:
        head = ClassificationHead(class_names, dtype="float32", name="logits")
    else:
        raise ValueError(
            f"`class_names` must name each of the {num_classes} classes. Received: "
            f"{len(class_names)} names, class_names={class_names!r}"
        )
    return behind_encoder(encoder, head, trainable)


def behind_encoder(encoder, head, trainable: bool = True) -> keras.Model:
    """Put a layer on a copy of an encoder: a model from images to its output.

    Args:
        encoder: As in `build_classifier`.
        head: A layer from features `(batch, dim)`.
        trainable: Whether the encoder's copy is.

    Returns:
        A functional `keras.Model`.

    Raises:
        TypeError, ValueError: As `build_classifier`, for the encoder.
    """
    encoder = getattr(encoder, "encoder", encoder)
    check_encoder(encoder)
    copy = keras.models.clone_model(encoder)
    copy.set_weights(encoder.get_weights())
    copy.trainable = trainable
    warn_of_unsafe_convolutions(copy)
    images = keras.Input(encoder.inputs[0].shape[1:], name="images")
    return keras.Model(images, head(copy(images)), name=f"{encoder.name}_classifier")

"""Encoder plus classifier: one model from images to classes."""

import keras

from keras_contrastive.encoder_checks import (
    check_encoder,
    warn_of_unsafe_convolutions,
)
from keras_contrastive.layers.classification_head import ClassificationHead
from keras_contrastive.layers.projection_head import ProjectionHead


def build_classifier(
    encoder: keras.Model,
    num_classes: int,
    trainable: bool = True,
    class_names: list[str] | None = None,
    head_layers: int = 0,
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
        head_layers: How many layers of the model's projector stay between encoder and
            classifier, counted from the features; 0 for none. SimCLR version 2 trains
            with a head of three layers and fine-tunes with the first: 1.

    Returns:
        A functional `keras.Model` from images `(batch, height, width, channels)` in
        [0, 255] to float32 logits `(batch, num_classes)`.

    Raises:
        TypeError: `encoder` is not a `keras.Model`, or has no
            `kc.layers.ProjectionHead` to take layers of.
        ValueError: An encoder that does not return `(batch, dim)`, a wrong
            `num_classes`, `class_names` of another number, or more `head_layers` than
            there are.

    Example:
    >>> encoder = keras_contrastive.encoders.resnet(depth=10, width=16)
    >>> model = keras_contrastive.evaluation.build_classifier(encoder, 10)
    >>> model.compile(
    ...     keras.optimizers.Adam(1e-4),
    ...     keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    From the middle of SimCLR's head:

    >>> projector = keras_contrastive.layers.ProjectionHead(128, (256, 256))
    >>> simclr = keras_contrastive.SimCLR(encoder, projector)
    >>> model = keras_contrastive.evaluation.build_classifier(
    ...     simclr, 10, head_layers=1)
    >>> model.layers[1].output_shape
    (None, 256)

    Reference:
        [Chen et al., 2020 (SimCLR version 2)](https://arxiv.org/abs/2006.10029),
        section 2, fine-tuning
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
    return behind_encoder(with_head(encoder, head_layers), head, trainable)


def with_head(model: keras.Model, head_layers: int) -> keras.Model:
    """Return the encoder of a model, with the first layers of its projector on it.

    Args:
        model: A `ContrastiveModel`; an encoder, if `head_layers` is 0.
        head_layers: As in `build_classifier`.

    Returns:
        A functional `keras.Model`, images to `(batch, width)`: the model's own encoder,
        or one with a copy of these layers behind it.

    Raises:
        TypeError, ValueError: As `build_classifier`.
    """
    encoder = getattr(model, "encoder", model)
    check_encoder(encoder)
    if head_layers == 0:
        return encoder
    projector = getattr(model, "projector", None)
    if not isinstance(projector, ProjectionHead):
        raise TypeError(
            "`head_layers` are of a model whose projector is a kc.layers."
            f"ProjectionHead. Received: {head_layers=}, {model.name!r} with "
            f"projector={projector!r}. Pass the trained model and not its encoder, or "
            "head_layers=0."
        )
    try:
        head = projector.first_layers(head_layers)
    except ValueError as error:
        raise ValueError(f"`head_layers` is wrong. {error}") from None
    images = keras.Input(encoder.inputs[0].shape[1:], name="images")
    return keras.Model(images, head(encoder(images)), name=f"{encoder.name}_with_head")


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

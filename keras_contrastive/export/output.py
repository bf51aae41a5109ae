"""What the output of a model is, and is called in every artefact made of it."""

import keras


def output_name(model: keras.Model) -> str:
    """Return `"features"`, `"logits"` or `"probabilities"`.

    The last layer tells: by its name, if it is one of the last two, or by a softmax.
    Everything else gives features.

    Args:
        model: A functional model with one output.

    Example:
    >>> encoder = keras_contrastive.encoders.resnet(depth=10, width=16)
    >>> output_name(keras_contrastive.evaluation.build_classifier(encoder, 10))
    'logits'
    """
    layer = _last_layer(model)
    if layer.name in ("logits", "probabilities"):
        return layer.name
    softmax = getattr(layer, "activation", None) is keras.activations.softmax
    if softmax or isinstance(layer, keras.layers.Softmax):
        return "probabilities"
    return "features"


def class_names(model: keras.Model) -> list[str] | None:
    """Return the class names that the last layer holds, if it does.

    Args:
        model: As in `output_name`.
    """
    names = getattr(_last_layer(model), "class_names", None)
    return None if names is None else list(names)


def kind(model: keras.Model) -> str:
    """Return `"encoder"` or `"classifier"`, by the output.

    Args:
        model: As in `output_name`.
    """
    return "encoder" if output_name(model) == "features" else "classifier"


def _last_layer(model):
    while isinstance(model, keras.Model):  # the last layer may be a model itself
        model = model.outputs[0]._keras_history.operation
    return model

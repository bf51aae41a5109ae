"""Encoders of models of `keras.applications`, and of other image models."""

import warnings

import keras
from keras import layers

from keras_contrastive.pixel_scaling import scaled


def from_application(
    model: keras.Model,
    preprocessing: keras.layers.Layer | None = None,
    name: str | None = None,
    pooling: str | None = None,
) -> keras.Model:
    """Make an encoder of a `keras.applications` model, or of another image model.

    What the application expects of its pixels (`preprocess_input` of its family)
    becomes a part of the graph, found by the model's name; MobileNetV3, EfficientNet
    and ConvNeXt have it inside already. A feature map is averaged over its positions;
    the tokens of a transformer, such as those of keras-hub, are pooled as `pooling`
    says. The encoder shares the layers and weights of `model`.

    Note that the batch norms of `keras.applications` are not synchronised across
    replicas; `encoder_checks.unsynchronized_batch_norms` lists them.

    Args:
        model: A functional model with one image input and one output, a feature map
            `(batch, height, width, channels)`, tokens `(batch, tokens, dim)` or
            features `(batch, dim)`; a `keras.applications` model is built with
            `include_top=False`.
        preprocessing: A layer from images in [0, 255] to what `model` expects, for
            example `keras.layers.Rescaling(1 / 255)`. By default that of the
            `keras.applications` family; a model that has a Rescaling or Normalization
            layer gets the images in [0, 255], and so does one that is not known, with
            a warning. `keras.layers.Identity()` says that this is right.
        name: Name of the encoder; by default `<model.name>_encoder`.
        pooling: What becomes of tokens or positions: `"mean"`, or `"class_token"`,
            the first token of those vision transformers that have one. Needed for
            tokens; None averages feature maps.

    Returns:
        A functional `keras.Model` from images `(batch, height, width, channels)` in
        [0, 255] to float32 features `(batch, dim)`.

    Raises:
        TypeError: `model` is not a `keras.Model`.
        ValueError: Its inputs or outputs are not as above, it is a classifier
            (`include_top=True`), or it was built with `include_preprocessing=False`;
            `pooling` is missing or does not fit the output; its family's
            preprocessing is for 3 channels, and it has another number.

    Example:
    >>> mobilenet = keras.applications.MobileNetV2(
    ...     include_top=False, weights=None, input_shape=(96, 96, 3))
    >>> keras_contrastive.encoders.from_application(mobilenet).output_shape
    (None, 1280)
    """
    check_application(model)
    check_pooling(model, pooling)
    inputs = keras.Input(model.input_shape[1:], dtype="float32", name="images")
    if preprocessing is None:
        x = _application_preprocessing(inputs, model)
    else:
        x = preprocessing(inputs)
    x = pooled(model(x), pooling)
    return keras.Model(inputs, x, name=name or f"{model.name}_encoder")


def pooled(output, pooling):
    """Return features `(batch, dim)` of a model's output, by the layer `"features"`.

    Args:
        output: A symbolic feature map, tokens or features, or a list of one.
        pooling: What becomes of tokens, see `from_application`.
    """
    [x] = keras.tree.flatten(output)
    if len(x.shape) == 4:
        return layers.GlobalAveragePooling2D(dtype="float32", name="features")(x)
    if pooling == "mean":
        return layers.GlobalAveragePooling1D(dtype="float32", name="features")(x)
    x = x[:, 0] if pooling == "class_token" else x
    return layers.Activation("linear", dtype="float32", name="features")(x)


def check_application(model):
    """Raise unless `model` has one image input and one output of known shape."""
    if not isinstance(model, keras.Model):
        raise TypeError(
            "`model` must be a keras.Model, for example keras.applications."
            "MobileNetV2(include_top=False). "
            f"Received: model={model!r} (of type {type(model).__name__})."
        )
    try:
        inputs, outputs = model.inputs, model.outputs
    except AttributeError:
        inputs, outputs = [], []
    shapes = [tuple(x.shape) for x in [*inputs, *outputs]]
    if (
        len(inputs) != 1
        or len(outputs) != 1
        or len(shapes[0]) != 4
        or len(shapes[1]) not in (2, 3, 4)
    ):
        raise ValueError(
            "`model` must be a built functional or Sequential model with one input "
            "(batch, height, width, channels) and one output, a feature map "
            "(batch, height, width, channels), tokens (batch, tokens, dim) or features "
            "(batch, dim). "
            f"Received: model={model.name!r} with inputs {shapes[: len(inputs)]} and "
            f"outputs {shapes[len(inputs) :]}."
        )
    last = model.layers[-1]
    if getattr(last, "activation", None) is keras.activations.softmax:
        raise ValueError(
            "`model` must return features, not class probabilities: build it with "
            "include_top=False. "
            f"Received: model={model.name!r}, whose last layer {last.name!r} is a "
            "softmax."
        )


# What `pooling` may be, by the rank of the output.
_POOLING = {2: (None,), 3: ("mean", "class_token"), 4: (None, "mean")}


def check_pooling(model, pooling):
    """Raise a ValueError unless `pooling` fits the output of `model`."""
    shape = tuple(model.outputs[0].shape)
    allowed = _POOLING[len(shape)]
    if pooling not in allowed:
        raise ValueError(
            f"`pooling` must be {' or '.join(map(repr, allowed))} for an output of "
            f"shape {shape}. Received: pooling={pooling!r} for model={model.name!r}."
            + (
                " Take 'class_token' if the first token is a class token."
                if len(shape) == 3
                else ""
            )
        )


# Families of keras.applications by the beginning of their models' names, and the mode
# of their `preprocess_input`. "inside" ones have layers for it in the model.
_PREPROCESSING = {
    "resnet50v2": "tf",
    "resnet101v2": "tf",
    "resnet152v2": "tf",
    "resnet50": "caffe",
    "resnet101": "caffe",
    "resnet152": "caffe",
    "vgg16": "caffe",
    "vgg19": "caffe",
    "densenet": "torch",
    "mobilenetv3": "inside",
    "efficientnet": "inside",
    "convnext": "inside",
    "mobilenetv2_": "tf",
    "mobilenet_": "tf",
    "inception_": "tf",
    "xception": "tf",
    "nasnet": "tf",
}


def _application_preprocessing(x, model):
    """The `preprocess_input` of the model's family on images in [0, 255]."""
    scalings = (layers.Rescaling, layers.Normalization)
    if any(isinstance(layer, scalings) for layer in model._flatten_layers()):
        return x
    name = model.name.lower()
    prefixes = [prefix for prefix in _PREPROCESSING if name.startswith(prefix)]
    mode = _PREPROCESSING[prefixes[0]] if prefixes else None
    if mode == "inside":
        raise ValueError(
            f"`model` must contain its preprocessing. Received: model={model.name!r}, "
            "built with include_preprocessing=False. Build it without that argument, "
            "or pass `preprocessing`, a layer from [0, 255] to what it expects."
        )
    channels = model.input_shape[-1]
    if mode in ("torch", "caffe") and channels != 3:
        raise ValueError(
            f"`model` must have 3 channels (RGB) for the preprocessing of its family. "
            f"Received: model={model.name!r} with {channels}. Pass `preprocessing`, a "
            "layer from [0, 255] to what it was or will be trained on, such as "
            "keras.layers.Rescaling(1 / 255)."
        )
    if mode is None:
        warnings.warn(
            f"`model` gets its pixels in [0, 255]: {model.name!r} is no model of "
            "keras.applications and has no Rescaling or Normalization layer. Pass what "
            "it expects, such as preprocessing=keras.layers.Rescaling(1 / 255), or "
            "preprocessing=keras.layers.Identity() if [0, 255] is right.",
            stacklevel=3,
        )
    if mode == "tf":
        x = layers.Rescaling(1 / 127.5, -1.0, dtype="float32", name="scaling")(x)
    if mode == "torch":  # ImageNet's mean and standard deviation, RGB
        x = scaled(x, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    if mode == "caffe":  # BGR minus ImageNet's mean
        x = keras.ops.flip(x, axis=-1)
        offset = [-103.939, -116.779, -123.68]
        x = layers.Rescaling(1.0, offset, dtype="float32", name="scaling")(x)
    return x

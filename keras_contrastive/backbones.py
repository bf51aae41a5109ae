"""Encoders of keras-hub's backbones, with what they expect of pixels inside."""

import keras
from keras import layers

from keras_contrastive.application_encoder import (
    check_application,
    check_pooling,
    from_application,
    pooled,
)
from keras_contrastive.pixel_scaling import scaled

_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_HALF = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
_CLIP = (
    (0.48145466, 0.4578275, 0.40821073),
    (0.26862954, 0.26130258, 0.27577711),
)
# Mean and deviation of keras-hub's families, as the image converters of their presets
# have them; any other is ImageNet's.
_SCALING = {
    "ViTBackbone": _HALF,
    "XceptionBackbone": _HALF,
    "SigLIPVisionEncoder": _HALF,
    "CLIPVisionEncoder": _CLIP,
}
# Families whose first token is a class token.
_CLASS_TOKEN = (
    "ViTBackbone",
    "DeiTBackbone",
    "DINOV2Backbone",
    "DINOV3Backbone",
    "CLIPVisionEncoder",
)


def from_backbone(
    backbone: keras.Model | str,
    preprocessing: keras.layers.Layer | None = None,
    pooling: str | None = None,
    name: str | None = None,
    input_shape: tuple[int | None, int | None, int] | None = None,
) -> keras.Model:
    """Make an encoder of any image backbone of keras-hub or keras.applications.

    Features are the class token where the backbone has one, else the mean over
    positions or tokens. What the backbone expects of its pixels becomes a part of the
    graph: of a preset its own image converter's scale and offset; else those of the
    family. The encoder shares the backbone's layers and weights, and is pre-trained
    further, fine-tuned, saved as a preset and exported like any other. Whoever loads
    it imports keras_hub, too.

    Args:
        backbone: A backbone of `keras_hub.models`, such as `ResNetBackbone`,
            `ViTBackbone` or `DINOV2Backbone`; a model of `keras.applications`, as
            `from_application` takes it; or what
            `keras_hub.models.Backbone.from_preset` takes: the name or the folder of a
            preset. That needs the extra `hub`, and a name the network.
        preprocessing: A layer from images in [0, 255] to what the backbone expects, or
            keras-hub's image converter, of which scale and offset are taken.
        pooling: `"class_token"` or `"mean"`; by default as above.
        name: Name of the encoder; by default `<backbone.name>_encoder`.
        input_shape: `(height, width, channels)` for a preset by its name.

    Returns:
        A functional `keras.Model` from images `(batch, height, width, channels)` in
        [0, 255] to float32 features `(batch, dim)`.

    Raises:
        TypeError: `backbone` is neither a model nor a name.
        ValueError: It has not one image input and one output; `pooling` does not fit;
            another number of channels than its family's preprocessing has.
        ImportError: keras-hub is missing, for a preset.

    Example:
    >>> mobilenet = keras.applications.MobileNetV2(
    ...     include_top=False, weights=None, input_shape=(96, 96, 3))
    >>> keras_contrastive.encoders.from_backbone(mobilenet).output_shape
    (None, 1280)
    """
    if isinstance(backbone, str):
        backbone, converter = _preset(backbone, input_shape)
        preprocessing = preprocessing or converter
    elif input_shape is not None:
        raise ValueError(
            "`input_shape` is for the name of a preset; a model has its own. Received: "
            f"input_shape={input_shape}. Build the backbone with it."
        )
    check_application(backbone)
    kind = type(backbone).__name__
    if pooling is None:
        pooling = _default_pooling(backbone)
    if hasattr(preprocessing, "image_size") and hasattr(preprocessing, "scale"):
        preprocessing = _rescaling(preprocessing)
    if preprocessing is None and not is_of_keras_hub(backbone):
        return from_application(backbone, None, name, pooling)
    check_pooling(backbone, pooling)
    shape = keras.tree.flatten(backbone.input)[0].shape[1:]
    images = keras.Input(shape, dtype="float32", name="images")
    if preprocessing is not None:
        x = preprocessing(images)
    else:
        x = scaled(images, *_SCALING.get(kind, _IMAGENET))
    # Some take a dict of one.
    structure = backbone.input
    x = {key: x for key in structure} if isinstance(structure, dict) else x
    features = pooled(backbone(x), pooling)
    return keras.Model(images, features, name=name or f"{backbone.name}_encoder")


def is_of_keras_hub(model: keras.Model) -> bool:
    """Return whether the model's class is one of keras-hub's."""
    return type(model).__module__.partition(".")[0] == "keras_hub"


def _default_pooling(backbone):
    if len(backbone.outputs[0].shape) != 3:
        return None
    has_token = getattr(backbone, "use_class_token", True)
    has_token = has_token and type(backbone).__name__ in _CLASS_TOKEN
    return "class_token" if has_token else "mean"


def _preset(name, input_shape):
    """Backbone and image converter of a preset of keras-hub."""
    try:
        import keras_hub
    except ImportError as error:
        raise ImportError(
            "Presets of keras-hub need that package: pip install "
            f'"keras-contrastive[hub]". Received: backbone={name!r}'
        ) from error
    arguments = {} if input_shape is None else {"image_shape": tuple(input_shape)}
    backbone = keras_hub.models.Backbone.from_preset(name, **arguments)
    try:
        converter = keras_hub.layers.ImageConverter.from_preset(name)
    except (ValueError, FileNotFoundError):  # it was saved without one
        converter = None
    return backbone, converter


def _rescaling(converter):
    """Scale and offset of an image converter as a layer of Keras."""
    scale = 1.0 if converter.scale is None else converter.scale
    offset = 0.0 if converter.offset is None else converter.offset
    return layers.Rescaling(scale, offset, dtype="float32", name="scaling")

"""An encoder as JSON that cannot do anything but build layers.

`config.json` may come from anywhere, so every class it names is checked before Keras
sees it: layers, operations, initializers, regularizers and constraints of Keras, and
layers of this package. Functions, lambdas and other modules are refused.
"""

import copy
import importlib

import keras

from keras_contrastive.encoder_checks import check_encoder
from keras_contrastive.zoo.preset_files import printable

_KINDS = (
    keras.Operation,  # layers and models are operations too
    keras.initializers.Initializer,
    keras.regularizers.Regularizer,
    keras.constraints.Constraint,
    keras.DTypePolicy,
)
# Where Keras writes that such classes live. `keras.src.ops` are the operations of a
# functional model, such as the flip to BGR of `encoders.from_application`.
_MODULES = (
    "keras",
    "keras.layers",
    "keras.initializers",
    "keras.regularizers",
    "keras.constraints",
    "keras.src.models.functional",
    "keras.src.ops.numpy",
    "keras.src.ops.nn",
    "keras.src.ops.image",
    "keras.src.applications.convnext",
)
# Layers of Keras that run foreign code or read files named in their configuration.
_REFUSED = (
    "Lambda",
    "TFSMLayer",
    "TorchModuleWrapper",
    "JaxLayer",
    "FlaxLayer",
    "TextVectorization",
    "StringLookup",
    "IntegerLookup",
)
# Plain data in the form of a class: arguments of layers and operations.
_DATA = ("__keras_tensor__", "__numpy__", "__slice__", "__ellipsis__")


def to_config(encoder: keras.Model) -> dict:
    """Return the configuration of an encoder, in float32, ready for JSON.

    Args:
        encoder: A functional model from images to features, made of layers of Keras
            and of this package.

    Returns:
        What `keras.saving.serialize_keras_object` gives, without how it was compiled.

    Raises:
        ValueError: A layer that `from_config` would refuse.

    Example:
    >>> config = to_config(keras_contrastive.encoders.resnet(depth=10, width=4))
    >>> from_config(config).output_shape
    (None, 32)
    """
    config = keras.saving.serialize_keras_object(encoder)
    config = _without_state(config)
    _check(config, f"encoder {encoder.name!r}")
    return config


def from_config(config: dict, source: str = "`config`") -> keras.Model:
    """Build the encoder of a configuration, with fresh float32 weights.

    Args:
        config: What `to_config` returned, after JSON too.
        source: Where it comes from, for the messages.

    Returns:
        The encoder.

    Raises:
        ValueError: Anything that could run code, and what builds no encoder.
    """
    _check(config, source)
    # Inputs and the model itself take the global policy, whatever their configuration.
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        # A copy: Keras takes the configuration of a functional model to pieces.
        encoder = keras.saving.deserialize_keras_object(
            copy.deepcopy(config), safe_mode=True
        )
        check_encoder(encoder)
    except Exception as error:  # Keras raises all kinds for a malformed configuration
        reason = printable(error).split("\n")[0]  # the rest repeats the configuration
        raise ValueError(
            f"The encoder of {source} cannot be built: {type(error).__name__}: "
            f"{reason} It was damaged, or needs another version of Keras (this is "
            f"{keras.__version__})."
        ) from error
    finally:
        keras.config.set_dtype_policy(policy)
    return encoder


def _without_state(config):
    """The same without optimizers, and with every dtype policy replaced by float32."""
    if isinstance(config, list | tuple):
        return [_without_state(item) for item in config]
    if not isinstance(config, dict):
        return config
    if str(config.get("class_name")).endswith(("DTypePolicy", "DTypePolicyMap")):
        return "float32"
    kept = {k: _without_state(v) for k, v in config.items() if k != "compile_config"}
    if str(kept.get("dtype")).endswith("float16"):  # bfloat16, mixed_float16, ...
        kept["dtype"] = "float32"
    return kept


def _check(config, source):
    if isinstance(config, list | tuple):
        for item in config:
            _check(item, source)
    if not isinstance(config, dict):
        return
    if "class_name" in config and not _is_allowed(config):
        name, module = config["class_name"], config.get("module")
        layer = config.get("name")
        raise ValueError(
            "An encoder in a preset must be made of layers of Keras and of "
            "keras_contrastive; Lambda layers, functions and classes of other modules "
            f"could run foreign code and are refused. Received: {source} with "
            f"class_name={name!r}, module={module!r}"
            + (f" (layer {layer!r})." if layer else ".")
        )
    for value in config.values():
        _check(value, source)


def _is_allowed(config):
    name, module = config["class_name"], config.get("module")
    registered = config.get("registered_name")
    if not isinstance(name, str) or not isinstance(registered, str | None):
        return False
    if module is None:
        return name in _DATA
    # The name too: for class_name="function" Keras would look elsewhere.
    if registered == f"keras_contrastive>{name}":
        found = keras.saving.get_registered_object(registered)
        ours = getattr(found, "__module__", "").startswith("keras_contrastive.")
        return ours and isinstance(found, type) and issubclass(found, _KINDS)
    if module not in _MODULES or registered not in (None, name) or name in _REFUSED:
        return False
    found = getattr(importlib.import_module(module), name, None)
    return isinstance(found, type) and issubclass(found, _KINDS)

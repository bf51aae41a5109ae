"""An encoder as two files, JSON and weights, that cannot do anything but build layers.

`config.json` may come from anywhere, so every class it names is checked before Keras
sees it: layers, operations, initializers, regularizers and constraints of Keras, layers
of this package, and layers and backbones of keras-hub. Functions, lambdas and other
modules are refused. Weights are float16 or float32 on disk and float32 in memory, and
of a few bytes that stand for gigabytes, in either file, nothing is made.
"""

import contextlib
import copy
import importlib
import warnings

import h5py
import keras
import numpy as np
import tensorflow as tf

from keras_contrastive.encoder_checks import check_encoder
from keras_contrastive.files import MemoryFile
from keras_contrastive.finite import named, not_finite
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


def from_config(
    config: dict, source: str = "`config`", max_weights: int | None = None
) -> keras.Model:
    """Build the encoder of a configuration, with fresh float32 weights.

    Args:
        config: What `to_config` returned, after JSON too.
        source: Where it comes from, for the messages.
        max_weights: How many numbers its weights may have; None: any number.

    Returns:
        The encoder.

    Raises:
        ValueError: Anything that could run code, what builds no encoder, and more
            weights than that, before there is memory for them.
    """
    _check(config, source)
    # Inputs and the model itself take the global policy, whatever their configuration.
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        # A copy: Keras takes the configuration of a functional model to pieces.
        with at_most(max_weights):
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


@contextlib.contextmanager
def at_most(max_weights):
    """Within it, variables of so many numbers all together can be made, and no more."""
    left = max_weights

    def create(next_creator, **kwargs):
        nonlocal left
        value = kwargs["initial_value"]
        if callable(value):
            with tf.Graph().as_default():  # its shape, without its memory
                value = value()
        left -= value.shape.num_elements()
        if left < 0:
            raise ValueError(
                f"its layers have more numbers than the {max_weights:,} that the file "
                "of weights has room for."
            )
        return next_creator(**kwargs)

    if max_weights is None:
        yield
        return
    with tf.variable_creator_scope(create):
        yield


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
    if isinstance(config, str) and printable(config) != config:
        raise ValueError(
            "Names in the configuration of an encoder must be of printable characters. "
            f"Received: {source} with {config[:80]!r}"
        )
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
            + ' pip install "keras-contrastive[hub]" for layers of keras-hub.'
            * str(module).startswith("keras_hub.")
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
    if registered == f"keras_hub>{name}":
        return _is_of_keras_hub(registered)
    if module not in _MODULES or registered not in (None, name) or name in _REFUSED:
        return False
    found = getattr(importlib.import_module(module), name, None)
    return isinstance(found, type) and issubclass(found, _KINDS)


def _is_of_keras_hub(registered):
    """Whether a name is that of a layer or model of keras-hub.

    Its preprocessing layers, such as tokenizers, read files and are refused.
    """
    with contextlib.suppress(ImportError):
        importlib.import_module("keras_hub")  # it registers its classes
    found = keras.saving.get_registered_object(registered)
    place = getattr(found, "__module__", "").split(".")
    return (
        place[0] == "keras_hub"
        and not any(word in part for part in place for word in ("process", "token"))
        and "converter" not in place[-1]
        and isinstance(found, type)
        and issubclass(found, keras.Operation)
    )


def weights_to_bytes(encoder: keras.Model, dtype: str) -> bytes:
    """Return the file of an encoder's weights.

    Args:
        encoder: The encoder, float32.
        dtype: Of kernels, `"float32"` or `"float16"`; vectors stay float32.

    Raises:
        ValueError: A weight that float16 cannot hold.
    """
    full = MemoryFile(".weights.h5")
    encoder.save_weights(full)
    if dtype == "float32":
        return full.getvalue()
    half = MemoryFile(".weights.h5")
    with h5py.File(full) as source, h5py.File(half, "w") as target:

        def copy(name, item):
            if isinstance(item, h5py.Group):
                target.require_group(name).attrs.update(item.attrs)
                return
            value = item[()]
            if value.ndim >= 2 and value.dtype == "float32":
                if np.abs(value).max(initial=0) > np.finfo("float16").max:
                    raise ValueError(
                        "`weights_dtype='float16'` holds values up to 65504. Received: "
                        f"weights up to {np.abs(value).max():.3g} in {name!r}. Save "
                        "with weights_dtype='float32'."
                    )
                value = value.astype("float16")
            target[name] = value
            target[name].attrs.update(item.attrs)

        source.visititems(copy)
    return half.getvalue()


def read_weights(encoder: keras.Model, content: bytes, source: str) -> None:
    """Load weights into an encoder, as float32.

    What the file holds is compared with the encoder before any of it is read: a few
    bytes of HDF5 can stand for gigabytes.

    Args:
        encoder: The encoder.
        content: The file.
        source: Where it comes from, for the messages.

    Raises:
        ValueError: The file is damaged, of another encoder, or has NaN in it.
    """
    expected = MemoryFile(".weights.h5")
    encoder.save_weights(expected)
    try:
        with h5py.File(expected) as ours, h5py.File(MemoryFile("", content)) as theirs:
            _check_layout(_layout(ours), _layout(theirs))
        with warnings.catch_warnings():
            # Keras only warns of a layer that finds nothing and stays as it is.
            warnings.simplefilter("error", UserWarning)
            encoder.load_weights(MemoryFile(".weights.h5", content))
    except Exception as error:  # h5py and Keras raise all kinds
        raise ValueError(
            f"{source!r} does not hold the weights of config.json: "
            f"{type(error).__name__}: {printable(error)[:300]}"
        ) from error
    bad = not_finite(encoder.weights)
    if bad:
        raise ValueError(
            f"{source!r} must hold finite weights. Received: NaN or infinity in "
            f"{named(bad)}. The training it comes from has diverged."
        )


def _layout(file):
    """`(shape, kind of number, plain)` of each array, by its name."""
    found = {}

    def add(name, item):
        if isinstance(item, h5py.Dataset):
            # Compressed ones unpack to any size, virtual ones read other files.
            is_plain = item.chunks is None and not item.is_virtual and not item.external
            found[name] = item.shape, item.dtype.kind, is_plain

    file.visititems(add)
    return found


def _check_layout(expected, received):
    for name in [*expected, *received]:
        if expected.get(name) != received.get(name):
            raise ValueError(
                "every array must be uncompressed, in the file itself and of the "
                f"encoder's shape. Expected of {name!r}: {expected.get(name)}. "
                f"Received: {received.get(name)}."
            )

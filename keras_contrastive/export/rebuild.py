"""The encoder that is exported: plain float32, outside any distribution strategy."""

import keras

from keras_contrastive.distribute import outside_strategy
from keras_contrastive.encoder_checks import check_encoder
from keras_contrastive.finite import check_finite
from keras_contrastive.layers.sync_batch_normalization import SyncBatchNormalization

_FUSED_NORM = keras.saving.get_registered_name(SyncBatchNormalization)


def float32_encoder(model: keras.Model) -> keras.Model:
    """Rebuild an encoder from its configuration in float32 and copy its weights.

    What was trained under mixed precision or `tf.distribute` carries its dtype
    policies, loss-scaled layers and mirrored variables; a SavedModel of that differs
    from the encoder or hangs in TF Serving. The rebuilt one has neither.

    Args:
        model: An encoder, or a `ContrastiveModel`, whose encoder is taken (and that
            is printed).

    Returns:
        A new `keras.Model` with the same weights, every dtype policy float32.

    Raises:
        TypeError: `model` is not a `keras.Model`.
        ValueError: It is not an encoder, has a layer that is not registered, or
            weights that are not finite.
    """
    encoder = model
    inner = getattr(model, "encoder", None)
    if isinstance(inner, keras.Model):
        print(
            f"export: {model.name!r} is a {type(model).__name__}; its encoder "
            f"{inner.name!r} is exported, without heads."
        )
        encoder = inner
    check_encoder(encoder)
    _check_registered(encoder)
    check_finite(encoder)

    config = keras.saving.serialize_keras_object(encoder)
    rebuilt = outside_strategy(lambda: _build(_in_float32(config)))
    rebuilt.set_weights(encoder.get_weights())
    return rebuilt


def _build(config):
    # Inputs and the model itself take the global policy, whatever their configuration.
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    config.pop("compile_config", None)  # the optimizer of a fine-tuned classifier
    try:
        return keras.saving.deserialize_keras_object(config, safe_mode=False)
    finally:
        keras.config.set_dtype_policy(policy)


def _check_registered(encoder):
    """Refuse layers that another process could not find when it loads the encoder."""
    for layer in encoder._flatten_layers():
        kind = type(layer)
        # A backbone of keras-hub builds its own layers again.
        built_in = kind.__module__.split(".")[0] in ("keras", "keras_hub")
        if not built_in and keras.saving.get_registered_name(kind) == kind.__name__:
            raise ValueError(
                "Every layer of the encoder must be one of Keras or registered, so "
                "that `encoder.keras` can be loaded elsewhere. Received: layer "
                f"{layer.name!r} of the unregistered class {kind.__name__}. Put "
                '`@keras.saving.register_keras_serializable(package="my_package")` '
                "above the class."
            )


def _in_float32(config):
    """The same configuration with every floating dtype policy replaced by float32."""
    if isinstance(config, list | tuple):
        return type(config)(_in_float32(item) for item in config)
    if not isinstance(config, dict):
        return config
    if str(config.get("class_name")).endswith(("DTypePolicy", "DTypePolicyMap")):
        return "float32"
    replaced = {key: _in_float32(value) for key, value in config.items()}
    if replaced.get("registered_name") == _FUSED_NORM:  # so that Keras alone loads it
        replaced.update(
            module="keras.layers", class_name="BatchNormalization", registered_name=None
        )
    if str(replaced.get("dtype")).endswith("float16"):  # bfloat16, mixed_float16, ...
        replaced["dtype"] = "float32"
    return replaced

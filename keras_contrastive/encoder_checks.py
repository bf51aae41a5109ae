"""What every method asks of an encoder, checked once and said clearly."""

import os
import warnings

import keras
import tensorflow as tf


def check_encoder(encoder) -> int:
    """Check that `encoder` maps one image tensor to features `(batch, dim)`.

    Args:
        encoder: What a user passed as the encoder.

    Returns:
        `dim`, the number of features.

    Raises:
        TypeError: `encoder` is not a `keras.Model`.
        ValueError: It has no fixed input yet, several inputs or outputs, an output
            that is not `(batch, dim)`, or an unknown `dim`.

    Example:
    >>> check_encoder(keras_contrastive.encoders.resnet(depth=10, width=16))
    128
    """
    if not isinstance(encoder, keras.Model):
        raise TypeError(
            "`encoder` must be a keras.Model from images to features (batch, dim), for "
            "example keras_contrastive.encoders.resnet(depth=18). "
            f"Received: encoder={encoder!r} (of type {type(encoder).__name__})."
        )
    try:
        inputs, outputs = encoder.inputs, encoder.outputs
    except AttributeError:  # subclassed, or a Sequential without an input shape
        raise ValueError(
            "`encoder` must be a functional or Sequential model with a known input "
            "shape. Wrap it: `x = keras.Input((32, 32, 3)); "
            "encoder = keras.Model(x, encoder(x))`. "
            f"Received: encoder={encoder.name!r} of type {type(encoder).__name__}, "
            "which has no defined inputs."
        ) from None
    if len(inputs) != 1 or len(outputs) != 1:
        raise ValueError(
            "`encoder` must have one input (images) and one output (features). "
            f"Received: encoder={encoder.name!r} with {len(inputs)} input(s) and "
            f"{len(outputs)} output(s). Make a keras.Model of the one output to use."
        )
    shape = tuple(outputs[0].shape)
    if len(shape) == 3:
        raise ValueError(
            "`encoder` must return features of shape (batch, dim), not one vector for "
            "each token. Pool them with keras_contrastive.encoders.from_application("
            "model, pooling='class_token') if the first token is a class token, else "
            "with pooling='mean'. "
            f"Received: encoder={encoder.name!r} with output shape {shape}."
        )
    if len(shape) != 2:
        raise ValueError(
            "`encoder` must return features of shape (batch, dim). Add a "
            "keras.layers.GlobalAveragePooling2D() after its last feature map, or use "
            "keras_contrastive.encoders.from_application(model). "
            f"Received: encoder={encoder.name!r} with output shape {shape}."
        )
    if shape[1] is None:
        raise ValueError(
            "`encoder` must have a known number of features. Give its Input a fixed "
            "size, or pool its feature map with GlobalAveragePooling2D(). "
            f"Received: encoder={encoder.name!r} with output shape {shape}."
        )
    return shape[1]


def taken_shape(encoder) -> tf.TensorShape:
    """Return the shape of the images that the encoder takes, None where it is open."""
    spec = tf.nest.flatten(getattr(encoder, "input_spec", None))[0]
    return tf.TensorShape(getattr(spec, "shape", None))


def check_any_size(encoder) -> None:
    """Raise a ValueError unless the encoder takes images and patches of any size."""
    taken = taken_shape(encoder)
    if taken.rank is not None and None not in (taken[1], taken[2]):
        raise ValueError(
            "Patches of images pass the encoder as whole images do, so it must take "
            f"any size. Received: encoder={encoder.name!r} for images of shape "
            f"{tuple(taken)}. Build it with height and width None in `input_shape`, or "
            "take a vision transformer of keras_contrastive.encoders.vit."
        )


def unsynchronized_batch_norms(model: keras.Model) -> list[str]:
    """Paths of the batch-norm layers whose statistics stay within one replica.

    Under `tf.distribute` such layers normalise by a part of the batch, so results
    depend on the number of replicas; build them with `synchronized=True`. The
    networks of this package do; those of `keras.applications` do not.

    Args:
        model: Any model; nested models and layers are searched too.

    Returns:
        The layers' paths, such as `"resnet50/conv1_bn"`; empty when all is well.

    Example:
    >>> unsynchronized_batch_norms(keras_contrastive.encoders.resnet(depth=10))
    []
    """
    return [
        layer.path
        for layer in model._flatten_layers(include_self=False)
        if isinstance(layer, keras.layers.BatchNormalization) and not layer.synchronized
    ]


def warn_of_unsynchronized_batch_norm(model: keras.Model) -> None:
    """Warn if results will depend on the number of replicas."""
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    layers = unsynchronized_batch_norms(model) if replicas > 1 else []
    if layers:
        warnings.warn(
            f"{len(layers)} batch norm layers of the encoder, such as {layers[0]!r}, "
            f"see only their replica's share of the batch: results will depend on the "
            "number of replicas. Build them with synchronized=True.",
            stacklevel=4,
        )


def unsafe_convolutions(model: keras.Model) -> list[str]:
    """Paths of the layers whose training on a CPU may corrupt memory.

    The gradient that oneDNN computes for the kernel of a strided 1x1 convolution of
    fewer than 16 channels in float32 writes behind its memory: the process dies with
    "free(): invalid next size", at once, later or never. It depends on the size of
    the images and of the batch; odd batches are the usual case. No other convolution
    did, among some 3,000 shapes of all kinds. `encoders.resnet` builds none of these.

    Args:
        model: Any built model; nested models are searched too.

    Returns:
        The layers' paths, such as `"stage2_block1_shortcut_conv"`.

    Example:
    >>> unsafe_convolutions(keras_contrastive.encoders.resnet(depth=10, width=4))
    []
    """
    kinds = (keras.layers.Conv2D, keras.layers.Conv2DTranspose)
    return [
        layer.path
        for layer in model._flatten_layers(include_self=False)
        if isinstance(layer, kinds)
        and layer.kernel_size == (1, 1)
        and max(layer.strides) > 1
        and getattr(layer, "groups", 1) == 1
        and layer.kernel.shape[-2] < 16
        and layer.trainable
        and layer.compute_dtype == "float32"
    ]


def warn_of_unsafe_convolutions(model: keras.Model) -> None:
    """Warn if training `model` here may corrupt memory, see `unsafe_convolutions`.

    Args:
        model: The model that is about to be trained.
    """
    onednn = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1").lower() not in ("0", "false")
    if not onednn or tf.config.list_physical_devices("GPU"):
        return
    layers = unsafe_convolutions(model)
    if layers:
        warnings.warn(
            f"Training {model.name!r} on a CPU may crash: oneDNN's gradient of a "
            "strided 1x1 convolution of fewer than 16 channels corrupts memory at some "
            f"sizes of image and batch. Received: {len(layers)} such layers, the first "
            f"{layers[0]!r}. Put a keras.layers.AveragePooling2D(1, strides) and a "
            "convolution of stride 1 in its place (the same function and weights); or "
            "set the environment variable TF_ENABLE_ONEDNN_OPTS=0 before Python "
            "starts. For an encoder that an older keras_contrastive.encoders.resnet "
            "built, build it again with the same arguments and call "
            "new.set_weights(old.get_weights()).",
            stacklevel=3,
        )

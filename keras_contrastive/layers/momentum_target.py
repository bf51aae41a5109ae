"""The target network of BYOL, SCE and MoCo: a slowly moving copy."""

import keras
from keras import ops

from keras_contrastive import distribute


@keras.saving.register_keras_serializable(package="keras_contrastive")
class MomentumTarget(keras.layers.Layer):
    """Exponential moving average of an encoder and its projector.

    The target is called with `training=True` while its model trains: its batch norm
    then uses batch statistics and keeps its own moving ones, which the moving average
    leaves alone (BYOL, 2020; SCE, 2023). No gradient passes through its output. The
    model keeps its variables out of `trainable_variables`; they are never frozen,
    because Keras puts the batch norm of a frozen layer in inference mode.

    Args:
        encoder: The online encoder, a built `keras.Model`.
        projector: The online projector, a built layer.

    Attributes:
        encoder: Copy of the encoder, equal to it until the first step.
        projector: Copy of the projector.
    """

    def __init__(self, encoder, projector, name="target", **kwargs):
        super().__init__(name=name, **kwargs)
        self.encoder = _copy(encoder)
        self.projector = _copy(projector)
        self.built = True

    def call(self, images, training=False):
        """Map images `(batch, height, width, channels)` to keys `(batch, dim)`."""
        features = self.encoder(images, training=training)
        return ops.stop_gradient(self.projector(features, training=training))

    def move_towards(self, encoder, projector, momentum):
        """Set every parameter to `target + (1 - momentum) * (online - target)`.

        Args:
            encoder: The online encoder.
            projector: The online projector.
            momentum: Float scalar tensor in [0, 1]; 1 leaves the target as it is.
        """
        # Parameters are what `trainable` layers call trainable: batch-norm statistics
        # are not among them. The layers' own lists do not change when someone freezes
        # the online network, and so stay aligned.
        distribute.update_each_replica(
            lambda target, online, m: target.assign(ema(target, online, m)),
            parameters(self.encoder) + parameters(self.projector),
            parameters(encoder) + parameters(projector),
            momentum,
        )


def ema(target, online, momentum):
    """Return `target + (1 - momentum) * (online - target)`, in the dtype of `target`.

    Args:
        target: Tensor of any shape.
        online: Tensor of the same shape, after the optimizer's step.
        momentum: Scalar in [0, 1]; 1 leaves the target where it is.
    """
    rate = ops.cast(1.0 - momentum, target.dtype)
    return target + rate * (ops.cast(online, target.dtype) - target)


def parameters(layer) -> list:
    """Variables that were made trainable, frozen now or not, in a fixed order."""
    variables = list(layer._trainable_variables)
    for sublayer in layer._layers:
        variables += [v for v in parameters(sublayer)]
    return list({id(variable): variable for variable in variables}.values())


def _copy(layer):
    """Return a layer of the same configuration and weights."""
    if hasattr(layer, "operations"):  # functional and sequential models
        copy = keras.models.clone_model(layer)
    else:
        copy = type(layer).from_config(layer.get_config())
        copy.build_from_config(layer.get_build_config())
    copy.set_weights(layer.get_weights())
    return copy

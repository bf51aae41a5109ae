"""A projection head for each part of the features."""

import keras
from keras import ops

from keras_contrastive.layers.built import built


@keras.saving.register_keras_serializable(package="keras_contrastive")
class PartHeads(keras.layers.Layer):
    """Projects each part of the features by a head of its own.

    The features of `kc.encoders.side_by_side` are those of several encoders in a row;
    their embeddings are in a row, too, in the same order.

    Args:
        heads: List of layers, `(batch, size)` to `(batch, dim)`, the same dim for all.
        sizes: List of the sizes of the parts, in the features' order.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Raises:
        ValueError: If there are not as many heads as sizes, or the features have
            another width than all parts together.

    Example:
        >>> heads = [keras.layers.Dense(2), keras.layers.Dense(2)]
        >>> kc.layers.PartHeads(heads, sizes=[3, 5])(np.ones((1, 8))).shape
        TensorShape([1, 4])
    """

    def __init__(self, heads, sizes, **kwargs):
        super().__init__(**kwargs)
        if len(heads) != len(sizes):
            raise ValueError(
                "`heads` and `sizes` must have one entry for each part. Received: "
                f"{len(heads)} heads, sizes={sizes}"
            )
        self.heads, self.sizes = list(heads), list(sizes)

    def build(self, input_shape):
        """Build the heads."""
        if input_shape[-1] != sum(self.sizes):
            raise ValueError(
                f"The features must be {sum(self.sizes)} wide, as all parts together. "
                f"Received: shape {tuple(input_shape)}, sizes={self.sizes}"
            )
        for head, size in zip(self.heads, self.sizes, strict=True):
            built(head, (*input_shape[:-1], size))

    def call(self, features, training=False):
        """Return the embeddings of all parts in a row."""
        ends = [sum(self.sizes[: i + 1]) for i in range(len(self.sizes) - 1)]
        parts = ops.split(features, ends, axis=-1)
        embeddings = [
            head(part, training=training) if head._call_has_training_arg else head(part)
            for head, part in zip(self.heads, parts, strict=True)
        ]
        return ops.concatenate(embeddings, axis=-1)

    def compute_output_shape(self, input_shape):
        """Return the shape of all embeddings in a row."""
        widths = [
            head.compute_output_shape((*input_shape[:-1], size))[-1]
            for head, size in zip(self.heads, self.sizes, strict=True)
        ]
        return (*input_shape[:-1], sum(widths))

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "heads": [serialize(head) for head in self.heads],
            "sizes": self.sizes,
        }

    @classmethod
    def from_config(cls, config):
        """Rebuild the layer from `get_config()`."""
        heads = map(keras.saving.deserialize_keras_object, config.pop("heads"))
        return cls(list(heads), **config)

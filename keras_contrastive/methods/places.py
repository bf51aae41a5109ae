"""What methods that look at the places of a feature map share."""

from keras import ops

from keras_contrastive.layers.built import built
from keras_contrastive.layers.residual_head import ResidualHead


def local_head(head, map_shape, units: int, name: str, **arguments):
    """Return a built head of a map, as wide as the embeddings that it is compared with.

    Args:
        head: What the user gave, or None for a `ResidualHead` with these `arguments`.
        map_shape: Shape of the map, `(batch, height, width, channels)`.
        units: Width of the embeddings.
        name: What the head is called in the method.
        **arguments: Of the `ResidualHead`.

    Raises:
        ValueError: If its output is not as wide as the embeddings.
    """
    if head is None:
        head = ResidualHead(units, name=name, **arguments)
    width = built(head, map_shape).compute_output_shape(map_shape)[-1]
    if width != units:
        raise ValueError(
            f"`{name}` must give places as wide as the projector's embeddings, "
            f"{units}. Received: a layer whose output has the width {width}."
        )
    return head


def flat(x):
    """Return a map `(batch, height, width, dim)` as places `(batch, places, dim)`."""
    return ops.reshape(x, (ops.shape(x)[0], -1, x.shape[-1]))

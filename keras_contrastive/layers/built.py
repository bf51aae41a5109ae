"""Building a layer that may be built already."""


def built(layer, input_shape):
    """Return the layer, built for that shape unless it was built before."""
    if not layer.built:
        layer.build(input_shape)
    return layer

"""The kind of weight of layers that remember: queue, bank, clock."""

import keras


def state_weight(
    layer: keras.layers.Layer, name, shape=(), initializer="zeros", dtype="float32"
) -> keras.Variable:
    """Add to `layer` a weight that follows the steps without a gradient; return it.

    No optimizer sees it, and no dtype policy casts it. Under `tf.distribute` every
    replica computes the same global value, so the first one's write is all replicas'
    write.

    Args:
        layer: The layer that holds it, and with which it is saved.
        name: Its name.
        shape: Its shape.
        initializer: As in `keras.layers.Layer.add_weight`.
        dtype: Its dtype.
    """
    return layer.add_weight(
        name=name,
        shape=shape,
        initializer=initializer,
        dtype=dtype,
        trainable=False,
        autocast=False,
        aggregation="only_first_replica",
    )

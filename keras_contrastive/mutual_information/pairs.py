"""What critics and estimators share: pairs of vectors, and networks of dense layers."""

import keras

EXPECTED = "Expected pairs as one tuple (x, y)"


def check_pair(pair):
    """Return what stands for `x` and for `y` of a pair of tensors or shapes, or raise.

    Args:
        pair: A tuple or list of two tensors, or of two shapes.
    """
    if isinstance(pair, (tuple, list)) and len(pair) == 2:
        x, y = pair
        if not any(isinstance(part, int | None) for part in pair):
            return x, y
    received = getattr(pair, "shape", pair)
    raise ValueError(
        f"{EXPECTED}. Received: {received}. Arrays go to `fit((x, y))`, where "
        "`fit(x, y)` reads y as labels, and a dataset yields `((x, y),)`."
    )


def check_vectors(pair_shape):
    """Return the widths of `x` and `y` whose shapes are both `(batch, dim)`, or raise.

    Args:
        pair_shape: The shapes of `x` and `y`.
    """
    shapes = [tuple(shape) for shape in check_pair(pair_shape)]
    if any(len(shape) != 2 or shape[1] is None for shape in shapes):
        raise ValueError(
            "A critic of dense layers takes vectors: x and y of shape (batch, dim). "
            f"Received: {shapes[0]} and {shapes[1]}. Flatten them, take an encoder's "
            "features, or write a layer from (x, y) to scores (batch, batch)."
        )
    return shapes[0][1], shapes[1][1]


def check_hidden_units(hidden_units) -> tuple[int, ...]:
    """Return `hidden_units` as a tuple of positive integers, or raise."""
    units = (hidden_units,) if isinstance(hidden_units, int) else tuple(hidden_units)
    if any(not isinstance(n, int) or n < 1 for n in units):
        raise ValueError(
            "`hidden_units` must be a positive integer or a tuple of them. "
            f"Received: hidden_units={hidden_units!r}"
        )
    return units


def kernel_initializer(seed, number: int) -> keras.initializers.Initializer:
    """Return Keras's default; of one seed, each number gives other values."""
    if seed is None:
        return keras.initializers.GlorotUniform()
    return keras.initializers.GlorotUniform(seed + number)


def dense_layers(units: int, hidden_units, seed, number: int, **kwargs):
    """Return a network of dense layers with ReLU, the last one linear.

    Args:
        units: Size of the output.
        hidden_units: Width of each hidden layer.
        seed: Seed of the kernels, or None.
        number: That of the first kernel, for `kernel_initializer`.
        **kwargs: Arguments of every layer, such as `dtype`.
    """
    layers = [
        keras.layers.Dense(
            width,
            activation="relu" if index < len(hidden_units) else None,
            kernel_initializer=kernel_initializer(seed, number + index),
            **kwargs,
        )
        for index, width in enumerate((*hidden_units, units))
    ]
    return keras.Sequential(layers)

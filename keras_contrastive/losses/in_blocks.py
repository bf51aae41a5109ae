"""Losses of all pairs of a batch in the memory of some of them."""

import tensorflow as tf

from keras_contrastive import distribute

_PAIRS = 2**22  # of a block: 16 MiB of float32
_ROWS = 256  # of a block at least: each adds to the gradient of all columns
_FEW = 2**24  # pairs that are compared at once
_ZERO = tf.UnconnectedGradients.ZERO  # of what a loss takes as it is


def in_blocks(function, rows, columns, block_size=None):
    """Return `function(*rows, *columns)`, computed for some of the rows at a time.

    A loss that compares n rows with m columns holds several matrices `(n, m)` until its
    gradient is known: 17 GB each for 65,536 embeddings. Here a block of the rows is
    compared with all columns, its values and its gradient are taken at once, and it is
    forgotten. Memory grows with n + m; values and gradients are the same to float32's
    rounding. If the values are weighted one by one, the gradient compares them again.

    Args:
        function: From tensors `(b, ...)` of `rows` and all of `columns` to float32
            `(b,)`, where a value depends on its own row and the columns alone. No
            collective of `tf.distribute` may be in it: gather the columns before.
        rows: Tensors with n rows: float ones, which get a gradient, then integers.
        columns: The same for what every row is compared with.
        block_size: Rows of a block; 0 for all at once. By default blocks of 4 million
            pairs where there are more than 16 million, as of 2,049 images in two views.
            A batch of unknown size is not cut.

    Returns:
        Float32 tensor `(n,)`.
    """
    block = _automatic(rows, columns) if block_size is None else block_size
    if not block:
        return function(*rows, *columns)
    count = tf.shape(rows[0])[0]
    blocks = -(-count // block)
    asked = _cut(tf.ones((count,)), blocks, block)
    tensors = [*(_cut(x, blocks, block) for x in rows), *columns]
    floats = [place for place, x in enumerate(tensors) if x.dtype.is_floating]
    of_rows = sum(place < len(rows) for place in floats)

    @tf.custom_gradient
    def run(*given):
        def compare(upstream):
            """Values, and the gradients of `given` for such a gradient of theirs."""

            def add(i, values, sums):
                parts = list(tensors)
                for place, x in zip(floats, given, strict=True):
                    parts[place] = x
                parts = [x[i] if p < len(rows) else x for p, x in enumerate(parts)]
                wanted = [parts[place] for place in floats]
                with tf.GradientTape() as tape:
                    tape.watch(wanted)
                    found = function(*parts)
                new = tape.gradient(found, wanted, upstream[i], _ZERO)
                sums = [
                    total.write(i, g) if place < of_rows else total + g
                    for place, (total, g) in enumerate(zip(sums, new, strict=True))
                ]
                return i + 1, values.write(i, found), sums

            start = [
                tf.TensorArray(x.dtype, blocks) if i < of_rows else tf.zeros_like(x)
                for i, x in enumerate(given)
            ]
            _, values, sums = tf.while_loop(
                lambda i, *_: i < blocks,
                add,
                (tf.constant(0), tf.TensorArray(tf.float32, blocks), start),
                parallel_iterations=1,
            )
            return values.stack(), [x.stack() for x in sums[:of_rows]] + sums[of_rows:]

        values, gradients = compare(asked)

        def gradient(upstream):
            factor = upstream[0, 0]  # the same for all rows of a mean or sum
            return tf.cond(
                tf.reduce_all(upstream == factor * asked),
                lambda: [factor * g for g in gradients],
                lambda: compare(upstream)[1],
            )

        return values, gradient

    values = run(*(tensors[place] for place in floats))
    return tf.reshape(values, (-1,))[:count]


def _automatic(rows, columns):
    """Rows of a block, or 0 where all fit, or nobody knows how many they are."""
    num_rows, num_columns = rows[0].shape[0], columns[0].shape[0]
    if num_columns is None and num_rows is not None:  # gathered from all replicas
        num_columns = num_rows * distribute.num_replicas()
    if num_rows is None or num_rows * num_columns <= _FEW:
        return 0
    return max(_ROWS, _PAIRS // num_columns)


def _cut(x, blocks, block):
    """Equal blocks of rows, as XLA needs them; the last one is filled with zeros."""
    missing = blocks * block - tf.shape(x)[0]
    x = tf.pad(x, [[0, missing], *[[0, 0]] * (len(x.shape) - 1)])
    return tf.reshape(x, (blocks, block, *x.shape[1:]))

"""A network of a large batch in the memory of a small one, with the exact gradient."""

import keras
import tensorflow as tf
from keras import ops


def in_micro_batches(network, inputs, size: int, variables=(), state=()) -> list:
    """Return `network(*inputs)`, computed and differentiated by micro-batches.

    The outputs of all micro-batches come first, and nothing else of them is kept. Where
    a gradient of the outputs arrives, each micro-batch is computed once more, with a
    tape, and the gradients of the variables are summed:

        dL/dw = sum_m (dL/dz_m) (dz_m/dw)

    which is the gradient of the whole batch, whatever the loss makes of the outputs
    (GradCache: Gao et al., 2021, https://arxiv.org/abs/2101.06983). Both times a
    micro-batch starts from the same state, such as the seeds of dropout; the state
    changes once, as it does in a loop over the micro-batches.

    A batch that `size` does not divide ends with a micro-batch that overlaps the one
    before it; an example that comes twice counts once.

    Args:
        network: Function of tensors `(n, ...)` to a sequence of float tensors `(n,
            ...)`, which looks at each example by itself, but for batch norm.
        inputs: Tensors `(batch, ...)`, to which no gradient passes.
        size: Number of examples of a micro-batch.
        variables: The Keras variables that learn. None, by default, takes no second
            pass.
        state: Keras variables that `network` may change.

    Returns:
        List of tensors `(batch, ...)`.

    Raises:
        ValueError: If `network` adds losses, changes what is not in `state`, draws
            random numbers that cannot be drawn twice, or under `tf.distribute` has a
            batch of unknown size.
    """
    batch = ops.shape(inputs[0])[0]
    if isinstance(batch, int):
        size = min(size, batch)
    elif not tf.distribute.has_strategy():
        size = tf.minimum(size, batch)
    else:
        raise ValueError(
            "Under tf.distribute `micro_batch_size` needs batches of a known size. "
            f"Received: views of shape {tuple(inputs[0].shape)}. Pass a dataset that "
            "is batched with drop_remainder=True."
        )
    count = -(-batch // size)

    def rows(i):
        return ops.minimum(i * size, batch - size) + tf.range(size)

    def run(i, values):
        mapping = zip(changed, values, strict=True)
        with _Watched(mapping, state) as scope:
            outputs = network(*(tf.gather(x, rows(i)) for x in inputs))
        return list(outputs), scope

    def state_after(scope):
        return [scope.get_current_value(v) for v in changed]

    # The first micro-batch tells what the network gives and which state it changes.
    changed: list = []
    outputs, scope = run(0, [])
    changed = [v for v in state if scope.get_current_value(v) is not None]
    start = [tf.convert_to_tensor(v) for v in changed]  # read now: it changes below
    arrays = [
        tf.TensorArray(x.dtype, count, element_shape=x.shape).write(0, x)
        for x in outputs
    ]

    def forward(i, values, arrays):
        outputs, scope = run(i, values)
        arrays = [a.write(i, x) for a, x in zip(arrays, outputs, strict=True)]
        return state_after(scope), arrays

    values, arrays = _loop(forward, 1, count, state_after(scope), arrays)
    for variable, value in zip(changed, values, strict=True):
        variable.assign(value)
    place = ops.arange(batch)
    place += ops.where(place < (count - 1) * size, 0, count * size - batch)
    outputs = [a.stack() for a in arrays]
    outputs = [tf.reshape(x, (-1, *x.shape[2:])) for x in outputs]
    outputs = [tf.stop_gradient(tf.gather(x, place)) for x in outputs]
    if not variables:
        return outputs

    @tf.custom_gradient
    def attached(*_):
        def gradient(*upstream):
            unused = set()

            def backward(i, values, sums):
                new = rows(i) >= i * size  # an example of the one before is not
                given = [
                    tf.where(tf.reshape(new, (-1, *[1] * (len(x.shape) - 1))), x, 0)
                    for x in (tf.gather(x, rows(i)) for x in upstream)
                ]
                with tf.GradientTape() as tape:
                    outputs, scope = run(i, values)
                found = tape.gradient(outputs, variables, given)
                unused.update(j for j, g in enumerate(found) if g is None)
                sums = [
                    s if g is None else s + tf.convert_to_tensor(g)
                    for s, g in zip(sums, found, strict=True)
                ]
                return state_after(scope), sums

            sums = [tf.zeros(v.shape, v.dtype) for v in variables]
            _, sums = _loop(backward, 0, count, start, sums)
            return [None if j in unused else s for j, s in enumerate(sums)]

        return outputs, gradient

    return list(attached(*(tf.convert_to_tensor(v) for v in variables)))


def check_divides(size: int | None, batch: int | None, replicas: int) -> None:
    """Raise a ValueError if micro-batches do not fill a replica's part of the batch.

    Args:
        size: Number of examples of a micro-batch, or None.
        batch: Size of the global batch, or None if it is not known.
        replicas: Number of replicas.
    """
    if size and batch and batch % (size * replicas):
        raise ValueError(
            "`micro_batch_size` must divide the batch of each replica. Received: "
            f"micro_batch_size={size} and a batch of {batch} on {replicas} "
            f"replica{'s' * (replicas > 1)}. Choose a divisor of {batch // replicas}."
        )


class _Watched(keras.StatelessScope):
    """Nothing changes a variable in it; raises at its end what cannot be repeated."""

    def __init__(self, mapping, state):
        super().__init__(mapping, collect_losses=True)
        self._own = {id(v) for v in state}

    def __enter__(self):
        if not tf.executing_eagerly():
            self._before = len(tf.compat.v1.get_default_graph().get_operations())
        return super().__enter__()

    def __exit__(self, kind, *args, **kwargs):
        super().__exit__(kind, *args, **kwargs)
        if kind is not None:
            return
        if self.losses:
            raise ValueError(
                "`micro_batch_size` has no place for losses that layers add, of their "
                f"activations or by `add_loss`. Received: {len(self.losses)}. Leave "
                "them out."
            )
        if set(self.state_mapping) - self._own or self._drawn():
            raise ValueError(
                "`micro_batch_size` computes every micro-batch twice, and a layer of "
                "the network draws from a generator that cannot be set back, or "
                "changes a variable that is not the model's. Give random layers a "
                "`keras.random.SeedGenerator` as an attribute, or augment in the "
                "dataset."
            )

    def _drawn(self):
        if tf.executing_eagerly():
            return False
        made = tf.compat.v1.get_default_graph().get_operations()[self._before :]
        return any(op.type in _DRAWS for op in made)


_DRAWS = {
    "Multinomial",
    "RandomGamma",
    "RandomPoissonV2",
    "RandomShuffle",
    "RandomStandardNormal",
    "RandomUniform",
    "RandomUniformInt",
    "RngReadAndSkip",
    "RngSkip",
    "TruncatedNormal",
}


def _loop(body, first, count, *carried):
    """Call `carried = body(i, *carried)` for i in [first, count), one after another."""
    if not tf.distribute.has_strategy():
        _, *carried = tf.while_loop(
            lambda i, *_: i < count,
            lambda i, *carried: (i + 1, *body(i, *carried)),
            (first, *carried),
            parallel_iterations=1,
        )
        return carried
    for i in range(first, count):  # no loop of the graph: replicas cannot talk in it
        waits = [
            x.flow if isinstance(x, tf.TensorArray) else x for x in sum(carried, [])
        ]
        with tf.control_dependencies(waits):
            carried = body(i, *carried)
    return carried

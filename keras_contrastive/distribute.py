"""What losses, presets and exports need of `tf.distribute`, in a few functions.

Inside `strategy.run` every replica holds its part of the global batch. A loss
that compares examples must compare them with the whole global batch, so it
gathers. Outside a replica (one device, eager, tests) nothing is communicated.
"""

import json
import math
import os
import threading
import zlib

import tensorflow as tf


def num_replicas() -> int:
    """Number of replicas that run the current step; 1 outside `strategy.run`."""
    if not tf.distribute.in_cross_replica_context():
        return tf.distribute.get_strategy().num_replicas_in_sync
    return 1


def replica_id() -> int:
    """Number of the replica that runs the current step; 0 outside `strategy.run`."""
    if num_replicas() == 1:
        return 0
    return tf.distribute.get_replica_context().replica_id_in_sync_group


def all_gather(x):
    """Concatenate `x` of all replicas along axis 0, in the order of the replicas.

    The gradient flows back to every replica's own part: with a loss divided by
    the number of replicas and summed gradients it equals the gradient of one
    device that holds the whole batch.

    Args:
        x: Tensor of shape `(local_batch, ...)`. The local batch may differ
            between replicas.

    Returns:
        Tensor of shape `(global_batch, ...)`; `x` itself on one replica. Its static
        shape is that of `x`, but for axis 0, which is unknown on several replicas
        even where the local batch is static: no replica knows the parts of the
        others. Ask `keras.ops.shape(gathered)[0]` for it.
    """
    if num_replicas() == 1:
        return x
    x = tf.convert_to_tensor(x)
    gathered = tf.distribute.get_replica_context().all_gather(x, axis=0)
    gathered.set_shape(tf.TensorShape([None]).concatenate(x.shape[1:]))
    return gathered


def local_offset(local_batch):
    """Row of the global batch at which this replica's part begins.

    Args:
        local_batch: Number of examples on this replica, an int or a scalar tensor.

    Returns:
        An int32 scalar; 0 on one replica.
    """
    if num_replicas() == 1:
        return 0
    context = tf.distribute.get_replica_context()
    sizes = context.all_gather(tf.reshape(tf.cast(local_batch, tf.int32), (1,)), axis=0)
    return tf.reduce_sum(sizes[: context.replica_id_in_sync_group])


def local_rows(local_batch):
    """Return the rows of the global batch that are this replica's, int32 `(batch,)`.

    Args:
        local_batch: Number of examples on this replica, an int or a scalar tensor.
    """
    return tf.range(local_batch) + local_offset(local_batch)


def all_reduce_mean(x):
    """Mean of `x` over the replicas; `x` itself on one replica."""
    if num_replicas() == 1:
        return x
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, x)


def all_reduce_sum(x):
    """Sum of `x` over the replicas, with its gradient; `x` itself on one replica."""
    if num_replicas() == 1:
        return x
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, x)


def uniform_rows(local_batch, shape, seed, **kwargs):
    """Draw uniform numbers for each example, the same on any number of replicas.

    They are drawn for the global batch, of which each replica takes its part.

    Args:
        local_batch: Number of examples on this replica, the same on all replicas.
        shape: Shape of the numbers of one example, a tuple.
        seed: Two integers: the same seed, the same numbers.
        **kwargs: As in `tf.random.stateless_uniform`; numbers in [0, 1) by default.

    Returns:
        Tensor of shape `(local_batch, *shape)`.
    """
    seed = tf.stack([tf.cast(part, tf.int32) for part in seed])
    shape = (num_replicas() * local_batch, *shape)
    drawn = tf.random.stateless_uniform(shape, seed, **kwargs)
    start = replica_id() * local_batch
    return drawn[start : start + local_batch]


def shared_seed():
    """Return two random integers, new in every step and the same on all replicas."""
    seed = tf.random.uniform((1, 2), maxval=2**31 - 1, dtype=tf.int32)
    return all_gather(seed)[0]


def on_shuffled(function, x, seed):
    """Return `function(x)`, computed with the global batch dealt out anew.

    Every replica computes a random share of the global batch, and gets back the
    results of its own examples: MoCo's shuffled batch norm (He et al., 2020, section
    3.3). On one replica it is `function(x)`.

    Args:
        function: From `(batch, ...)` to `(batch, ...)`.
        x: Tensor `(local_batch, ...)`, equally long on all replicas. No gradient
            passes.
        seed: Integer scalar tensor, the same on all replicas: which share is whose.

    Returns:
        Tensor `(local_batch, ...)`.
    """
    if num_replicas() == 1:
        return function(x)
    everything = all_gather(tf.stop_gradient(x))
    local, batch = tf.shape(x)[0], tf.shape(everything)[0]
    seed = tf.stack([tf.cast(seed, tf.int32), 0])
    order = tf.random.experimental.stateless_shuffle(tf.range(batch), seed)
    start = local_offset(local)
    results = function(tf.gather(everything, order[start : start + local]))
    places = tf.math.invert_permutation(order)[start : start + local]
    return tf.gather(all_gather(tf.stop_gradient(results)), places)


def on_several_machines(strategy=None) -> bool:
    """Whether a strategy, by default the one in force, has other worker processes."""
    strategy = strategy or tf.distribute.get_strategy()
    return (
        isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        and strategy.extended._in_multi_worker_mode()
    )


def is_chief(strategy) -> bool:
    """Whether this process is the one that writes files: the chief or worker 0."""
    if not on_several_machines(strategy):
        return True
    resolver = strategy.cluster_resolver
    kind = "chief" if "chief" in resolver.cluster_spec().jobs else "worker"
    return (resolver.task_type, resolver.task_id) == (kind, 0)


def workers_of_tf_config() -> int:
    """Number of processes that train together by `TF_CONFIG`; 0 if it is not set.

    Raises:
        ValueError: If it is set and malformed.
    """
    text = os.environ.get("TF_CONFIG", "")
    if not text.strip():
        return 0
    try:
        config = json.loads(text)
        cluster, task = config.get("cluster", {}), config.get("task", {})
        members = [(kind, i) for kind, all in cluster.items() for i in range(len(all))]
        known = not cluster or (task.get("type"), int(task["index"])) in members
    except (ValueError, TypeError, AttributeError, KeyError):
        known = False
    if not known:
        raise ValueError(
            "TF_CONFIG must be JSON with the addresses of all workers, the same for "
            "each, and the number of this one, such as "
            '{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]}, "task": '
            f'{{"type": "worker", "index": 0}}}}. Received: {text!r}'
        )
    if task.get("type") not in ("chief", "worker"):
        return 0  # it evaluates, or serves parameters
    return sum(kind in ("chief", "worker") for kind, _ in members)


def check_agreement(strategy, **values) -> None:
    """Raise on every worker if one of `values`, each with a name, differs among them.

    Raises:
        ValueError: It names what differs, and what it is here.
    """
    if not on_several_machines(strategy):
        return
    codes = [zlib.crc32(repr(value).encode()) for value in values.values()]

    @tf.function
    def of_all():
        return strategy.run(lambda: all_gather(tf.constant([codes], tf.int64)))

    found = strategy.experimental_local_results(of_all())[0].numpy()
    differ = (found != codes).any(axis=0)
    if differ.any():
        here = ", ".join(
            f"{name.replace('_', ' ')} {value!r}"
            for (name, value), other in zip(values.items(), differ, strict=True)
            if other
        )
        raise ValueError(
            "All workers must train the same model on batches of one size with one "
            f"version of the package. Received on this worker: {here}; on others it "
            "is another. Start all workers with the same command and files."
        )


def says_that_a_worker_has_gone(error: tf.errors.OpError, strategy) -> bool:
    """Whether an error is that of a process that waits for others in vain."""
    kinds = (
        tf.errors.AbortedError,
        tf.errors.DeadlineExceededError,
        tf.errors.UnavailableError,
    )
    aborted = isinstance(error, kinds) or "Collective ops is aborted" in str(error)
    return aborted and on_several_machines(strategy)


def reducible(logs: dict) -> dict:
    """Return what a step returns as Keras 3.15 can reduce it on several machines.

    It takes the mean over axis 0 there, which a scalar has not.
    """
    if not on_several_machines():
        return logs
    return {name: tf.reshape(value, (1,)) for name, value in logs.items()}


def share_overflow(gradients):
    """Let every replica know of a gradient that overflowed on one of them.

    Keras's `LossScaleOptimizer` asks one replica whether its gradients are finite and
    decides for all, although each has gradients of its own before they are summed.

    Args:
        gradients: List of this replica's gradients; None where there is none.

    Returns:
        The gradients, all of them NaN unless they are finite on every replica; and
        whether they are, a boolean scalar tensor that is the same on every replica.
    """
    finite = [tf.reduce_all(tf.math.is_finite(g)) for g in gradients if g is not None]
    finite = tf.reduce_all(tf.stack(finite))
    if num_replicas() > 1:
        finite = all_reduce_mean(tf.cast(finite, tf.float32)) == 1.0
        gradients = [
            g if g is None else tf.where(finite, g, tf.constant(math.nan, g.dtype))
            for g in gradients
        ]
    return gradients, finite


def update_each_replica(update, variables, sources, *args) -> None:
    """Run `update(variable, source, *args)` for every pair, on every replica.

    Replicas hold equal values, so each updates its own copy without communication.

    Args:
        update: Function of a variable, the source's value and `args`, that assigns.
        variables: Keras variables to be changed.
        sources: Keras variables of the same shapes, to be read.
        *args: Tensors that are the same on every replica.
    """
    if num_replicas() == 1:
        for variable, source in zip(variables, sources, strict=True):
            update(variable.value, source.value, *args)
        return

    def merged(strategy, *args):
        for variable, source in zip(variables, sources, strict=True):
            strategy.extended.update(variable.value, update, (source.value, *args))

    tf.distribute.get_replica_context().merge_call(merged, args)


def outside_strategy(function):
    """Call `function` where no `strategy.scope()` is active, and return its result.

    The stack of scopes belongs to a thread, so within one a new thread does it.
    """
    if not tf.distribute.has_strategy():
        return function()
    outcome = {}

    def call():
        try:
            outcome["result"] = function()
        except BaseException as error:  # raised again below, in the caller's thread
            outcome["error"] = error

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    if "error" in outcome:
        raise outcome["error"]
    return outcome["result"]

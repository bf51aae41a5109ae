"""This package's train step on views in memory, with what `compile` chooses.

`product` in the task: only a large matrix product or convolution, the machine's limit.
"""

import keras
import numpy as np
import protocol
import tensorflow as tf

import keras_contrastive as kc


def batches(task):
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(task["precision"])
    if "product" in task:
        yield from product(task["product"], keras.config.dtype_policy().compute_dtype)
    model = make(task)
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9, weight_decay=5e-4)
    model.compile(optimizer, jit_compile=task.get("jit_compile", "auto"))
    model.build_optimizer()
    step = model.make_train_function() or model.train_function
    shape = (task["batch_size"], task["size"], task["size"], 3)
    rng = np.random.default_rng(0)
    views = tuple(rng.uniform(0, 255, shape).astype("float32") for _ in range(2))
    data = iter(tf.data.Dataset.from_tensors((views,)).repeat())
    while True:
        logs = step(data)
        float(logs["loss"])  # what a GPU was told to do is done
        yield views


def make(task):
    """Return the method on a ResNet, its heads as lightly's."""
    network = {name: task[name] for name in ("depth", "width", "stem") if name in task}
    shape = (task["size"], task["size"], 3)
    encoder = kc.encoders.resnet(**network, input_shape=shape)
    *hidden, units = task["head"]
    norms = {"BYOL": {"hidden_bias": False}, "SimCLR": {"output_norm": True}}
    more = norms.get(task["method"], {})
    head = kc.layers.ProjectionHead(units, tuple(hidden), **more)
    if task["method"] == "BYOL":
        predictor = kc.layers.ProjectionHead(units, tuple(hidden), **more)
        return kc.BYOL(encoder, head, predictor)
    return getattr(kc, task["method"])(encoder, head)


def product(kind, dtype):
    """Yield lists as long as the megaflops of a product are many, after each."""
    rng = np.random.default_rng(0)

    def random(*shape):
        return tf.cast(rng.normal(size=shape), dtype)

    if kind == "matrix product":
        a, b = random(2048, 2048), random(2048, 2048)
        multiply, flops = tf.function(lambda: tf.matmul(a, b)), 2 * 2048**3
    else:  # of the second stage
        x, kernel = random(64, 32, 32, 64), random(3, 3, 64, 64)
        multiply = tf.function(lambda: tf.nn.conv2d(x, kernel, 1, "SAME"))
        flops = 2 * 64 * 32**2 * 9 * 64**2
    while True:
        multiply()
        yield [range(flops // 10**6)]


if __name__ == "__main__":
    versions = {
        "keras_contrastive": kc.__version__,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
    }
    protocol.serve(batches, versions)

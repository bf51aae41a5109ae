"""One worker of `test_several_machines.py`: python FILE OUTPUT EPOCHS."""

import os
import pathlib
import sys

import tensorflow as tf

if "TF_CONFIG" in os.environ:
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
else:
    strategy = tf.distribute.get_strategy()

import numpy as np  # noqa: E402
from helpers import build, dataset, sgd, weights_of  # noqa: E402

import keras_contrastive as kc  # noqa: E402
from keras_contrastive import distribute  # noqa: E402

output, epochs = pathlib.Path(sys.argv[1]), int(sys.argv[2])
with strategy.scope():
    model = build("moco")
    model.compile(sgd(), jit_compile=False)
start = weights_of(model)
number = strategy.cluster_resolver.task_id if "TF_CONFIG" in os.environ else 0
if distribute.on_several_machines(strategy):  # what differs is known before a step
    try:
        model.fit(dataset(model, 16, batch=8 + 8 * number), verbose=0)
    except ValueError as error:
        print("refused:", error)
checkpoint = kc.callbacks.Checkpoint(output / "run.weights.h5")
model.fit(dataset(model, 16), epochs=epochs, verbose=0, callbacks=[checkpoint])
loss = model.evaluate(dataset(model, 16), verbose=0)[0]
ends = {f"end{i}": w for i, w in enumerate(weights_of(model))}
starts = {f"start{i}": w for i, w in enumerate(start)}
np.savez(output / f"{number}.npz", loss=loss, **ends, **starts)

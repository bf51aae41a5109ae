"""A model with every kind of variable, small enough to train in a test."""

import keras
import numpy as np


def small_model(optimizer, **compile_arguments):
    """A model with kernels, biases and batch norm, its data, and its optimizer."""
    model = keras.Sequential(
        [
            keras.layers.Input((4,)),
            keras.layers.Dense(5, name="first"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.ReLU(),
            keras.layers.Dense(1, name="last"),
        ],
        name="net",
    )
    model.compile(optimizer, "mse", **compile_arguments)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(16, 4)).astype("float32")
    return model, x, np.sum(x, axis=1, keepdims=True)


def fit(model, x, y, epochs=2):
    model.fit(x, y, batch_size=8, epochs=epochs, shuffle=False, verbose=0)

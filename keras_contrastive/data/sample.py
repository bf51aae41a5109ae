"""The embedded sample: a part of Fashion-MNIST, so that nothing needs a network."""

import importlib.resources

import numpy as np

sample_class_names = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def load_sample() -> tuple[
    tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]
]:
    """10,000 training and 2,000 test images of Fashion-MNIST, without a network.

    Balanced: 1,000 and 200 images of each of the ten classes of
    `sample_class_names`, from the train and the test split. Fashion-MNIST is
    copyright (c) 2017 Zalando SE, under the MIT licence, which lies beside the data.

    Returns:
        `(x_train, y_train), (x_test, y_test)`: uint8 images in [0, 255] of shapes
        `(10000, 28, 28, 1)` and `(2000, 28, 28, 1)`, int64 labels in [0, 9] of
        shapes `(10000,)` and `(2000,)`.

    Example:
        >>> (x_train, y_train), (x_test, y_test) = kc.data.load_sample()

    Reference:
        [Xiao, Rasul and Vollgraf, 2017](https://arxiv.org/abs/1708.07747)
    """
    assets = importlib.resources.files("keras_contrastive") / "assets"
    with (assets / "fashion_mnist_sample.npz").open("rb") as file:
        arrays = np.load(file)
        return (
            (arrays["x_train"], arrays["y_train"].astype(np.int64)),
            (arrays["x_test"], arrays["y_test"].astype(np.int64)),
        )

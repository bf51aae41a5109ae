import numpy as np

import keras_contrastive.data as data


def test_sample_is_balanced_real_and_small():
    (x_train, y_train), (x_test, y_test) = data.load_sample()
    assert x_train.shape == (10_000, 28, 28, 1) and x_test.shape == (2_000, 28, 28, 1)
    for x, y, per_class in ((x_train, y_train, 1_000), (x_test, y_test, 200)):
        assert x.dtype == np.uint8 and y.dtype == np.int64
        assert list(np.bincount(y)) == [per_class] * 10
        assert x.min() == 0 and x.max() == 255
    assert np.any(np.diff(y_train[:20]))  # shuffled
    assert len(data.sample_class_names) == 10
    # Images of one class are nearer to their class mean than to another one.
    means = np.stack([x_train[y_train == c].mean(axis=0) for c in range(10)])
    distances = ((x_test[:, None] - means.astype(float)) ** 2).sum(axis=(2, 3, 4))
    assert np.mean(distances.argmin(axis=1) == y_test) > 0.6
    train = {image.tobytes() for image in x_train}
    assert sum(image.tobytes() in train for image in x_test) < 10


def test_licence_lies_beside_the_sample():
    import importlib.resources

    assets = importlib.resources.files("keras_contrastive") / "assets"
    text = (assets / "FASHION_MNIST_LICENSE.txt").read_text()
    assert "MIT License" in text and "Zalando SE" in text

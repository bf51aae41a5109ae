import keras
import numpy as np
import pytest

from keras_contrastive import mutual_information as mi

CRITICS = {
    "separable": lambda **k: mi.SeparableCritic(4, (8, 6), **k),
    "linear": lambda **k: mi.SeparableCritic(4, (), **k),
    "bilinear": mi.BilinearCritic,
    "concatenated": lambda **k: mi.ConcatenatedCritic((8, 6), **k),
}


def pair(n=5):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(n, dim)).astype("float32") for dim in (3, 2)]


def dense(layers, x):
    """A network of dense layers in NumPy."""
    for layer in layers:
        x = x @ layer.kernel.numpy() + layer.bias.numpy()
        x = x if layer is layers[-1] else np.maximum(x, 0)
    return x


def naive(critic, x, y):
    """The score of one pair of vectors."""
    if isinstance(critic, mi.SeparableCritic):
        return dense(critic.of_x.layers, x) @ dense(critic.of_y.layers, y)
    if isinstance(critic, mi.BilinearCritic):
        return y @ critic.kernel.numpy() @ x
    both = np.concatenate([x, y]) @ critic.kernel.numpy() + critic.bias.numpy()
    return dense(critic.rest.layers, np.maximum(both, 0))[0]


@pytest.mark.parametrize("name", CRITICS)
def test_row_is_y_and_column_is_x(name):
    critic, (x, y) = CRITICS[name](seed=0), pair()
    scores = critic((x, y))
    for weight in critic.weights:  # biases start at 0
        weight.assign(weight + 0.1)
    scores = critic((x, y))
    expected = [[naive(critic, x[j], y[i]) for j in range(5)] for i in range(5)]
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CRITICS)
def test_seed_and_config(name):
    critic, other = CRITICS[name](seed=3), CRITICS[name](seed=4)
    config = critic.get_config()
    again = type(critic).from_config(config)
    np.testing.assert_array_equal(again(pair()), critic(pair()))
    assert again.get_config() == config
    assert not np.allclose(other(pair()), critic(pair()))
    kernels = [w.numpy() for w in critic.trainable_variables if len(w.shape) == 2]
    assert len({k.tobytes() for k in kernels}) == len(kernels)  # of two networks, too
    unseeded = CRITICS[name](), CRITICS[name]()
    assert not np.allclose(*[c(pair()) for c in unseeded])


@pytest.mark.parametrize("name", CRITICS)
def test_float16(name):
    critic = CRITICS[name](dtype="mixed_float16")
    assert keras.backend.standardize_dtype(critic(pair()).dtype) == "float16"
    assert all(w.dtype == "float32" for w in critic.weights)


def test_wrong_arguments():
    x, y = pair()
    for name in CRITICS:
        critic = CRITICS[name]()
        with pytest.raises(ValueError, match="takes vectors.*or write a layer"):
            critic((x[:, :, None], y))
        with pytest.raises(ValueError, match=r"one tuple \(x, y\). Received: "):
            critic(x)
    with pytest.raises(ValueError, match="without, x and y do not meet"):
        mi.ConcatenatedCritic(())
    for bad in (0, (8, -1), (8, 2.5)):
        with pytest.raises(ValueError, match="Received: hidden_units="):
            mi.SeparableCritic(hidden_units=bad)
    with pytest.raises(ValueError, match="`dim` must be a positive integer"):
        mi.SeparableCritic(0)

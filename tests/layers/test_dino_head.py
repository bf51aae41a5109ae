import json

import keras
import numpy as np
import pytest
from scipy.special import erf

from keras_contrastive.layers import DINOHead


def features(n=6, dim=5):
    return np.random.default_rng(0).normal(size=(n, dim)).astype("float32")


def built(**arguments):
    head = DINOHead(
        **{"units": 7, "hidden_units": (8, 4), "bottleneck": 3, **arguments}
    )
    head.build((None, 5))
    return head


def weights(variables):
    """By name, without those of the layers around."""
    names = (v.path.split("/", 1)[1].removeprefix("mlp/") for v in variables)
    return dict(zip(names, map(np.array, variables), strict=True))


def unit(x, axis):
    return x / np.linalg.norm(x, axis=axis, keepdims=True)


@pytest.mark.parametrize("hidden_norm", [False, True])
def test_against_numpy(hidden_norm):
    head = built(hidden_norm=hidden_norm)
    assert not np.any(weights(head.variables)["output_dense/bias"])
    head.set_weights([np.full_like(w, 0.1) + 10 * w for w in head.get_weights()])
    w = weights(head.variables)
    x = features().astype("float64")
    for i in (1, 2):
        x = x @ w[f"hidden{i}_dense/kernel"]
        if hidden_norm:
            x = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)
            x = x * w[f"hidden{i}_norm/gamma"] + w[f"hidden{i}_norm/beta"]
        else:
            x = x + w[f"hidden{i}_dense/bias"]
        x = x * 0.5 * (1 + erf(x / np.sqrt(2)))  # GELU, exact
    z = x @ w["output_dense/kernel"] + w["output_dense/bias"]
    expected = unit(z, 1) @ unit(w["last_kernel"], 0)
    scores = np.array(head(features(), training=True))
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-5)


def test_the_length_of_the_last_kernel_has_no_effect():
    head = built()
    before = head(features())
    head.last_kernel.assign(37.0 * head.last_kernel)
    np.testing.assert_allclose(head(features()), before, atol=1e-6)
    assert np.abs(before).max() <= 1 + 1e-6


def test_starts_as_the_authors_heads():
    head = DINOHead(512, (256, 256), 128)
    head.build((None, 64))
    kernels = weights(head.trainable_variables)
    for name in ("hidden1_dense", "hidden2_dense", "output_dense"):
        assert kernels[f"{name}/kernel"].std() == pytest.approx(0.02, rel=0.15)
    last = kernels["last_kernel"]
    assert np.abs(last).max() == pytest.approx(1 / np.sqrt(128), rel=0.01)
    defaults = DINOHead(65536).get_config()
    assert defaults["hidden_units"] == [2048, 2048] and defaults["bottleneck"] == 256
    assert defaults["hidden_norm"] is False


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    keras.config.set_dtype_policy(policy)
    head = built(hidden_norm=True)
    scores = head(features() * 100)
    assert scores.dtype == policy.removeprefix("mixed_")
    assert np.isfinite(np.array(scores, "float32")).all()
    assert {v.dtype for v in head.variables} == {"float32"}


def test_save_and_load_and_config(tmp_path):
    x = keras.Input((5,))
    model = keras.Model(x, DINOHead(7, (8,), 3, hidden_norm=True)(x))
    model(features(), training=True)  # moves the statistics
    model.save(tmp_path / "head.keras")
    loaded = keras.models.load_model(tmp_path / "head.keras")
    np.testing.assert_array_equal(loaded(features()), model(features()))
    config = json.loads(json.dumps(loaded.layers[-1].get_config()))
    assert DINOHead.from_config(config).get_config() == model.layers[-1].get_config()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"units": 0}, "`units` must be a positive integer"),
        ({"hidden_units": (8, 2.5)}, "`hidden_units` must be a positive integer.*2.5"),
        ({"bottleneck": -1}, "`bottleneck` must be a positive integer"),
    ],
)
def test_bad_arguments(arguments, match):
    with pytest.raises(ValueError, match=match):
        built(**arguments)
    with pytest.raises(ValueError, match=r"\(batch, dim\).*GlobalAveragePooling2D"):
        DINOHead(4).build((None, 3, 3, 8))

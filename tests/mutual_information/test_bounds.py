import golden_values
import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_contrastive import mutual_information as mi

GOLDEN = golden_values.load("mi_bounds")
CASES = [case for case in GOLDEN if case.startswith("c")]
BASELINE = ("tuba", "interp_a0.01", "interp_a0.5", "interp_a0.99")
BOUNDS = {
    "dv": mi.dv,
    "nwj": mi.nwj,
    "infonce": mi.infonce,
    "js": mi.js,
    "smile_c1": lambda s: mi.smile(s, 1.0),
    "smile_c5": mi.smile,
    "smile_noclip": lambda s: mi.smile(s, None),
    "tuba": mi.tuba,
    "interp_a0.01": lambda s, b: mi.interpolated(s, b, 0.01),
    "interp_a0.5": mi.interpolated,
    "interp_a0.99": lambda s, b: mi.interpolated(s, b, 0.99),
}


def arguments(name, scores, log_baseline):
    return [scores, log_baseline] if name in BASELINE else [scores]


def assert_close(actual, expected, rtol):
    """Differences relative to the largest entry."""
    largest = np.max(np.abs(expected))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=rtol * largest)


def value_and_gradients(bound, *arguments):
    arguments = [tf.convert_to_tensor(x) for x in arguments]
    with tf.GradientTape() as tape:
        tape.watch(arguments)
        value = bound(*arguments)
    return value, tape.gradient(value, arguments)


def random_scores(n, scale=1.0, seed=0):
    rng = np.random.default_rng(seed)
    scores = scale * (rng.normal(size=(n, n)) + 2 * np.eye(n))
    return scores.astype("float32"), rng.normal(size=n).astype("float32")


def naive(name, s, b):
    """Sums over pairs, one by one, in float64."""
    s, b, n = s.astype("float64"), b.astype("float64"), len(s)
    joint = sum(s[i, i] for i in range(n)) / n
    apart = [(i, j) for i in range(n) for j in range(n) if i != j]

    def mean(terms):
        return sum(terms) / len(apart)

    if name == "dv" or name == "smile_noclip":
        return joint - np.log(mean(np.exp(s[p]) for p in apart))
    if name.startswith("smile"):
        c = float(name[-1])
        return joint - np.log(mean(np.exp(min(max(s[p], -c), c)) for p in apart))
    if name in ("nwj", "js"):
        return joint - mean(np.exp(s[p] - 1) for p in apart)
    if name == "infonce":
        own = [np.exp(s[i, i]) / sum(np.exp(s[i])) for i in range(n)]
        return np.log(n) + sum(np.log(own)) / n
    if name == "tuba":
        joint = 1 + sum(s[i, i] - b[i] for i in range(n)) / n
        return joint - mean(np.exp(s[i, j] - b[i]) for i, j in apart)
    alpha = float(name.removeprefix("interp_a"))

    def a(i, j):
        others = [np.exp(s[i, k]) for k in range(n) if k != j]
        return alpha * sum(others) / (n - 1) + (1 - alpha) * np.exp(b[i])

    joint = 1 + mean(s[i, i] - np.log(a(i, j)) for i, j in apart)
    return joint - mean(np.exp(s[i, j]) / a(i, i) for i, j in apart)


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("case", CASES)
def test_authors_values_and_gradients(case, name):
    golden = {k: np.float32(v) for k, v in GOLDEN[case].items() if k != "hp"}
    given = arguments(name, golden["scores"], golden["log_baseline"])
    value, gradients = value_and_gradients(BOUNDS[name], *given)
    np.testing.assert_allclose(value, golden[name], rtol=2e-5, atol=1e-6)
    keys = [f"grad_{name}", f"grad_log_baseline_{name}"]
    for key, gradient in zip(keys, gradients, strict=False):
        assert_close(gradient, golden[key], rtol=1e-4)


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("n", [2, 3, 7])
def test_naive_sums(n, name):
    scores, log_baseline = random_scores(n)
    value = BOUNDS[name](*arguments(name, scores, log_baseline))
    expected = naive(name, scores, log_baseline)
    np.testing.assert_allclose(value, expected, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("case", CASES)
def test_interpolated_ends(case):
    golden = {k: np.float32(v) for k, v in GOLDEN[case].items() if k != "hp"}
    for alpha, key in ((0, "interp_a0_limit"), (1.0, "interp_a1_limit")):
        value = mi.interpolated(golden["scores"], golden["log_baseline"], alpha)
        np.testing.assert_allclose(value, golden[key], rtol=2e-5, atol=2e-6)
        assert alpha == 0 or float(value) <= np.log(len(golden["scores"]) - 1) + 1e-6


@pytest.mark.parametrize("name", ["js", "smile_c1", "smile_noclip"])
def test_gradient_is_that_of_a_discriminator(name):
    scores, _ = random_scores(6)
    _, (gradient,) = value_and_gradients(BOUNDS[name], scores)
    expected = -keras.ops.sigmoid(scores) / 30  # of an "apart" pair, and of a joint:
    expected = np.where(np.eye(6), keras.ops.sigmoid(-scores) / 6, expected)
    assert_close(gradient, expected, rtol=1e-5)


@pytest.mark.parametrize("n", [2, 3, 16, 100])
def test_infonce_is_never_above_log_n(n):
    for scale in (1, 5, 1e3, 1e6):
        for seed in range(5):
            scores, _ = random_scores(n, scale, seed)
            scores += scale * 10 * np.eye(n, dtype="float32")
            assert float(mi.infonce(scores)) <= np.log(np.float32(n))
    assert float(mi.infonce(1e4 * np.eye(n))) == np.log(np.float32(n))


def test_relations():
    scores, log_baseline = random_scores(9)
    ones = np.ones(9, "float32")
    np.testing.assert_allclose(mi.tuba(scores, ones), mi.nwj(scores), rtol=1e-5)
    np.testing.assert_allclose(mi.smile(scores, np.inf), mi.dv(scores), rtol=1e-6)
    shifted = scores + log_baseline[:, None]  # a baseline is a part of the critic
    for bound in (mi.tuba, mi.interpolated):
        value, before = bound(shifted, log_baseline), bound(scores, 0 * log_baseline)
        np.testing.assert_allclose(value, before, rtol=1e-5)
    order = np.random.default_rng(0).permutation(9)
    for name, bound in BOUNDS.items():
        one = bound(*arguments(name, scores, log_baseline))
        other = arguments(name, scores[order][:, order], log_baseline[order])
        np.testing.assert_allclose(bound(*other), one, rtol=1e-5)


def test_independent_scores_tell_nothing():
    for name in ("dv", "infonce", "smile_c5"):
        assert float(BOUNDS[name](3 * np.ones((5, 5)))) == pytest.approx(0, abs=1e-6)
    assert float(mi.nwj(np.ones((5, 5)))) == pytest.approx(0, abs=1e-6)
    zeros = np.zeros((5, 5)), np.zeros(5)
    assert float(mi.tuba(*zeros)) == pytest.approx(0, abs=1e-6)
    assert float(mi.interpolated(*zeros)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", ["dv", "smile_c5", "tuba", "interp_a0.5"])
def test_float16_and_a_batch_of_unknown_size(name):
    scores, log_baseline = random_scores(8, scale=3.0)
    given = arguments(name, scores.astype("float16"), log_baseline.astype("float16"))
    value, gradients = value_and_gradients(BOUNDS[name], *given)
    full = [x.astype("float32") for x in given]
    signature = [tf.TensorSpec([None] * x.ndim, x.dtype) for x in given]
    traced = tf.function(BOUNDS[name], signature)(*given)
    assert value.dtype == traced.dtype == tf.float32
    np.testing.assert_allclose(value, BOUNDS[name](*full), rtol=1e-6)
    np.testing.assert_allclose(value, traced, rtol=1e-6)
    assert all(g.dtype == tf.float16 and np.isfinite(g).all() for g in gradients)


@pytest.mark.parametrize("scale", [30.0, -30.0, 1e4])
def test_extreme_scores(scale):
    scores = scale * np.eye(4, dtype="float32")
    for name in ("dv", "infonce", "smile_c5", "interp_a0.5"):
        given = arguments(name, scores, np.zeros(4, "float32"))
        value, gradients = value_and_gradients(BOUNDS[name], *given)
        assert np.isfinite(value) and all(np.isfinite(g).all() for g in gradients)
    value = mi.interpolated(scores, np.zeros(4), alpha=1.0)
    assert np.isfinite(value) and float(value) <= np.log(3) + 1e-6


def test_wrong_arguments():
    scores, log_baseline = random_scores(3)
    for bound in (mi.dv, mi.nwj, mi.infonce, mi.js, mi.smile):
        for bad in (scores[:2], scores[:1, :1], scores[0], scores[None]):
            with pytest.raises(ValueError, match=r"N >= 2 pairs.*Received: scores\."):
                bound(bad)
    for bound in (mi.tuba, mi.interpolated):
        with pytest.raises(ValueError, match=r"Received: scores.shape=\(2, 3\)"):
            bound(scores[:2], log_baseline)
        for bad in (log_baseline[:2], log_baseline[:, None], 0.0):
            with pytest.raises(ValueError, match=r"shape \(3,\). Received: log_base"):
                bound(scores, bad)
    for clip in (0, -1.0, "5", float("nan")):
        with pytest.raises(ValueError, match=f"number > 0.*Received: clip={clip!r}"):
            mi.smile(scores, clip)
    for alpha in (-0.1, 1.5, None):
        with pytest.raises(ValueError, match=r"in \[0, 1\]. Received: alpha="):
            mi.interpolated(scores, log_baseline, alpha)

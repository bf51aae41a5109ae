import json

import golden_values
import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_contrastive import mutual_information as mi

GOLDEN = golden_values.load("mi_bounds")
MODELS = {
    "mine": lambda critic: mi.MINE(critic, momentum=0.9),
    "tuba": lambda critic: mi.InformationEstimator(
        critic, "tuba", baseline=keras.layers.Dense(1, name="log_a")
    ),
}


class Given(keras.layers.Layer):
    """A critic for matrices of scores that are given as `x`."""

    def call(self, pair):
        return pair[0]


def gaussians(n, information, dim=2, seed=0):
    """Pairs of vectors that share that many nats."""
    rng = np.random.default_rng(seed)
    correlation = np.sqrt(1 - np.exp(-2 * information / dim))
    x, noise = rng.normal(size=(2, n, dim))
    y = correlation * x + np.sqrt(1 - correlation**2) * noise
    return x.astype("float32"), y.astype("float32")


@pytest.fixture
def model():
    """A function: name of a model -> the model, compiled."""

    def make(name="mine", run_eagerly=True):  # which traces nothing
        model = MODELS[name](mi.SeparableCritic(4, (16,), seed=0))
        model.compile(keras.optimizers.Adam(0.01), run_eagerly=run_eagerly)
        return model

    return make


@pytest.mark.parametrize("case", [case for case in GOLDEN if case.startswith("m")])
def test_running_mean_of_the_reference(case):
    golden = GOLDEN[case]
    model = mi.MINE(Given(), momentum=1 - golden["hp"]["alpha"])
    n = golden["hp"]["N"]
    apart = ~np.eye(n, dtype=bool)
    for step, scores in enumerate(golden["scores"].astype("float32")):
        scores = tf.constant(scores)
        with tf.GradientTape() as tape:
            tape.watch(scores)
            loss = model.compute_loss(x=(scores, scores), y_pred=scores)
        gradient = tape.gradient(loss, scores).numpy()
        np.testing.assert_allclose(loss, golden["mine_loss"][step], rtol=2e-5)
        joint, marginal = golden["mine_grad_joint"], golden["mine_grad_marg"]
        np.testing.assert_allclose(np.diag(gradient), joint[step], rtol=1e-5)
        np.testing.assert_allclose(gradient[apart], marginal[step], rtol=1e-4)
        mean = np.exp(model.running_mean.weights[0])
        np.testing.assert_allclose(mean, golden["mine_running_mean"][step], rtol=1e-5)
    assert model.compute_loss(x=(scores, scores), y_pred=scores, training=False) == loss
    assert np.exp(model.running_mean.weights[0]) == mean  # it moves in training alone


def test_running_mean_beyond_float32():
    model = mi.MINE(Given(), momentum=0.5)
    high = tf.fill((3, 3), 500.0)
    assert float(model.compute_loss(x=(high, high), y_pred=high)) == 0.0
    before = [w.numpy() for w in model.running_mean.weights]
    lost = high * np.nan  # a step that loss scaling skips
    model.compute_loss(x=(lost, lost), y_pred=lost)
    np.testing.assert_array_equal(before, [w.numpy() for w in model.weights])
    assert before == [500.0, 1.0]


def test_momentum_0_is_the_gradient_of_dv():
    x, y = gaussians(8, 1.0)
    gradients = []
    for cls, name in ((mi.MINE, {"momentum": 0}), (mi.InformationEstimator, "dv")):
        arguments = name if isinstance(name, dict) else {"bound": name}
        model = cls(mi.BilinearCritic(seed=0), **arguments)
        model.compile("sgd")
        model.train_on_batch((x, y))
        gradients.append(model.critic.kernel.numpy())
    np.testing.assert_allclose(*gradients, rtol=1e-4)


def test_information_of_gaussians():
    x, y = gaussians(2048, 1.0)
    model = mi.InformationEstimator(mi.ConcatenatedCritic(16, seed=0), "nwj")
    model.compile(keras.optimizers.Adam(0.01))
    history = model.fit((x, y), batch_size=64, epochs=6, verbose=0).history
    np.testing.assert_allclose(history["bound"], -np.array(history["loss"]), rtol=1e-5)
    estimate = model.estimate(*gaussians(2048, 1.0, seed=1))
    assert 0.6 < estimate < 1.1
    assert model.estimate(*gaussians(2048, 0.0, seed=1)) < 0  # it tells them apart


@pytest.mark.parametrize("name", MODELS)
def test_saved_and_loaded_it_goes_on(name, model, tmp_path):
    x, y = gaussians(80, 1.0)
    first = model(name)
    first.fit((x, y), batch_size=32, verbose=0, shuffle=False)
    first.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    configs = [json.dumps(each.get_config()) for each in (first, again)]
    assert configs[0] == configs[1]
    assert again.estimate(x, y) == first.estimate(x, y)
    for each in (first, again):
        each.fit((x, y), batch_size=32, verbose=0, shuffle=False)
    for one, other in zip(first.weights, again.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    name = keras.saving.get_registered_name(type(again))
    assert name == f"keras_contrastive>{type(first).__name__}"


def test_ways_in_which_pairs_arrive(model):
    x, y = gaussians(33, 1.0)  # the last batch has one pair, which teaches nothing
    arrays = model(run_eagerly=False)
    arrays.fit((x, y), batch_size=32, verbose=0, shuffle=False)
    assert all(np.isfinite(w).all() for w in arrays.weights)
    for element in (((x, y),), ((x, y), None), ((x, y), np.zeros(33))):
        dataset = tf.data.Dataset.from_tensor_slices(element).batch(32)
        other = model()
        other.fit(dataset, verbose=0)
        for one, two in zip(arrays.weights, other.weights, strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-5)
    loss, bound = other.evaluate((x, y), batch_size=33, verbose=0)
    assert bound == -loss == pytest.approx(arrays.estimate(x, y), abs=1e-5)


def test_wrong_data(model):
    x, y = gaussians(8, 1.0)
    bare = tf.data.Dataset.from_tensor_slices((x, y)).batch(4)
    for data in ((x, y), (bare,)):
        with pytest.raises(ValueError, match=r"Received: .*a dataset yields `\(\(x"):
            model().fit(*data, verbose=0)
    with pytest.raises(ValueError, match="have no weights"):
        model().train_on_batch((x, y), np.ones(8), sample_weight=np.ones(8))
    for given in ((x, y[:4]), (x[:1], y[:1]), (x, y, 1)):
        with pytest.raises(ValueError, match="two pairs or more.*Received: "):
            model().estimate(*given)


def test_wrong_arguments():
    critic = mi.BilinearCritic()
    with pytest.raises(ValueError, match="one of dv, nwj, tuba.*Received: bound='in'"):
        mi.InformationEstimator(critic, "in")
    with pytest.raises(ValueError, match="tuba and interpolated. Received: bound='js'"):
        mi.InformationEstimator(critic, "js", baseline=keras.layers.Dense(1))
    with pytest.raises(ValueError, match="function `dv`. Received: {'clip': 1}"):
        mi.InformationEstimator(critic, "dv", bound_arguments={"clip": 1})
    with pytest.raises(ValueError, match="number > 0"):
        mi.InformationEstimator(critic, "smile", bound_arguments={"clip": 0})
    with pytest.raises(ValueError, match=r"in \[0, 1\). Received: momentum=1.0"):
        mi.MINE(critic, momentum=1.0)
    with pytest.raises(ValueError, match="`loss` compares predictions with labels"):
        mi.MINE(critic).compile(loss="mse")


def test_two_replicas_are_one(model, strategy_of):
    x, y = gaussians(32, 1.0)

    def step(model, x, y):
        with tf.GradientTape() as tape:
            loss = model.compute_loss(x=(x, y), y_pred=model((x, y)))
        return loss, *tape.gradient(loss, model.trainable_variables)

    alone = model("tuba")
    expected = step(alone, x, y)
    strategy = strategy_of(2)
    with strategy.scope():
        shared = model("tuba")
        shared.build([(None, 2)] * 2)
        shared.set_weights(alone.get_weights())
    halves = [
        strategy.experimental_distribute_values_from_function(
            lambda c, a=a: tf.constant(np.split(a, 2)[c.replica_id_in_sync_group])
        )
        for a in (x, y)
    ]
    run = tf.function(lambda x, y: strategy.run(step, (shared, x, y)))
    for one, parts in zip(expected, run(*halves), strict=True):
        both = sum(part.numpy() for part in strategy.experimental_local_results(parts))
        np.testing.assert_allclose(both, one, rtol=1e-4, atol=1e-6)


def test_mixed_float16(model):
    keras.config.set_dtype_policy("mixed_float16")
    x, y = gaussians(64, 1.0)
    mixed = model()
    mixed.fit((100 * x, 100 * y), batch_size=32, epochs=2, verbose=0)
    assert all(np.isfinite(w).all() for w in mixed.weights)

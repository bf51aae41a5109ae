"""What holds for every method."""

import itertools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import (
    ALL,
    FIRST,
    KINDS,
    METHODS,
    MOMENTUM,
    TARGETS,
    build,
    dataset,
    inputs,
    norm_of,
    parameters,
    rule_of,
    sgd,
    started,
    states,
    target_parameters,
    tiny,
    tiny_encoder,
    trained,
    weights_of,
)
from slow_cases import by_name

import keras_contrastive as kc


def fit(model, n=32, **kwargs):
    """Train on the first `n` images; return what is recorded."""
    return model.fit(dataset(model, n), verbose=0, **kwargs).history


@ALL
def test_fit_lowers_the_loss_and_reports(name):
    model, history = trained(name)
    # From the second epoch on: a queue is full of keys then.
    assert history["loss"][-1] < history["loss"][1]
    expected = {"loss", "contrastive_accuracy", "embedding_std", "learning_rate"}
    assert expected | {"probe_accuracy"} <= set(history)
    documented = kc.ContrastiveModel.fit.__doc__
    assert [metric for metric in history if f"- `{metric}`:" not in documented] == []
    assert ("momentum" in history) == (model.target is not None)
    assert 0 < history["embedding_std"][-1] < 1


@KINDS
def test_call_and_predict_give_features(name):
    model, _ = trained(name)
    images = inputs(n=5)[0][0]
    expected = model.encoder(images, training=False)
    np.testing.assert_allclose(model(images), expected, rtol=1e-6)
    predicted = model.predict(images, verbose=0)
    np.testing.assert_allclose(predicted, expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="Expected one tensor"):
        model((images, images))


@KINDS
def test_evaluate_changes_nothing(name):
    model, _ = trained(name)
    before = weights_of(model)
    first = model.evaluate(dataset(model), verbose=0, return_dict=True)
    second = model.evaluate(dataset(model), verbose=0, return_dict=True)
    assert first == second
    assert np.isfinite(first["loss"])
    for a, b in zip(before, weights_of(model), strict=True):
        np.testing.assert_array_equal(a, b)


@KINDS
def test_evaluate_gives_the_loss_that_is_trained(name):
    """That of the next step, whatever the moving statistics are."""
    model = started(name)
    fit(model)
    mean = norm_of(model.encoder).moving_mean
    mean.assign(np.full(mean.shape, 50.0))
    model.run_eagerly, model.train_function, model.test_function = True, None, None
    expected = model.evaluate(dataset(model, 8), verbose=0, return_dict=True)
    logs = model.train_on_batch(*inputs(model, 8), return_dict=True)
    rel = 0.05 if model.draws else 1e-5  # negatives or directions of its own
    assert expected["loss"] == pytest.approx(logs["loss"], rel=rel)


def test_test_on_batch_gives_what_evaluate_gives():
    model, _ = trained("simclr")
    expected = model.evaluate(dataset(model, 8), verbose=0)
    assert model.test_on_batch(*inputs(model, 8)) == expected


@pytest.mark.parametrize("name", ["simclr", "byol"])
def test_val_loss_follows_the_loss_from_the_first_epoch_on(name):
    """Of the same views, with moving statistics that trail far behind."""
    model = build(name)
    for part in filter(None, (model, model.target)):
        part.encoder.layers[3].momentum = 0.99
    model.compile(sgd())
    history = model.fit(dataset(), validation_data=dataset(), epochs=5, verbose=0)
    loss, val_loss = (history.history[key] for key in ("loss", "val_loss"))
    assert all(np.diff(val_loss) < 0)
    assert all(np.less(val_loss, loss))


@KINDS
def test_same_seed_same_run(name):
    """Bit for bit. A run of a step that is traced anew is that of the replicas."""
    model, twin = started(name), build(name, num_classes=4)
    for a, b in zip(weights_of(model), weights_of(twin), strict=True):
        np.testing.assert_array_equal(a, b)
    losses, weights = fit(model, epochs=2)["loss"], weights_of(model)
    again = started(name)
    assert fit(again, epochs=2)["loss"] == losses
    for x, y in zip(weights, weights_of(again), strict=True):
        np.testing.assert_array_equal(x, y)
    other = started(name)
    other.set_weights(build(name, seed=1, num_classes=4).get_weights())
    assert fit(other, epochs=2)["loss"] != losses


@ALL
def test_save_and_load_continue_with_the_same_steps(name, tmp_path):
    model, _ = trained(name)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model)
    for a, b in zip(weights_of(model), weights_of(loaded), strict=True):
        np.testing.assert_array_equal(a, b)
    model.run_eagerly, model.train_function = True, None
    loaded.run_eagerly = True
    batch = inputs(model, 8, seed=3)
    for _ in range(3):
        expected = model.train_on_batch(*batch, return_dict=True)
        actual = loaded.train_on_batch(*batch, return_dict=True)
        assert actual == pytest.approx(expected, rel=1e-6)
    for a, b in zip(weights_of(model), weights_of(loaded), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


def test_how_a_step_is_run_is_saved():
    model, copy = build("simclr"), build("simclr")
    options = {"steps_per_execution": 4, "run_eagerly": True, "jit_compile": False}
    model.compile(sgd(), **options)
    copy.compile_from_config(model.get_compile_config())
    assert {name: getattr(copy, name) for name in options} == options


@ALL
def test_weights_file_restores_everything(name, tmp_path):
    model, _ = trained(name)
    model.save_weights(tmp_path / "m.weights.h5")
    other = build(name, seed=5, num_classes=4)
    other.load_weights(tmp_path / "m.weights.h5")
    for a, b in zip(weights_of(model), weights_of(other), strict=True):
        np.testing.assert_array_equal(a, b)


@ALL
def test_config_round_trip_through_json(name):
    model = build(name, num_classes=4)
    config = json.dumps(model.get_config())
    copy = type(model).from_config(json.loads(config))
    assert without_builds(copy.get_config()) == without_builds(json.loads(config))


def without_builds(config):
    """Drop the shapes that Keras notes beside configurations of built layers."""
    if isinstance(config, dict):
        skip = ("build_config", "shared_object_id")
        return {k: without_builds(v) for k, v in config.items() if k not in skip}
    return (
        [without_builds(c) for c in config]
        if isinstance(config, list | tuple)
        else config
    )


@KINDS
@pytest.mark.parametrize("replicas", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_replicas_equal_one(name, replicas, strategy_of, tmp_path):
    """Eight steps: all weights, target, queue, statistics and the reported loss.

    Replicas go on with a run of one, and one with theirs.
    """
    one = started(name)
    # A small rate: the movement is still 1e3 times what float32 loses on the way.
    one.optimizer.learning_rate = 0.005
    fit(one)
    one.save(tmp_path / "one.keras")
    with strategy_of(replicas).scope():
        many = keras.models.load_model(tmp_path / "one.keras")
    start = weights_of(one)
    for a, b in zip(start, weights_of(many), strict=True):
        np.testing.assert_array_equal(a, b)
    history, history_many = fit(one, epochs=2), fit(many, epochs=2)
    np.testing.assert_allclose(history["loss"], history_many["loss"], rtol=1e-4)
    # Rounding may decide a tie: one image of the 32.
    for metric, away in (
        ("contrastive_accuracy", 1 / 32),
        ("embedding_std", 0.0),
        ("probe_accuracy", 1 / 32),
    ):
        np.testing.assert_allclose(
            history[metric], history_many[metric], 1e-3, away, err_msg=metric
        )
    for w, *arrays in zip(
        one.weights, start, weights_of(one), weights_of(many), strict=True
    ):
        begin, a, b = (x.astype("float64") for x in arrays)
        movement = np.max(np.abs(a - begin))
        assert np.max(np.abs(a - b)) <= 1e-3 * movement + 1e-6, w.path
    many.save(tmp_path / "many.keras")
    one.load_weights(tmp_path / "many.keras")
    for a, b in zip(weights_of(one), weights_of(many), strict=True):
        np.testing.assert_array_equal(a, b)


@KINDS
def test_mixed_precision_trains(name):
    """In float16 with loss scaling, compiled for one method of each kind of states."""
    keras.config.set_dtype_policy("mixed_float16")
    model = build(name, num_classes=4)
    model.compile(sgd(), run_eagerly=name not in FIRST)
    assert np.isfinite(fit(model, n=32 if name in FIRST else 16)["loss"]).all()
    assert model(inputs(n=2)[0][0]).dtype == "float32"


@KINDS
def test_bfloat16_trains(name):
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = build(name, num_classes=4)
    model.compile(sgd(), run_eagerly=True)
    assert np.isfinite(fit(model, n=8)["loss"]).all()
    assert model(inputs(n=2)[0][0]).dtype == "float32"


@KINDS
def test_probe_gradient_never_reaches_the_encoder(name):
    with_probe, without = build(name, num_classes=4), build(name)
    for a, b in zip(states(with_probe), states(without), strict=True):
        b.set_weights(a.get_weights())
    for model in (with_probe, without):
        model.compile(sgd(), momentum_update=rule_of(model), run_eagerly=True)
        fit(model, n=24)  # the probe starts at zero, and gives no gradient in step 1
    for part in ("encoder", "projector"):
        for a, b in zip(
            getattr(with_probe, part).get_weights(),
            getattr(without, part).get_weights(),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)
    assert np.abs(with_probe.probe.classifier.get_weights()[1]).max() > 0


@ALL
def test_optimizer_sees_the_online_network_only(name):
    model = build(name, num_classes=4)
    parts = [layer for layer in model.layers if layer not in model.apart()]
    assert model.encoder in parts and model.projector in parts
    expected = {v.path for part in parts for v in part.trainable_variables}
    assert {v.path for v in model.trainable_variables} == expected
    trained = {id(v) for v in model.trainable_variables}
    others = {id(v) for v in model.non_trainable_variables}
    assert not trained & others
    assert trained | others == {id(v) for v in model.variables}


@ALL
def test_every_online_variable_gets_a_gradient(name):
    model = started(name)
    before = {v.path: np.array(v) for v in model.trainable_variables}
    fit(model)
    still = [
        p for v in model.trainable_variables if np.array_equal(before[p := v.path], v)
    ]
    assert not still


@by_name(
    [name for name in METHODS if tiny(name).target is not None],
    slow=lambda name: name not in ("byol", "moco"),
)
def test_target_equals_a_plain_loop(name, tmp_path):
    """In a run of one step at a time, and in two of the loaded model with two.

    The first is what replicas are compared with. Stock Keras has no 2 steps on 2
    replicas: merge_call inside tf.while_loop.
    """
    model, plain = started(name), PlainLoop(name)
    for run in range(3):
        path = tmp_path / f"{run}.keras"
        model.save(path)
        if run == 1:
            model = keras.models.load_model(path)
            model.steps_per_execution = 2
        assert int(np.array(model.optimizer.iterations)) == 8 * run
        fit(model, epochs=2, callbacks=[rule_of(model)] if run else [])
        expected = plain.target(path, [*dataset(model), *dataset(model)])
        for a, b in zip(target_parameters(model), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


class PlainLoop:
    """A model whose target follows in NumPy; it goes as far as `model` has come."""

    def __init__(self, name):
        self.model = build(name, num_classes=4)
        rule = kc.callbacks.MomentumUpdate(1.0, 1.0)
        self.model.compile(sgd(), momentum_update=rule, jit_compile=False)
        self.model.build_optimizer()

    def target(self, path, batches):
        """Return the target's parameters after those batches, from the file on."""
        model = self.model
        model.load_weights(path)
        target = [np.array(v, "float64") for v in target_parameters(model)]
        for k, batch in enumerate(batches):
            for variable, value in zip(target_parameters(model), target, strict=True):
                variable.assign(value)
            model.train_on_batch(*batch)
            tau = 1 - (1 - MOMENTUM) * (np.cos(np.pi * k / len(batches)) + 1) / 2
            target = [
                tau * t + (1 - tau) * np.array(v)
                for t, v in zip(target, parameters(model), strict=True)
            ]
        return target


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FIRST if tiny(name).target])
def test_jit_compile_moves_the_target_alike(name):
    plain = started(name)
    plain.optimizer.learning_rate = 0.01
    compiled = build(name, num_classes=4)
    compiled.compile(sgd(0.01), momentum_update=rule_of(compiled), jit_compile=True)
    for model in (plain, compiled):
        fit(model)
    for a, b in zip(weights_of(plain), weights_of(compiled), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


@TARGETS
def test_freezing_and_thawing_changes_nothing(name):
    toggled = build(name, num_classes=4)
    toggled.trainable = False
    toggled.trainable = True
    toggled.compile(sgd(), momentum_update=rule_of(toggled), run_eagerly=True)
    expected = started(name)
    for model in (toggled, expected):
        fit(model, n=8, epochs=2)
    for a, b in zip(weights_of(toggled), weights_of(expected), strict=True):
        # One is traced, one is not: float32 of unit vectors, on some CPUs 2e-6.
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=5e-6)


@TARGETS
def test_target_batch_norm_is_its_own(name):
    """Batch statistics in training; moving statistics are not averaged."""
    model = started(name)
    model.optimizer.learning_rate = 0.0
    views, labels = inputs(model, 8)
    norm = model.target.encoder.layers[3]
    training = model.target(views[0], training=True)
    inference = model.target(views[0], training=False)
    assert np.abs(training - inference).max() > 1e-3
    norm.moving_mean.assign(np.full(norm.moving_mean.shape, 50.0))
    model.train_on_batch(views, labels)
    moved = np.array(norm.moving_mean)
    # Forward passes of the target in one step: of one view, or of both.
    seen = np.round(np.log(moved.mean() / 50.0) / np.log(0.9))
    assert seen in (1, 2)
    np.testing.assert_allclose(moved, 50.0 * 0.9**seen, atol=1.5)
    online = model.encoder.layers[3].moving_mean
    assert np.abs(moved - np.array(online)).min() > 10


@TARGETS
def test_train_on_batch_moves_the_target(name):
    model = started(name)
    before = model.target.get_weights()
    logs = model.train_on_batch(*inputs(model, 8), return_dict=True)
    assert logs["momentum"] == pytest.approx(model.momentum_update.start)
    changed = [
        not np.array_equal(a, b)
        for a, b in zip(before, model.target.get_weights(), strict=True)
    ]
    assert any(changed)


@TARGETS
def test_momentum_update_given_to_fit_replaces_the_default(name):
    model, _ = trained(name)
    rule = kc.callbacks.MomentumUpdate(0.5, schedule="constant")
    assert fit(model, callbacks=[rule])["momentum"] == [0.5]
    assert model.momentum_update is rule


@TARGETS
def test_accumulated_gradients_move_the_target_once(name):
    model = build(name)
    model.compile(
        keras.optimizers.SGD(0.05, gradient_accumulation_steps=2),
        momentum_update=kc.callbacks.MomentumUpdate(0.9),
    )
    seen = [[np.array(v) for v in target_parameters(model)]]
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(
            [np.array(v) for v in target_parameters(model)]
        )
    )
    fit(model, callbacks=[watch])  # 4 batches, 2 updates
    assert int(model.clock.total_steps) == 2
    moved = [
        any(not np.array_equal(a, b) for a, b in zip(*pair, strict=True))
        for pair in itertools.pairwise(seen)
    ]
    assert moved == [False, True, False, True]


@TARGETS
def test_second_fit_and_resumed_fit_have_their_schedule(name):
    model = started(name)
    fit(model, epochs=2)
    assert (int(model.clock.first_step), int(model.clock.total_steps)) == (0, 8)
    fit(model, epochs=5, initial_epoch=2)
    assert (int(model.clock.first_step), int(model.clock.total_steps)) == (0, 20)
    fit(model)
    assert (int(model.clock.first_step), int(model.clock.total_steps)) == (20, 4)


@pytest.mark.parametrize("name", FIRST)  # the base does it, for all alike
def test_recipe_is_bound_to_the_run(name, tmp_path):
    model = build(name)
    model.compile()
    schedule = model.optimizer._learning_rate
    assert not schedule.bound
    model.run_eagerly = True
    fit(model, n=8, epochs=3)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    for m in (model, loaded):
        run = m.optimizer._learning_rate.get_config()["run"]
        assert run == {
            "batch_size": 8,
            "steps_per_epoch": 1,
            "epochs": 3,
            "first_step": 0,
        }
    loaded.run_eagerly = True
    assert np.isfinite(fit(loaded, n=16)["loss"]).all()
    run = loaded.optimizer._learning_rate.get_config()["run"]
    assert (run["first_step"], run["steps_per_epoch"]) == (3, 2)


@KINDS
def test_augmentation_inside_the_model(name):
    crop = [kc.layers.RandomResizedCrop(8)]
    policy = kc.layers.Views([crop] * (tiny(name).needs.max_views or 2))
    if name == "simclr":  # a whole policy, once
        policy = kc.augmentations.simclr(8, blur=0.0)
    model = build(name, augmentation=policy)
    model.compile(sgd(), run_eagerly=name != "simclr")
    (images, *_), targets = inputs(model, n=16)
    data = tf.data.Dataset.from_tensor_slices(((images,), targets)).batch(8)
    history = model.fit(data, epochs=1, verbose=0).history
    assert np.isfinite(history["loss"]).all()


@KINDS
def test_arrays_instead_of_a_dataset(name):
    model = started(name)
    expected = fit(model)["loss"]
    model = started(name)
    arrays = inputs(model)
    history = model.fit(*arrays, batch_size=8, shuffle=False, verbose=0).history
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-5)


@pytest.mark.slow
def test_byol_without_predictor_collapses_and_is_noticed():
    """On real images: a linear predictor-less BYOL finds the constant solution."""
    (x_train, _), _ = kc.data.load_sample()
    policy = kc.augmentations.byol(20, blur=(0.0, 0.0))
    spread = {}
    for name in ("whole", "without"):
        keras.utils.set_random_seed(0)
        views = kc.data.views_from_arrays(
            x_train[:2048], augmentation=policy, batch_size=128, seed=0
        )
        heads = [
            kc.layers.ProjectionHead(32, hidden_units=64, hidden_bias=True)
            for _ in range(2)
        ]
        if name == "without":
            heads[1] = keras.layers.Identity()
        model = kc.BYOL(tiny_encoder(20, 1, width=32), *heads)
        model.compile(kc.optimizers.CoupledSGD(0.1, weight_decay=5e-4))
        rule = kc.callbacks.MomentumUpdate(0.9, schedule="constant")
        monitor = kc.callbacks.CollapseMonitor(stop=True)
        history = model.fit(views, epochs=5, verbose=0, callbacks=[rule, monitor])
        spread[name] = history.history["embedding_std"][-1], monitor.collapsed
    assert spread["without"][0] < 0.5 * spread["whole"][0]
    assert spread["without"][1] and not spread["whole"][1], spread

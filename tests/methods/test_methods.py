"""What holds for every method."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import (
    ALL,
    TARGET,
    build,
    dataset,
    inputs,
    parameters,
    sgd,
    states,
    target_parameters,
    tiny_encoder,
    weights_of,
)

import keras_contrastive as kc


def fitted(name, epochs=2, seed=0, strategy=None, rate=0.05, **kwargs):
    """Return a trained tiny model and its epoch losses."""
    with strategy.scope() if strategy else tf.init_scope():
        model = build(name, seed, **kwargs)
        model.compile(sgd(rate), jit_compile=False)
    history = model.fit(dataset(model), epochs=epochs, verbose=0)
    return model, history.history


@ALL
def test_fit_lowers_the_loss_and_reports(name):
    model, history = fitted(name, epochs=6, num_classes=4)
    # From the second epoch on: a queue is full of keys then.
    assert history["loss"][-1] < history["loss"][1]
    expected = {"loss", "contrastive_accuracy", "embedding_std", "learning_rate"}
    assert expected | {"probe_accuracy"} <= set(history)
    documented = kc.ContrastiveModel.fit.__doc__
    assert [metric for metric in history if f"- `{metric}`:" not in documented] == []
    assert ("momentum" in history) == (model.target is not None)
    assert 0 < history["embedding_std"][-1] < 1


@ALL
def test_call_and_predict_give_features(name):
    model, _ = fitted(name, epochs=1)
    images = inputs(n=5)[0][0]
    expected = model.encoder(images, training=False)
    np.testing.assert_allclose(model(images), expected, rtol=1e-6)
    np.testing.assert_allclose(model.predict(images, verbose=0), expected, rtol=1e-5)
    with pytest.raises(ValueError, match="Expected one tensor"):
        model((images, images))


@ALL
def test_evaluate_changes_nothing(name):
    model, _ = fitted(name, epochs=1, num_classes=4)
    before = weights_of(model)
    first = model.evaluate(dataset(model), verbose=0, return_dict=True)
    second = model.evaluate(dataset(model), verbose=0, return_dict=True)
    assert first == second
    assert np.isfinite(first["loss"])
    for a, b in zip(before, weights_of(model), strict=True):
        np.testing.assert_array_equal(a, b)


@ALL
def test_evaluate_gives_the_loss_that_is_trained(name):
    """That of the next step, whatever the moving statistics are."""
    model, _ = fitted(name, epochs=1)
    mean = model.encoder.layers[3].moving_mean
    mean.assign(np.full(mean.shape, 50.0))
    views, targets = inputs(model, 8)
    expected = model.evaluate(views, targets, 8, verbose=0, return_dict=True)
    assert model.test_on_batch(views, targets)[0] == expected["loss"]
    logs = model.train_on_batch(views, targets, return_dict=True)
    rel = 0.05 if model.needs.ids else 1e-5  # a step draws negatives of its own
    assert expected["loss"] == pytest.approx(logs["loss"], rel=rel)


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


@ALL
def test_same_seed_same_run(name):
    a, history_a = fitted(name)
    b, history_b = fitted(name)
    assert history_a["loss"] == history_b["loss"]
    for x, y in zip(weights_of(a), weights_of(b), strict=True):
        np.testing.assert_array_equal(x, y)
    assert fitted(name, seed=1)[1]["loss"] != history_a["loss"]


@ALL
def test_save_and_load_continue_with_the_same_steps(name, tmp_path):
    model, _ = fitted(name, num_classes=4)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model)
    for a, b in zip(weights_of(model), weights_of(loaded), strict=True):
        np.testing.assert_array_equal(a, b)
    batch = inputs(model, 8, seed=3)
    for _ in range(3):
        expected = model.train_on_batch(*batch, return_dict=True)
        actual = loaded.train_on_batch(*batch, return_dict=True)
        assert actual == pytest.approx(expected, rel=1e-6)
    for a, b in zip(weights_of(model), weights_of(loaded), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


@ALL
def test_weights_file_restores_everything(name, tmp_path):
    model, _ = fitted(name, num_classes=4)
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


@ALL
@pytest.mark.parametrize("replicas", [2, 4])
def test_replicas_equal_one(name, replicas, strategy_of):
    """Eight steps: all weights, target, queue, statistics and the reported loss."""
    start = weights_of(build(name, num_classes=4))
    # A small rate: the movement is still 1e3 times what float32 loses on the way.
    arguments = {"rate": 0.005, "num_classes": 4}
    one, history = fitted(name, **arguments)
    many, history_many = fitted(name, strategy=strategy_of(replicas), **arguments)
    np.testing.assert_allclose(history["loss"], history_many["loss"], rtol=1e-4)
    for metric in ("contrastive_accuracy", "embedding_std", "probe_accuracy"):
        np.testing.assert_allclose(
            history[metric], history_many[metric], rtol=1e-3, err_msg=metric
        )
    for w, begin, a, b in zip(
        one.weights, start, weights_of(one), weights_of(many), strict=True
    ):
        movement = np.max(np.abs(a - begin))
        assert np.max(np.abs(a - b)) <= 1e-3 * movement + 1e-6, w.path


@ALL
def test_mixed_precision_trains(name):
    for policy in ("mixed_float16", "mixed_bfloat16"):
        keras.config.set_dtype_policy(policy)
        model, history = fitted(name, num_classes=4)
        assert np.isfinite(history["loss"]).all()
        assert model(inputs(n=2)[0][0]).dtype == "float32"


@ALL
def test_probe_gradient_never_reaches_the_encoder(name):
    with_probe, without = build(name, num_classes=4), build(name)
    for a, b in zip(states(with_probe), states(without), strict=True):
        b.set_weights(a.get_weights())
    for model in (with_probe, without):
        model.compile(sgd())
        model.fit(dataset(model), epochs=2, verbose=0)
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
    parts = [model.encoder, model.projector]
    if model.predictor is not None:
        parts.append(model.predictor)
    expected = {v.path for part in parts for v in part.trainable_variables}
    assert {v.path for v in model.trainable_variables} == expected
    trained = {id(v) for v in model.trainable_variables}
    others = {id(v) for v in model.non_trainable_variables}
    assert not trained & others
    assert trained | others == {id(v) for v in model.variables}


@ALL
def test_every_online_variable_gets_a_gradient(name):
    model = build(name)
    model.compile(sgd())
    before = {v.path: np.array(v) for v in model.trainable_variables}
    model.fit(dataset(model), epochs=1, verbose=0)
    still = [
        p for v in model.trainable_variables if np.array_equal(before[p := v.path], v)
    ]
    assert not still


@TARGET
@pytest.mark.parametrize(
    ("steps_per_execution", "replicas", "loaded"),
    # Stock Keras has no 4 steps on 2 replicas: merge_call inside tf.while_loop.
    [(1, 1, False), (4, 1, False), (4, 1, True), (1, 2, True)],
)
def test_target_equals_a_plain_loop(
    name, steps_per_execution, replicas, loaded, strategy_of, tmp_path
):
    rule = kc.callbacks.MomentumUpdate(start=0.9)
    strategy = strategy_of(replicas) if replicas > 1 else None
    with strategy.scope() if strategy else tf.init_scope():
        model = build(name)
        model.compile(sgd(), steps_per_execution=steps_per_execution, jit_compile=False)
    plain = build(name)
    plain.compile(sgd(), momentum_update=kc.callbacks.MomentumUpdate(1.0, 1.0))
    if loaded:
        model.fit(dataset(model), verbose=0)
        model.save(tmp_path / "m.keras")
        with strategy.scope() if strategy else tf.init_scope():
            model = keras.models.load_model(tmp_path / "m.keras")
        plain.build_optimizer()
        plain.load_weights(tmp_path / "m.keras")
        assert int(np.array(plain.optimizer.iterations)) == 4
    target = [np.array(v, "float64") for v in target_parameters(plain)]
    model.fit(dataset(model), epochs=2, verbose=0, callbacks=[rule])

    for k, batch in enumerate([*dataset(model), *dataset(model)]):
        for variable, value in zip(target_parameters(plain), target, strict=True):
            variable.assign(value)
        plain.train_on_batch(*batch)
        tau = 1 - (1 - 0.9) * (np.cos(np.pi * k / 8) + 1) / 2
        target = [
            tau * t + (1 - tau) * np.array(v)
            for t, v in zip(target, parameters(plain), strict=True)
        ]
    for actual, expected in zip(target_parameters(model), target, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


@TARGET
def test_jit_compile_moves_the_target_alike(name):
    models = []
    for jit_compile in (False, True):
        model = build(name)
        model.compile(sgd(0.01), jit_compile=jit_compile)
        model.fit(dataset(model), epochs=1, verbose=0)
        models.append(model)
    for a, b in zip(*map(weights_of, models), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


@TARGET
def test_freezing_and_thawing_changes_nothing(name):
    toggled = build(name)
    toggled.trainable = False
    toggled.trainable = True
    toggled.compile(sgd())
    toggled.fit(dataset(toggled), epochs=2, verbose=0)
    expected, _ = fitted(name)
    for a, b in zip(weights_of(toggled), weights_of(expected), strict=True):
        np.testing.assert_array_equal(a, b)


@TARGET
def test_target_batch_norm_is_its_own(name):
    """Batch statistics in training; moving statistics are not averaged."""
    model = build(name)
    model.compile(sgd(0.0))
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


@TARGET
def test_train_on_batch_moves_the_target(name):
    model = build(name)
    model.compile(sgd())
    before = model.target.get_weights()
    logs = model.train_on_batch(*inputs(model, 8), return_dict=True)
    assert logs["momentum"] == pytest.approx(model.momentum_update.start)
    changed = [
        not np.array_equal(a, b)
        for a, b in zip(before, model.target.get_weights(), strict=True)
    ]
    assert any(changed)


@TARGET
def test_momentum_update_given_to_fit_replaces_the_default(name):
    model, _ = fitted(name, epochs=1)
    views = dataset(model)
    rule = kc.callbacks.MomentumUpdate(0.5, schedule="constant")
    history = model.fit(views, epochs=1, verbose=0, callbacks=[rule])
    assert history.history["momentum"] == [0.5]
    assert model.momentum_update is rule


@TARGET
def test_accumulated_gradients_move_the_target_once(name):
    model = build(name)
    model.compile(keras.optimizers.SGD(0.05, gradient_accumulation_steps=2))
    rule = kc.callbacks.MomentumUpdate(0.9)
    model.fit(
        dataset(model), epochs=1, verbose=0, callbacks=[rule]
    )  # 4 batches, 2 updates
    assert int(model.clock.total_steps) == 2
    model = build(name)
    model.compile(keras.optimizers.SGD(0.05, gradient_accumulation_steps=2))
    before = [np.array(v) for v in target_parameters(model)]
    model.train_on_batch(*inputs(model, 8))
    for a, b in zip(before, target_parameters(model), strict=True):
        np.testing.assert_array_equal(a, b)
    model.train_on_batch(*inputs(model, 8))
    assert any(
        not np.array_equal(a, b)
        for a, b in zip(before, target_parameters(model), strict=True)
    )


@TARGET
def test_second_fit_and_resumed_fit_have_their_schedule(name):
    model = build(name)
    model.compile(sgd())
    model.fit(dataset(model), epochs=2, verbose=0)
    assert (int(model.clock.first_step), int(model.clock.total_steps)) == (0, 8)
    model.fit(dataset(model), epochs=5, initial_epoch=2, verbose=0)
    assert (int(model.clock.first_step), int(model.clock.total_steps)) == (0, 20)
    model.fit(dataset(model), epochs=1, verbose=0)
    assert (int(model.clock.first_step), int(model.clock.total_steps)) == (20, 4)


@ALL
def test_recipe_is_bound_to_the_run(name, tmp_path):
    model = build(name)
    model.compile()
    schedule = model.optimizer._learning_rate
    assert not schedule.bound
    model.fit(dataset(model), epochs=3, verbose=0)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    for m in (model, loaded):
        run = m.optimizer._learning_rate.get_config()["run"]
        assert run == {
            "batch_size": 8,
            "steps_per_epoch": 4,
            "epochs": 3,
            "first_step": 0,
        }
    loaded.fit(dataset(model), epochs=1, verbose=0)
    assert loaded.optimizer._learning_rate.get_config()["run"]["first_step"] == 12


@ALL
def test_augmentation_inside_the_model(name):
    model = build(name)
    policy = kc.augmentations.simclr(8, blur=0.0)
    if model.needs.max_views == 1:
        policy = kc.augmentations.instance_discrimination(8)
    model = build(name, augmentation=policy)
    model.compile(sgd())
    (images, *_), targets = inputs(model)
    data = tf.data.Dataset.from_tensor_slices(((images,), targets)).batch(8)
    history = model.fit(data, epochs=1, verbose=0).history
    assert np.isfinite(history["loss"]).all()


@ALL
def test_arrays_instead_of_a_dataset(name):
    model = build(name)
    model.compile(sgd())
    history = model.fit(*inputs(model), batch_size=8, epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


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

"""Every option that changes results: its default, and that it does what it says."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import PAIRS, arrays, build, dataset, head, sgd, tiny_encoder

import keras_contrastive as kc

VIEWS, LABELS = arrays(8)


def loss_of(model):
    """The model's own loss of one batch in inference mode, and what it came from."""
    model.compile(sgd())
    batch = kc.Batch(tuple(VIEWS), LABELS)
    outputs = model.forward(batch, training=False)
    return float(model.contrastive_loss(outputs, batch)), outputs


@PAIRS
def test_views_as_one_batch_or_one_after_the_other(name):
    default = build(name)
    together = {"simclr", "supcon", "exemplar", "dino", "align_uniform", "lejepa"}
    together |= {"visreg", "swav"}
    assert default.concatenate_views == (name in together)
    found = {}
    for together in (True, False):
        model = build(name, concatenate_views=together)
        mean = model.encoder.layers[3].moving_mean
        mean.assign(np.full(mean.shape, 50.0))
        features, embeddings = model.online(VIEWS, training=True)
        assert [tuple(z.shape) for z in embeddings] == [(8, 4)] * 2
        # Batch norm has decay 0.9 and statistics of about 0.
        updates = 1 if together else 2
        np.testing.assert_allclose(mean, 50.0 * 0.9**updates, atol=1.5)
        found[together] = np.concatenate(features)
    assert np.abs(found[True] - found[False]).max() > 1e-4
    encoder = build(name).encoder
    expected = encoder(np.concatenate(VIEWS), training=True)
    np.testing.assert_allclose(found[True], expected, rtol=1e-5, atol=1e-6)


def test_multi_crop_passes_as_one_batch_per_size():
    model = kc.SCE(tiny_encoder(None), head(), queue_size=8, concatenate_views=True)
    v_1, v_2 = VIEWS
    views = (v_1, v_2[:, :6, :6], v_2, v_1[:, :6, :6])
    features, embeddings = model.online(views, training=True)
    for first, second in ((0, 2), (1, 3)):
        together = np.concatenate([views[first], views[second]])
        expected = model.encoder(together, training=True)
        found = np.concatenate([features[first], features[second]])
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
        expected = model.projector(expected, training=True)
        found = np.concatenate([embeddings[first], embeddings[second]])
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    model.compile(sgd())
    data = tf.data.Dataset.from_tensor_slices(((*views[::2], *views[1::2]),))
    history = model.fit(data.batch(8), verbose=0).history
    assert np.isfinite(history["loss"]).all()


@pytest.mark.parametrize(
    ("options", "directions"),
    [
        ({}, [(0, 1)]),
        ({"self_logit": "zero"}, [(0, 1)]),
        ({"queue_size": None}, [(0, 1)]),
        ({"symmetric": True}, [(0, 1), (1, 0)]),
        ({"coefficient": 1.0}, [(0, 1)]),
        ({"temperature": 0.2, "target_temperature": 0.1}, [(0, 1)]),
    ],
)
def test_sce(options, directions):
    """Paper's formulas; the weak view_1 goes to the target, its key is masked."""
    keras.utils.set_random_seed(0)
    model = kc.SCE(tiny_encoder(), head(), **{"queue_size": 24, **options})
    actual, _ = loss_of(model)

    def unit(x):
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    queries = [unit(np.array(model.projector(model.encoder(v)))) for v in VIEWS]
    keys = [unit(np.array(model.target(v))) for v in VIEWS]
    t, t_m = model.temperature, model.target_temperature
    losses = []
    for weak, strong in directions:
        key, query, one_hot = keys[weak], queries[strong], np.eye(8)
        columns = key[None] * np.ones((8, 1, 1))  # (N, columns, D)
        own = one_hot.astype(bool)
        if model.queue is not None:
            queue = np.array(model.queue.value)[None] * np.ones((8, 1, 1))
            columns = np.concatenate([key[:, None], queue], axis=1)
            one_hot = np.eye(1, 25) * np.ones((8, 1))
            own = one_hot.astype(bool)
        similarity = np.einsum("id,ijd->ij", key, columns) / t_m
        similarity[own] = 0.0 if model.self_logit == "zero" else -np.inf
        relations = np.exp(similarity) / np.exp(similarity).sum(1, keepdims=True)
        w = model.coefficient * one_hot + (1 - model.coefficient) * relations
        logits = np.einsum("id,ijd->ij", query, columns) / t
        log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        losses.append(-np.mean(np.sum(w * log_p, axis=1)))
    assert actual == pytest.approx(np.mean(losses), rel=1e-4)


def test_sce_defaults_are_the_small_image_recipe():
    model = build("sce")
    config = model.get_config()
    assert (config["temperature"], config["target_temperature"]) == (0.1, 0.05)
    assert (config["coefficient"], config["self_logit"]) == (0.5, "masked")
    assert config["symmetric"] is False and model.predictor is None
    rule = model.default_momentum_update()
    assert (rule.start, rule.schedule) == (0.99, "constant")
    rule = build("byol").default_momentum_update()
    assert (rule.start, rule.end, rule.schedule) == (0.99, 1.0, "cosine")


def test_supcon_base_temperature_is_a_factor():
    plain, z = loss_of(build("supcon"))
    scaled, _ = loss_of(build("supcon", base_temperature=0.07))
    assert scaled == pytest.approx(plain * 0.1 / 0.07, rel=1e-5)
    z = np.stack([z["anchor"], z["positive"]], axis=1)
    assert plain == pytest.approx(float(kc.losses.SupConLoss(0.1)(LABELS, z)))
    assert kc.recipes.SUPCON_SMALL.method_arguments["base_temperature"] == 0.07


def test_a_loss_of_another_paper_is_trained_saved_and_loaded(tmp_path):
    model = build("simclr")
    loss = kc.losses.DCLLoss(0.3, weighted=True)
    model.compile(sgd(), loss, jit_compile=False)
    batch = kc.Batch(tuple(VIEWS), LABELS)
    z = model.forward(batch, training=True)
    trained = model.train_on_batch(tuple(VIEWS), LABELS, return_dict=True)["loss"]
    assert trained == pytest.approx(float(loss(z["anchor"], z["positive"])), rel=1e-5)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert loaded.loss.get_config() == loss.get_config()
    expected = model.test_on_batch(tuple(VIEWS), LABELS)
    assert loaded.test_on_batch(tuple(VIEWS), LABELS) == pytest.approx(expected)


def test_arrays_reach_an_eager_step_as_a_traced_one():
    logs = []
    for eagerly in (False, True):
        model = build("simclr")
        model.compile(sgd(), run_eagerly=eagerly, jit_compile=False)
        logs.append(model.train_on_batch(tuple(VIEWS), LABELS, return_dict=True))
    assert logs[1] == pytest.approx(logs[0], rel=1e-5)


def test_compile_leaves_xla_off_where_it_slows_down(strategy_of):
    model = build("simclr")
    model.compile(sgd())
    assert model.jit_compile is bool(tf.config.list_physical_devices("GPU"))
    with strategy_of(2).scope():
        model = build("simclr")
        model.compile(sgd())
    assert model.jit_compile is False
    model.compile(sgd(), jit_compile=True)
    assert model.jit_compile is True


def test_a_model_that_was_never_compiled_is_saved(tmp_path):
    model = build("byol")
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    for a, b in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(np.array(a), np.array(b))


def test_tensorboard_takes_the_metrics(tmp_path):
    pytest.importorskip("tensorboard", reason="needs the extra tensorboard")
    model = build("byol")
    model.compile(sgd(), jit_compile=False)
    board = keras.callbacks.TensorBoard(tmp_path)
    model.fit(dataset(model, 8), verbose=0, callbacks=[board])
    written = next((tmp_path / "train").iterdir()).read_bytes()
    assert b"epoch_embedding_std" in written and b"epoch_momentum" in written

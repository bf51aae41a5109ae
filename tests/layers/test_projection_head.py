import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_contrastive.layers.projection_head import ProjectionHead


def features(n=6, dim=5):
    return np.random.default_rng(0).normal(size=(n, dim)).astype("float32")


def built(**arguments):
    head = ProjectionHead(**arguments)
    head.build((None, 5))
    return head


def names(head):
    return [v.path.split("/", 1)[1] for v in head.trainable_variables]


def test_simclr_head_has_gamma_but_no_beta_at_the_end():
    head = built(units=3, hidden_units=4, output_norm=True, output_scale=True)
    assert names(head) == [
        "hidden1_dense/kernel",
        "hidden1_norm/gamma",
        "hidden1_norm/beta",
        "output_dense/kernel",
        "output_norm/gamma",
    ]


def test_supcon_head_has_biases_and_no_batch_norm():
    head = built(
        units=3, hidden_units=4, hidden_bias=True, hidden_norm=False, output_bias=True
    )
    assert names(head) == [
        "hidden1_dense/kernel",
        "hidden1_dense/bias",
        "output_dense/kernel",
        "output_dense/bias",
    ]
    assert len(head.variables) == 4


def test_sce_imagenet_head_ends_in_batch_norm_without_affine():
    head = built(units=3, hidden_units=(4, 4), output_norm=True)
    assert names(head)[-1] == "output_dense/kernel"
    out = np.asarray(head(features(), training=True))
    np.testing.assert_allclose(out.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(out.std(axis=0), 1, atol=1e-2)


@pytest.mark.parametrize("training", [True, False])
def test_against_numpy(training):
    head = built(
        units=3, hidden_units=4, hidden_bias=True, output_bias=True, output_norm=True
    )
    head.set_weights([np.full_like(w, 0.5) + w for w in head.get_weights()])
    w = {v.path.split("/", 1)[1]: np.asarray(v) for v in head.variables}

    def norm(x, name):
        mean, var = x.mean(0), x.var(0)
        if not training:
            mean, var = w[f"{name}/moving_mean"], w[f"{name}/moving_variance"]
        return (x - mean) / np.sqrt(var + 1e-5)

    x = features() @ w["hidden1_dense/kernel"] + w["hidden1_dense/bias"]
    x = norm(x, "hidden1_norm") * w["hidden1_norm/gamma"] + w["hidden1_norm/beta"]
    x = np.maximum(x, 0) @ w["output_dense/kernel"] + w["output_dense/bias"]
    x = norm(x, "output_norm")
    result = head(features(), training=training)
    np.testing.assert_allclose(result, x, rtol=1e-3, atol=1e-4)


def test_batch_norm_settings():
    head = built(units=3, hidden_units=4, output_norm=True)
    norms = [
        layer
        for layer in head._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert len(norms) == 2
    for layer in norms:
        settings = (layer.momentum, layer.epsilon, layer.synchronized)
        assert settings == (0.9, 1e-5, True)


def test_layers_of_one_shape_start_with_different_kernels():
    head = built(units=5, hidden_units=5, kernel_initializer=small_normal())
    first, second = (v for v in head.trainable_variables if "kernel" in v.path)
    assert np.abs(first - second).max() > 0


def small_normal():
    return keras.initializers.RandomNormal(stddev=0.01)


@pytest.mark.parametrize("units", [4, (4, 6), [4], ()])
def test_config_round_trip(units):
    head = ProjectionHead(
        3, units, output_norm=True, output_scale=True, kernel_initializer=small_normal()
    )
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(head)))
    assert config["registered_name"] == "keras_contrastive>ProjectionHead"
    again = keras.saving.deserialize_keras_object(config)
    assert json.dumps(again.get_config()) == json.dumps(head.get_config())


def test_save_and_load(tmp_path):
    x = keras.Input((5,))
    model = keras.Model(x, ProjectionHead(3, hidden_units=(4, 4), output_norm=True)(x))
    model(features(), training=True)  # moves the statistics
    model.save(tmp_path / "head.keras")
    loaded = keras.models.load_model(tmp_path / "head.keras")
    np.testing.assert_array_equal(loaded(features()), model(features()))


def test_mixed_precision_computes_in_float16():
    keras.config.set_dtype_policy("mixed_float16")
    head = ProjectionHead(3, hidden_units=4)
    out = head(features(), training=True)
    assert out.dtype == "float16"
    assert np.isfinite(out).all()
    assert all(v.dtype == "float32" for v in head.variables)


def test_two_replicas_equal_one(strategy_of):
    x = features(8)
    expected = built(units=3, hidden_units=4, output_norm=True)
    strategy = strategy_of(2)
    with strategy.scope():
        head = built(units=3, hidden_units=4, output_norm=True)
    head.set_weights(expected.get_weights())

    def step():
        replica = tf.distribute.get_replica_context()
        start = 4 * replica.replica_id_in_sync_group
        return head(x[start : start + 4], training=True)

    parts = strategy.experimental_local_results(strategy.run(step))
    result = np.concatenate([part.numpy() for part in parts])
    np.testing.assert_allclose(result, expected(x, training=True), atol=1e-5)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"units": 0}, "positive ints. Received: units=0"),
        ({"units": 3, "hidden_units": (4, -1)}, r"hidden_units=\(4, -1\)"),
        ({"units": 3, "output_scale": True}, "set `output_norm=True`"),
        ({"units": 3, "output_center": True}, "set `output_norm=True`"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        ProjectionHead(**arguments)


def test_feature_maps_are_refused():
    with pytest.raises(ValueError, match="GlobalAveragePooling2D.*8, 8, 5"):
        ProjectionHead(3)(np.zeros((2, 8, 8, 5), "float32"))

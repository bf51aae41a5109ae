"""Feature maps of an encoder, and several encoders as one."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

import keras_contrastive as kc
from keras_contrastive.encoders import feature_maps, from_application, side_by_side


@pytest.fixture(scope="module")
def encoder():
    return kc.encoders.resnet(10, 4, input_shape=(16, 16, 3))


def images(n=2, size=16):
    return np.random.default_rng(0).uniform(0, 255, (n, size, size, 3)).astype("f4")


def test_stages_have_the_papers_names_and_the_layers_are_shared(encoder):
    names = [f"conv{i}" for i in range(1, 6)]
    maps = feature_maps(encoder, [*names, "features", "stage2_block1_add"])
    outputs = maps(images())
    sizes = [outputs[name].shape[1:] for name in names]
    assert sizes == [(16, 16, 4), (16, 16, 4), (8, 8, 8), (4, 4, 16), (2, 2, 32)]
    np.testing.assert_allclose(outputs["features"], encoder(images()), rtol=1e-6)
    added = ops.relu(outputs["stage2_block1_add"])
    np.testing.assert_array_equal(outputs["conv3"], added)
    layers = {id(layer) for layer in encoder.layers}
    assert all(id(layer) in layers for layer in maps.layers if layer.weights)
    assert len(encoder.weights) == len(maps.weights)


def test_deeper_resnets_end_their_stages_at_the_last_block():
    deep = kc.encoders.resnet(50, 4, input_shape=(16, 16, 3))
    maps = feature_maps(deep, ["conv4"])
    last = deep.get_layer("stage3_block6_relu3").output
    expected = keras.Model(deep.input, last)(images())
    np.testing.assert_allclose(maps(images())["conv4"], expected, rtol=1e-6)


def test_maps_of_nested_models_and_of_training():
    inner = keras.Sequential(
        [
            keras.layers.Input((16, 16, 3)),
            keras.layers.Conv2D(4, 3, name="conv"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.ReLU(name="last"),
        ],
        name="inner",
    )
    outer = from_application(inner, keras.layers.Rescaling(1 / 255))
    for name in ("norm", "inner/norm"):
        maps = feature_maps(outer, [name, "features"])
        x = inner.get_layer("conv")(images() / 255)
        expected = inner.get_layer("norm")(x)
        np.testing.assert_allclose(maps(images())[name], expected, atol=1e-5)
        np.testing.assert_allclose(maps(images())["features"], outer(images()))
    outputs = maps(images(), training=True)["inner/norm"]
    np.testing.assert_allclose(ops.mean(outputs, (0, 1, 2)), np.zeros(4), atol=1e-4)


@pytest.mark.parametrize(
    "names, message",
    [
        (["conv6"], r"Received: 'conv6'. Near it are .*'conv5'"),
        (["stage2_block1_rel2"], "Near it are .*'stage2_block1_relu2'"),
        (["xyz"], r"'xyz'. Its last layers are .*'features'"),
        ([], r"must be a list of layer names.*Received: names=\[\]"),
        ("conv2", "must be a list of layer names"),
    ],
)
def test_names_that_are_not_there(encoder, names, message):
    with pytest.raises(ValueError, match=message):
        feature_maps(encoder, names)


@keras.saving.register_keras_serializable(package="keras_contrastive_tests")
class LocalToGlobal(kc.ContrastiveModel):
    """Positions of a map meet the features of the other view: DIM's two needs."""

    def __init__(self, encoder, projector=None, **kwargs):
        super().__init__(encoder, projector, **kwargs)
        self.maps = feature_maps(encoder, ["conv5", "features"])
        self.local = keras.layers.Dense(4, kernel_regularizer="l2")
        self.local.build((None, self.maps.output_shape[0][-1]))

    def default_projector(self, feature_dim):
        return keras.layers.Dense(4)

    def default_loss(self):
        return kc.losses.BYOLLoss()

    def forward(self, batch, training):
        maps = [self.maps(view, training=training) for view in batch.views]
        features = [x["features"] for x in maps]
        local = ops.mean(self.local(maps[1]["conv5"]), axis=(1, 2))
        anchor = self.projector(features[0])
        return {"features": features, "anchor": anchor, "positive": local}

    def contrastive_loss(self, outputs, batch):
        return self.loss(outputs["positive"], outputs["anchor"])


def test_a_method_with_maps_counts_a_penalty_once_and_is_saved(tmp_path):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, kernel_regularizer="l2", name="conv5")(inputs)
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    model = LocalToGlobal(keras.Model(inputs, x))
    model.compile("sgd")
    views = (images(4, 8), images(4, 8)[::-1])
    total = model.evaluate((views[0], views[1]), batch_size=4, verbose=0)[0]
    batch = kc.methods.batch.Batch(tuple(map(tf.constant, views)))
    loss = model.contrastive_loss(model.forward(batch, training=True), batch)
    kernels = model.encoder.get_layer("conv5").kernel, model.local.kernel
    penalty = sum(0.01 * ops.sum(ops.square(kernel)) for kernel in kernels)
    np.testing.assert_allclose(total, loss + penalty, rtol=1e-5)
    model.fit(tf.data.Dataset.from_tensors((views,)), verbose=0)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(
        loaded.maps(views[0])["features"], model.encoder(views[0])
    )


def part_encoder(channels):
    """An encoder of one convolution: training and exporting it is traced fast."""
    inputs = keras.Input((16, 16, channels))
    x = keras.layers.Conv2D(32, 3, strides=4)(inputs)
    x = kc.layers.SyncBatchNormalization()(x)
    x = keras.layers.ReLU(name="conv5")(x)
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(inputs, x, name="small")


@pytest.fixture(scope="module")
def both():
    """Two encoders of parts of the channels: what CMC trains."""
    inputs = keras.Input((16, 16, 3))
    parts = {"lightness": slice(0, 1), "colour": slice(1, 3)}
    encoders = {
        name: keras.Model(
            inputs, part_encoder(part.stop - part.start)(inputs[..., part])
        )
        for name, part in parts.items()
    }
    return encoders, side_by_side(encoders)


def test_features_stand_side_by_side(both):
    encoders, encoder = both
    x = images()
    expected = np.concatenate([part(x) for part in encoders.values()], axis=1)
    np.testing.assert_allclose(encoder(x), expected, rtol=1e-6)
    names = ["lightness", "colour", "colour/small/conv5"]
    maps = feature_maps(encoder, names)(x)
    np.testing.assert_allclose(maps["colour"], expected[:, 32:], rtol=1e-6)
    pooled = ops.mean(maps["colour/small/conv5"], axis=(1, 2))
    np.testing.assert_allclose(pooled, maps["colour"], rtol=1e-5)
    with pytest.raises(ValueError, match="'conv5', which stands for.*Give the path"):
        feature_maps(encoder, ["conv5"])


def test_side_by_side_is_saved_and_published(both, tmp_path):
    _, encoder = both
    x, expected = images(), both[1](images()).numpy()
    encoder.save(tmp_path / "e.keras")
    loaded = keras.models.load_model(tmp_path / "e.keras")
    np.testing.assert_allclose(loaded(x), expected, rtol=1e-6)
    kc.save_to_preset(encoder, tmp_path / "preset")
    published = kc.from_preset(tmp_path / "preset")
    np.testing.assert_allclose(published(x), expected, rtol=1e-6)


@pytest.mark.slow
def test_side_by_side_is_exported(both, tmp_path):
    x, expected = images(), both[1](images()).numpy()
    folder = kc.export.to_saved_model(both[1], tmp_path / "served")
    served = tf.saved_model.load(folder).signatures["serving_default"]
    (features,) = served(tf.constant(x)).values()
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    path = tmp_path / "e.tflite"
    kc.export.to_tflite(both[1], path, "float32")
    lite = litert.Interpreter(str(path)).get_signature_runner()
    [name] = lite.get_input_details()
    (features,) = lite(**{name: x}).values()
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)


def test_side_by_side_trains_with_a_target_and_a_probe(both):
    model = kc.MoCo(
        both[1], keras.layers.Dense(4), queue_size=4, temperature=0.1, num_classes=2
    )
    model.compile("sgd")
    data = (images(4), images(4)[::-1]), np.array([0, 1, 0, 1])
    model.fit(*data, batch_size=4, verbose=0)
    assert len(model.target.encoder.weights) == len(both[1].weights)


@pytest.mark.parametrize("encoders", [{}, [1]])
def test_side_by_side_needs_names(encoders):
    with pytest.raises(ValueError, match="dict from names to at least one encoder"):
        side_by_side(encoders)


def test_side_by_side_needs_one_shape(encoder):
    other = kc.encoders.resnet(10, 4, input_shape=(16, 16, 1))
    with pytest.raises(ValueError, match=r"the same images.*\(None, 16, 16, 1\)"):
        side_by_side({"a": encoder, "b": other})

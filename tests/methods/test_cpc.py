"""CPC: its loss by the paper, what a prediction may know, and what does not fit."""

import keras
import numpy as np
import pytest
from helpers import arrays, build, dataset, encoder_of, head, inputs, sgd

import keras_contrastive as kc

(VIEW, _), _ = arrays(4)
BATCH = kc.Batch((VIEW,))


def model_of(encoder=None, **arguments):
    keras.utils.set_random_seed(0)
    given = {"offsets": (1, 2), "scale": 1.0, **arguments}
    context = given.pop("context", None) or kc.layers.ColumnGRU(5)
    model = kc.CPC(encoder or encoder_of("cpc"), head(), context, **given)
    model.compile(sgd(), jit_compile=False)
    return model


@pytest.mark.parametrize(("candidates", "scale"), [("all", 0.5), ("step", 1.0)])
def test_a_step_by_the_paper(candidates, scale):
    model = model_of(candidates=candidates, scale=scale)
    model.compile(sgd(0.0), run_eagerly=True)
    patches = [
        VIEW[i, 2 * r : 2 * r + 4, 2 * w : 2 * w + 4]
        for i in range(4)
        for r in range(3)
        for w in range(3)
    ]
    # All patches are one batch, of encoder and projector.
    patch_encoder = model.encoder.layers[2]
    features = patch_encoder(np.stack(patches), training=True)
    targets = np.array(model.projector(features, training=True))
    z = targets.reshape(4, 3, 3, -1).astype("float64")
    c = np.array(model.context(np.reshape(features, (4, 3, 3, -1))), "float64")
    losses = []
    for offset, step in zip((1, 2), model.steps, strict=True):
        matrix = np.array(step.kernel, "float64")
        first = offset if candidates == "step" else 0
        everyone = z[:, first:].reshape(-1, z.shape[-1])
        of_offset = []
        for i, r, w in np.ndindex(4, 3 - offset, 3):
            p = scale * c[i, r, w] @ matrix
            own = p @ z[i, r + offset, w]
            of_offset.append(np.log(np.sum(np.exp(everyone @ p))) - own)
        losses.append(np.mean(of_offset))
    logs = model.train_on_batch((VIEW,), return_dict=True)
    assert logs["loss"] == pytest.approx(np.mean(losses), rel=1e-5)


@pytest.mark.parametrize(
    "context", [kc.layers.ColumnGRU(5), kc.layers.CausalConvolutions(6, depth=2)]
)
def test_a_prediction_does_not_know_the_rows_below_its_context(context):
    """In inference: batch norm would tell it, which is why the paper has none."""
    model = model_of(context=context, offsets=(1,))
    before = model.forward(BATCH, training=False)
    changed = VIEW.copy()
    changed[:, 6:] = 255 - changed[:, 6:]  # of the last row of patches alone
    after = model.forward(kc.Batch((changed,)), training=False)
    np.testing.assert_array_equal(before["predictions"][0], after["predictions"][0])
    np.testing.assert_array_equal(before["z"][:, :2], after["z"][:, :2])
    assert np.abs(before["z"] - after["z"])[:, 2].min(axis=(1, 2)).max() > 1e-4
    changed[:, :2] = 255 - changed[:, :2]
    after = model.forward(kc.Batch((changed,)), training=False)
    assert np.abs(before["predictions"][0] - after["predictions"][0]).max() > 1e-4


def test_the_metrics_are_those_of_the_first_offset():
    outputs = model_of(offsets=(2, 1)).forward(BATCH, training=False)
    assert outputs["anchor"].shape == outputs["positive"].shape == (4 * 1 * 3, 4)
    np.testing.assert_array_equal(
        outputs["positive"], np.reshape(outputs["z"][:, 2:], (12, 4))
    )


def functional():
    """Its last operation is no layer."""
    images = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(6, 4, strides=2, name="conv")(images)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, x[:, :5])


def sequential():
    conv = keras.layers.Conv2D(6, 4, strides=2, name="conv")
    pool = keras.layers.GlobalMaxPooling2D()
    return keras.Sequential([keras.Input((8, 8, 3)), conv, pool])


@pytest.mark.parametrize("make", [functional, sequential])
def test_any_encoder_with_a_map(make):
    """The projector is as wide as the map, and the features are the encoder's own."""
    encoder = make()
    model = model_of(encoder, grid="conv", num_classes=4)
    assert model.projector.get_weights()[0].shape[0] == 6
    outputs = model.forward(BATCH, training=False)
    np.testing.assert_array_equal(outputs["features"][0], encoder(VIEW))
    history = model.fit(dataset(model), verbose=0).history
    assert np.isfinite(history["loss"]).all()


def test_shared_layers_are_counted_once_and_callbacks_work():
    model = build("cpc", num_classes=4)
    weights = [w.path for w in model.weights]
    assert len(weights) == len(set(weights))
    parts = (model.encoder, model.projector, model.context, *model.steps)
    expected = sum(part.count_params() for part in parts)
    expected += model.probe.count_params() + len(model.clock.weights)
    assert model.count_params() == expected
    model.compile(sgd(), jit_compile=False)
    images, labels = inputs(n=16)
    knn = kc.callbacks.KNNEvaluation((images[0], labels), (images[0], labels), k=2)
    monitor = kc.callbacks.CollapseMonitor(stop=True)
    data = dataset(model, 16)
    history = model.fit(data, verbose=0, callbacks=[knn, monitor]).history
    assert "knn_accuracy" in history and not monitor.collapsed


def test_the_recipes_of_the_paper_and_of_small_images():
    encoder = encoder_of("cpc")
    with pytest.raises(ValueError, match="A grid of 3 rows has no patches 3 rows"):
        kc.recipes.CPC_IMAGENET.model(encoder)
    model = kc.recipes.CPC_SMALL.model(encoder, offsets=(2,))
    assert (model.offsets, model.scale, model.embedding_dim) == ((2,), 0.1, 64)
    assert (model.context.units, model.context.depth) == (256, 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"offsets": (1, 3)}, r"3 rows.*offsets=\(1, 3\).*smaller patches"),
        ({"offsets": ()}, r"`offsets` must be different numbers.*offsets=\(\)"),
        ({"offsets": 2}, "`offsets` must be different numbers.*offsets=2"),
        ({"offsets": (1, 1)}, "`offsets` must be different numbers"),
        ({"offsets": (0,)}, "`offsets` must be a positive integer.*offsets=0"),
        ({"grid": "map_of_all"}, "`names` must be layers of the encoder.*'map_of_all'"),
        ({"grid": "features"}, r"`grid` must be.*grid='features'.*\(None, 6\)"),
        ({"candidates": "some"}, '`candidates` must be "all" or "step"'),
        ({"scale": -1.0}, "`scale` must be a number >= 0.*scale=-1"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        model_of(**arguments)


def test_a_grid_of_unknown_size():
    images = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(6, 4, strides=2, name="grid")(images)
    encoder = keras.Model(images, keras.layers.GlobalAveragePooling2D()(x))
    with pytest.raises(ValueError, match="of known size.*images of one size"):
        model_of(encoder)
    with pytest.raises(TypeError, match="`encoder` must be a keras.Model"):
        kc.CPC("resnet50")

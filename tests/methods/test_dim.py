"""DIM: embeddings and places of one view, and features that match a prior."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import arrays, build, dataset, head, score, sgd, tiny_encoder

import keras_contrastive as kc

(VIEW, _), _ = arrays(8)
BATCH = kc.Batch((VIEW,), step=3)


def dim(**arguments):
    keras.utils.set_random_seed(0)
    small = {"prior_units": 3, "discriminator": score(), "local_map": "map"}
    model = kc.DIM(tiny_encoder(), head(), **{**small, **arguments})
    model.compile(sgd(), jit_compile=False)
    return model


def information(m, places, estimator="jsd"):
    """The estimate of equation 4 or 5, one pair of images after the other."""
    terms = []
    for i, own in enumerate(places):
        others = [score for j, x in enumerate(places) if j != i for score in x @ m[i]]
        others, own = np.array(others), own @ m[i]
        if estimator == "jsd":
            positive = np.mean(-np.log(1 + np.exp(-own)))
            terms.append(positive - np.mean(np.log(1 + np.exp(others))) + 2 * np.log(2))
        else:
            rest = np.exp(others).sum() + len(own) * np.exp(-10)
            terms.append(np.mean(np.log(np.exp(own) / (np.exp(own) + rest))))
    return np.mean(terms)


@pytest.mark.parametrize(
    ("weights", "estimator"),
    [((0, 1, 0.1), "jsd"), ((1, 0, 1), "jsd"), ((0.5, 2, 0), "infonce")],
)
def test_loss_is_equation_8(weights, estimator):
    names = ("global_weight", "local_weight", "prior_weight")
    model = dim(estimator=estimator, **dict(zip(names, weights, strict=True)))
    places, features = (
        keras.Model(model.encoder.input, layer.output)(VIEW, training=True)
        for layer in (model.encoder.get_layer("map"), model.encoder.layers[-1])
    )
    m = np.array(model.projector(features, training=True))
    alpha, beta, gamma = weights
    expected = 0.0
    if alpha:
        rows = np.array(places).reshape(8, -1)
        g = rows @ np.array(model.summary.kernel) + np.array(model.summary.bias)
        expected -= alpha * information(m, g[:, None], estimator)
    if beta:
        l = np.array(model.local_projector(places, training=True)).reshape(8, 9, 4)  # noqa: E741
        expected -= beta * information(m, l, estimator)
    if gamma:
        kernel, bias = (np.array(w) for w in (model.code.kernel, model.code.bias))
        y = 1 / (1 + np.exp(-(np.array(features) @ kernel + bias)))
        u = tf.random.stateless_uniform((8, 3), (1, 3)).numpy()
        real, fake = (
            1 / (1 + np.exp(-np.array(model.discriminator(x)))) for x in (u, y)
        )
        expected -= gamma * (np.mean(np.log(real)) + np.mean(np.log(1 - fake)))
    outputs = model.forward(BATCH, training=True)
    actual = model.contrastive_loss(outputs, BATCH)
    np.testing.assert_allclose(actual, expected, rtol=1e-4)


def test_a_term_of_weight_0_has_no_layers():
    model = dim(prior_weight=0.0)
    assert model.summary is model.code is model.discriminator is None
    expected = [model.encoder, model.projector, model.local_projector]
    count = sum(len(part.trainable_variables) for part in expected)
    assert len(model.trainable_variables) == count  # the map's layers are not twice
    assert "prior_loss" not in model.fit(dataset(model, 8), verbose=0).history
    assert dim(global_weight=1.0, local_weight=0.0).local_projector is None


def test_the_discriminator_lowers_what_the_encoder_raises():
    model = dim()
    before = model.forward(BATCH, training=True)["prior_loss"]
    with tf.GradientTape() as tape:
        loss = model.forward(BATCH, training=True)["prior_loss"]
    network = [*model.encoder.trainable_variables, *model.code.trainable_variables]
    rivals = [network, model.discriminator.trainable_variables]
    for variables, gradients in zip(rivals, tape.gradient(loss, rivals), strict=True):
        old = [np.array(v) for v in variables]
        for variable, gradient in zip(variables, gradients, strict=True):
            variable.assign(variable - 0.01 * gradient)
        after = model.forward(BATCH, training=True)["prior_loss"]
        assert (after > before) if variables is network else (after < before)
        for variable, value in zip(variables, old, strict=True):
            variable.assign(value)


def test_samples_depend_on_the_step_alone():
    model = dim()
    features = model.encoder(VIEW)
    of_steps = [float(model.prior_loss(features, step)) for step in (0, 0, 1)]
    assert of_steps[0] == of_steps[1] != of_steps[2]


def test_the_default_heads_are_the_papers():
    encoder = kc.encoders.resnet(10, 4, input_shape=(16, 16, 3))
    model = kc.DIM(encoder)
    assert (
        type(model.projector) is type(model.local_projector) is kc.layers.ResidualHead
    )
    assert model.projector.units == model.local_projector.units == 2048
    assert model.maps.output_shape[1] == (None, 4, 4, 16)
    assert model.discriminator.hidden_units == (1000, 200)
    assert model.code.units == 64


def test_callbacks_see_features_and_embeddings():
    model = build("dim")
    model.compile(sgd(), jit_compile=False)
    images, labels = arrays(16)[0][0], arrays(16)[1]
    knn = kc.callbacks.KNNEvaluation((images, labels), (images, labels), k=3)
    monitor = kc.callbacks.CollapseMonitor()
    history = model.fit(dataset(model, 8), verbose=0, callbacks=[knn, monitor]).history
    assert {"knn_accuracy", "embedding_std", "prior_loss"} <= set(history)


def test_bad_arguments():
    with pytest.raises(ValueError, match="`global_weight` or `local_weight` must be"):
        dim(local_weight=0.0)
    with pytest.raises(ValueError, match="`prior_weight` must be a number >= 0"):
        dim(prior_weight=-1.0)
    with pytest.raises(ValueError, match="`prior_units` must be a positive integer"):
        dim(prior_units=0)
    with pytest.raises(ValueError, match='`estimator` must be "jsd" or "infonce"'):
        dim(estimator="dv")
    with pytest.raises(ValueError, match="must be layers of the encoder.*'conv4'"):
        dim(local_map="conv4")
    with pytest.raises(ValueError, match="`local_projector` must give places as wide"):
        dim(local_projector=kc.layers.ResidualHead(5))
    with pytest.raises(ValueError, match="`global_weight` needs an encoder with a fix"):
        kc.DIM(tiny_encoder(None), head(), local_map="map", global_weight=1.0)
    model = dim()
    with pytest.raises(ValueError, match="batch of 1"):
        model.fit(dataset(model, 8, batch=1), verbose=0)

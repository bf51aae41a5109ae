"""DINO by its paper: crops, centre, temperature, frozen layer, and wrong runs."""

import golden_values
import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import arrays, build, dataset, dino_head, sgd, tiny_encoder

import keras_contrastive as kc

(V_1, V_2), LABELS = arrays(16)
CROPS = (V_1, V_2, V_1[:, :6, :6], V_2[:, 2:, 2:])


def data(views=CROPS, batch=8):
    return tf.data.Dataset.from_tensor_slices((views, LABELS)).batch(batch)


def softmax(x):
    x = np.exp(x - x.max(axis=-1, keepdims=True))
    return x / x.sum(axis=-1, keepdims=True)


def scores(encoder, projector, views):
    """Of views of one size, as one batch."""
    features = encoder(np.concatenate(views), training=True)
    return np.split(np.array(projector(features, training=True), "float64"), len(views))


def test_two_steps_by_the_paper():
    keras.utils.set_random_seed(0)
    model = kc.DINO(tiny_encoder(None), dino_head(), center_momentum=0.6)
    model.projector.set_weights([5 * w for w in model.projector.get_weights()])
    model.compile(sgd(0.0), momentum_update=kc.callbacks.MomentumUpdate(1.0))
    student = [
        s
        for views in (CROPS[:2], CROPS[2:])
        for s in scores(model.encoder, model.projector, views)
    ]
    teacher = scores(model.target.encoder, model.target.projector, CROPS[:2])
    center = np.zeros(4)
    for _ in range(2):
        p = [softmax((t - center) / 0.04) for t in teacher]
        pairs = [
            -np.mean(np.sum(p[a] * np.log(softmax(student[b] / 0.1)), axis=1))
            for a in range(2)
            for b in range(4)
            if a != b
        ]
        model.reset_metrics()
        logs = model.train_on_batch(CROPS, LABELS, return_dict=True)
        assert logs["loss"] == pytest.approx(np.mean(pairs), rel=1e-4)
        entropy = -np.sum(p * np.log(np.maximum(p, 1e-30)), axis=-1).mean()
        assert logs["target_entropy"] == pytest.approx(entropy, rel=1e-3)
        center = 0.6 * center + 0.4 * np.mean(teacher, axis=(0, 1))
        np.testing.assert_allclose(model.center.value, center, atol=1e-6)


def test_balanced_instead_of_centred():
    model = build("dino", sinkhorn=True)
    model.compile(sgd(0.0), jit_compile=False)
    batch = kc.Batch((V_1, V_2))
    outputs = model.forward(batch, training=True)
    teacher, center, _ = outputs["targets"]
    assert center is None
    loss = kc.losses.DINOLoss(0.1)
    expected = loss((teacher, None, 0.04), outputs["student"])
    logs = model.train_on_batch((V_1, V_2), return_dict=True)
    assert logs["loss"] == pytest.approx(float(expected), rel=1e-5)
    centred = loss((teacher, np.zeros(4), 0.04), outputs["student"])
    assert abs(float(centred) - float(expected)) > 1e-3


def test_the_temperature_follows_the_authors_by_epochs():
    trace = golden_values.load("dino")["t00_trace"]
    hp, seen = trace["hp"], []

    class Spy(kc.DINO):
        def temperature_of(self, epoch):
            seen.append(int(epoch))
            return super().temperature_of(epoch)

    model = Spy(
        tiny_encoder(),
        dino_head(),
        target_temperature=hp["teacher_temp"],
        warmup_temperature=hp["warmup_teacher_temp"],
        warmup_epochs=hp["warmup_teacher_temp_epochs"],
    )
    schedule = [float(model.temperature_of(e)) for e in range(hp["nepochs"])]
    np.testing.assert_allclose(schedule, trace["teacher_temp_schedule"], rtol=1e-6)
    model.compile(sgd(), run_eagerly=True)
    seen.clear()
    views = data((V_1, V_2))
    model.fit(views, validation_data=views.take(1), epochs=3, verbose=0)
    # Two steps of an epoch, and one of validation, which looks ahead as features do.
    assert seen == [0, 0, 1, 1, 1, 2, 2, 2, 3]
    one = kc.DINO(tiny_encoder(), dino_head(), 0.1, 0.07, warmup_epochs=1)
    values = [float(one.temperature_of(epoch)) for epoch in range(3)]
    np.testing.assert_allclose(values, [0.04, 0.07, 0.07], rtol=1e-6)
    constant = build("dino", target_temperature=0.06)
    assert float(constant.temperature_of(0)) == np.float32(0.06)


def test_the_last_layer_is_fixed_in_the_first_epoch():
    keras.utils.set_random_seed(0)
    model = kc.DINO(tiny_encoder(), dino_head())
    optimizer = kc.optimizers.AdamW(0.01, 0.5)
    model.compile(optimizer)
    directions, first = [], []

    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            kernel = np.array(model.projector.last_kernel)
            directions.append(kernel / np.linalg.norm(kernel, axis=0))
            first.append(np.array(model.projector.trainable_variables[1]))

    look = Look()
    look.set_model(model)
    look.on_epoch_end(-1)
    model.fit(data((V_1, V_2)), epochs=2, verbose=0, callbacks=[look])
    start, frozen, free = directions
    np.testing.assert_allclose(frozen, start, atol=1e-6)  # decay makes it shorter alone
    assert np.abs(free - frozen).max() > 1e-3
    assert np.abs(first[1] - first[0]).max() > 1e-3
    # A run that goes on after its first epoch goes on without.
    resumed = kc.DINO(tiny_encoder(), dino_head())
    resumed.compile(kc.optimizers.AdamW(0.01))
    before = np.array(resumed.projector.last_kernel)
    resumed.fit(data((V_1, V_2)), initial_epoch=1, epochs=2, verbose=0)
    assert np.abs(np.array(resumed.projector.last_kernel) - before).max() > 1e-3
    other = kc.DINO(tiny_encoder(), kc.layers.ProjectionHead(4))  # it has none
    other.compile(sgd())
    before = other.projector.get_weights()[0]
    other.fit(data((V_1, V_2)), verbose=0)
    assert np.abs(other.projector.get_weights()[0] - before).max() > 0


def test_defaults_are_the_small_image_recipe():
    model = kc.DINO(tiny_encoder())
    config = model.get_config()
    for name, value in kc.recipes.DINO_SMALL.method_arguments.items():
        assert config[name] == value
    head = model.projector
    assert (head.units, head.hidden_units, head.bottleneck) == (4096, (2048, 2048), 256)
    rule = model.default_momentum_update()
    assert (rule.start, rule.end, rule.schedule) == (0.996, 1.0, "cosine")
    assert model.concatenate_views and not model.sinkhorn
    paper = kc.recipes.DINO_IMAGENET.optimizer()
    assert (paper.weight_decay, paper.final_weight_decay) == (0.04, 0.4)
    assert paper.clipnorm == 3.0


def test_a_vision_transformer_takes_crops_of_two_sizes():
    keras.utils.set_random_seed(0)
    encoder = kc.encoders.vit(4, 8, 1, 2, input_shape=(8, 8, 3))
    model = kc.DINO(encoder, dino_head(), local_views=1)
    model.compile(kc.optimizers.AdamW(0.01), run_eagerly=True)
    before = np.array(encoder.get_layer("patches").positions)
    history = model.fit(data((V_1, V_2, V_1[:, :4, :4])), verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert np.abs(before - encoder.get_layer("patches").positions).max() > 1e-3


def refused(model, views, match, **kwargs):
    model.compile(sgd())
    before = model.get_weights()
    with pytest.raises(ValueError, match=match):
        model.fit(views, verbose=0, **kwargs)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_run_that_the_schedules_do_not_fit():
    model = build("dino", warmup_epochs=3, target_temperature=0.07)
    refused(model, dataset(), "schedule of 3 epochs.*epochs=2.*warmup_epochs", epochs=2)
    endless = dataset().repeat().filter(lambda *_: True)
    refused(model, endless, "DINO counts epochs.*`steps_per_epoch`", epochs=3)


def test_views_of_the_wrong_number_or_size():
    model = build("dino", local_views=2)
    refused(model, data((V_1, V_2)), "2 views of.*DINO needs at least 4 views")
    refused(build("dino", local_views=0), data(), "DINO takes 2 views.*4 views")
    words = r"encoder takes images of shape \(None, 8, 8, 3\) alone.*\(None, 6, 6, 3\)"
    refused(build("dino"), data(), words)


@pytest.mark.parametrize(
    "name", ["temperature", "target_temperature", "warmup_temperature"]
)
def test_bad_temperatures(name):
    with pytest.raises(ValueError, match="temperature` must be.*=0"):
        build("dino", **{name: 0})

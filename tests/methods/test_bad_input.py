"""One clear sentence for everything that a user can get wrong."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import (
    KINDS_OF_PAIRS,
    METHODS,
    PAIRS,
    arrays,
    build,
    dataset,
    encoder_of,
    head,
    methods,
    sgd,
    started,
    tiny,
    tiny_encoder,
)

import keras_contrastive as kc

(V_1, V_2), LABELS = arrays(16)


def data(elements, batch=8):
    return tf.data.Dataset.from_tensor_slices(elements).batch(
        batch, drop_remainder=True
    )


def compiled(name="simclr", **kwargs):
    model = build(name, **kwargs)
    model.compile(sgd(), run_eagerly=True)  # few steps: no tracing
    return model


def targets(name):
    """Labels, or labels and ids where the method needs them."""
    ids = np.arange(len(LABELS))
    return {"label": LABELS, "id": ids} if tiny(name).needs.ids else LABELS


def refused(model, elements, match, batch=8, **kwargs):
    """`fit` raises before a weight has moved."""
    before = [np.array(w) for w in model.weights if "int" not in w.dtype]
    with pytest.raises(ValueError, match=match):
        model.fit(data(elements, batch), verbose=0, **kwargs)
    after = [np.array(w) for w in model.weights if "int" not in w.dtype]
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)


@PAIRS
def test_bare_pair(name):
    refused(started(name), (V_1, V_2), "bare pair.*Yield")


@PAIRS
def test_one_view(name):
    refused(started(name), (V_1, LABELS), "one tensor.*Make two views")
    refused(started(name), ((V_1,), LABELS), "1 view")


@pytest.mark.parametrize("name", ["simclr", "supcon", "byol"])
def test_too_many_views(name):
    words = f"{type(build(name)).__name__} takes 2 views.*3 views"
    refused(started(name), ((V_1, V_2, V_1), LABELS), words)


def test_sce_takes_multi_crop():
    encoder = tiny_encoder(None)
    model = kc.SCE(encoder, head(), queue_size=16, symmetric=True)
    model.compile(sgd())
    views = (V_1, V_2, V_1[:, :6, :6], V_2[:, 2:, 2:])
    history = model.fit(data((views, LABELS)), verbose=0).history
    assert np.isfinite(history["loss"]).all()
    pairs = model.forward(kc.Batch(views), training=False)["pairs"]
    assert len(pairs) == 2 * 3  # globals x (crops - 1)


@methods(lambda model: model.needs.min_views == 2 and model.needs.fitting_views)
def test_views_of_different_shapes(name):
    refused(started(name), ((V_1, V_2[:, :6]), LABELS), r"input shape .*\(8, 6, 8, 3\)")
    model = METHODS[name](encoder_of(name, None))
    model.compile(sgd())
    refused(model, ((V_1, V_2[:, :6]), LABELS), "of one shape.*same crop size")


@PAIRS
def test_batch_of_one(name):
    refused(started(name), ((V_1, V_2), targets(name)), "batch of 1", batch=1)


def test_last_batch_of_one_stops_with_a_sentence():
    odd = ((V_1[:9], V_2[:9]), LABELS[:9])
    views = tf.data.Dataset.from_tensor_slices(odd).batch(8)
    with pytest.raises(ValueError, match="batch of 1 example.*drop_remainder"):
        compiled().fit(views, verbose=0)
    with pytest.raises(ValueError, match="batch of 1.*no single example over"):
        compiled().fit((V_1[:9], V_2[:9]), LABELS[:9], batch_size=8, verbose=0)


def test_weights_per_example_are_refused():
    words = "no weights for single ones.*sample_weight"
    ones = np.ones(16, "float32")
    refused(compiled(), ((V_1, V_2), LABELS, ones), words)
    for weights in ({"sample_weight": ones}, {"class_weight": {0: 2.0}}):
        with pytest.raises(ValueError, match=words):
            compiled().fit((V_1, V_2), LABELS, batch_size=8, verbose=0, **weights)
    with pytest.raises(ValueError, match=words):
        compiled().evaluate(data(((V_1, V_2), LABELS, ones)), verbose=0)


@KINDS_OF_PAIRS
@pytest.mark.parametrize("bad", ["nan", "inf", "range", "empty"])
def test_bad_pixels(name, bad):
    view = V_1.copy()
    if bad == "range":
        dark = (V_1 / 255, V_2 / 255), targets(name)
        refused(started(name), dark, "maximum is <= 1")
    elif bad == "empty":
        with pytest.raises(ValueError, match="empty array"):
            started(name).fit((V_1[:0], V_2[:0]), LABELS[:0], verbose=0)
    else:
        view[3, 0, 0, 0] = float(bad)
        refused(started(name), ((view, V_2), targets(name)), "NaN or infinite")
        with pytest.raises(ValueError, match="NaN or infinite"):
            started(name).fit((view, V_2), targets(name), batch_size=8, verbose=0)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda v: (v - 128) / 64, "negative pixels or pixels above 255"),
        (lambda v: v * 1000, "pixels above 255"),
        (lambda v: v.astype("int32") - 200, "negative pixels"),
        (lambda v: v / 510, "Multiply by 255"),
    ],
)
def test_the_range_of_a_dataset_and_of_arrays(change, match):
    v_1, v_2 = change(V_1), change(V_2)
    refused(compiled(), ((v_1, v_2), LABELS), match)
    with pytest.raises(ValueError, match=match):
        compiled().fit((v_1, v_2), LABELS, batch_size=8, verbose=0)
    with pytest.raises(ValueError, match=match):
        compiled().evaluate(data(((v_1, v_2), LABELS)), verbose=0)


def test_dark_batches_train():
    """Black as bytes and as floats, whole values up to 1, and one dark among bright."""
    bits = (V_1 > 100).astype("float32")
    dark = np.concatenate([V_1[:8], V_1[8:] / 255])
    for view in (np.zeros_like(V_1, "uint8"), np.zeros_like(V_1), bits, dark):
        losses = compiled().fit(data(((view, view), LABELS)), verbose=0).history["loss"]
        assert np.isfinite(losses).all()


def test_validation_data_is_checked():
    bad = data(((V_1 / 255, V_2 / 255), LABELS))
    with pytest.raises(ValueError, match="Multiply by 255"):
        compiled().fit(dataset(), validation_data=bad, verbose=0)
    with pytest.raises(ValueError, match="NaN or infinite"):
        nan = V_1 * np.nan
        compiled().fit(dataset(), validation_data=((nan, nan), LABELS), verbose=0)


@pytest.mark.parametrize("x", [None, "photos", {"view_1": V_1, "view_2": V_2}])
def test_what_is_no_data(x):
    for call in (compiled().fit, compiled().evaluate):
        with pytest.raises(TypeError, match="Expected a dataset.*Received: x="):
            call(x, verbose=0)


def test_a_batch_larger_than_the_data():
    words = "empty dataset.*batch size must not exceed"
    refused(compiled(), ((V_1, V_2), LABELS), words, batch=32)


@pytest.mark.parametrize("labels", [None, np.zeros(33, "int64")])
def test_validation_split_of_arrays(labels):
    views = tuple(np.concatenate([v, v, v[:1]]) for v in (V_1, V_2))  # 24 and 9
    history = compiled().fit(
        views, labels, batch_size=8, validation_split=0.25, verbose=0
    )
    assert np.isfinite(history.history["val_loss"]).all()


def test_checks_do_not_consume_the_dataset():
    """A shuffled dataset that `fit` has checked yields what it would have yielded."""

    def shuffled():
        numbers = tf.data.Dataset.range(16).shuffle(16, seed=1)
        return numbers.map(
            lambda i: ((tf.gather(V_1, i), tf.gather(V_2, i)), tf.gather(LABELS, i))
        ).batch(8, drop_remainder=True)

    seen = []

    class Spy(kc.SimCLR):
        def train_step(self, data):
            tf.py_function(lambda y: seen.append(y.numpy().tolist()), [data[1]], [])
            return super().train_step(data)

    keras.utils.set_random_seed(0)
    model = Spy(tiny_encoder(), head())
    model.compile(sgd())
    tf.random.set_seed(3)
    model.fit(shuffled(), epochs=1, verbose=0)
    tf.random.set_seed(3)
    assert seen == [y.numpy().tolist() for _, y in shuffled()]


@PAIRS
def test_bad_encoder(name):
    with pytest.raises((TypeError, ValueError), match="keras.Model"):
        METHODS[name]("resnet50")
    images = keras.Input((8, 8, 3))
    no_pooling = keras.Model(images, keras.layers.Conv2D(4, 3)(images))
    with pytest.raises(ValueError, match="GlobalAveragePooling2D"):
        METHODS[name](no_pooling)


def test_supcon_labels():
    refused(compiled("supcon"), ((V_1, V_2),), "learns from labels.*no labels")
    refused(
        compiled("supcon"), ((V_1, V_2), LABELS.astype("float32")), "integer class ids"
    )
    one_hot = np.eye(4, dtype="int64")[LABELS]
    refused(compiled("supcon"), ((V_1, V_2), one_hot), "argmax")
    refused(compiled("supcon"), ((V_1, V_2), LABELS * 0 - 1), "unlabelled")
    with pytest.raises(ValueError, match="unlabelled"):
        compiled("supcon").fit((V_1, V_2), LABELS - 1, batch_size=8, verbose=0)
    inside = compiled("supcon", augmentation=kc.augmentations.supcon(8))
    refused(inside, ((V_1,),), "learns from labels.*no labels")


def test_labels_beyond_the_number_of_classes():
    for name, options in (("simclr", {}), ("supcon", {"classification_weight": 1.0})):
        model = compiled(name, num_classes=3, **options)
        refused(model, ((V_1, V_2), LABELS), "below num_classes=3.*larger")


def test_probe_needs_labels_and_ignores_unlabelled():
    refused(compiled(num_classes=4), ((V_1, V_2),), "online probe learns from labels")
    model = compiled(num_classes=4)
    model.fit(data(((V_1, V_2), LABELS * 0 - 1)), verbose=0)
    assert np.all(model.probe.classifier.get_weights()[1] == 0)


def test_label_ids_beyond_float32_stay_apart():
    labels = LABELS + 2**24
    expected = compiled("supcon").fit(data(((V_1, V_2), LABELS)), verbose=0).history
    actual = compiled("supcon").fit(data(((V_1, V_2), labels)), verbose=0).history
    assert actual["loss"] == expected["loss"]


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda e: kc.SimCLR(e, temperature=0), "`temperature`.*0"),
        (lambda e: kc.SupCon(e, temperature=-1), "`temperature`.*-1"),
        (lambda e: kc.SupCon(e, classification_weight=1.0), "`num_classes`"),
        (lambda e: kc.SCE(e, target_temperature=0), "`target_temperature`"),
        (lambda e: kc.SCE(e, coefficient=1.5), "`coefficient`.*1.5"),
        (lambda e: kc.SCE(e, self_logit="none"), "`self_logit`"),
        (lambda e: kc.SCE(e, coefficient=-0.1), "`coefficient`.*-0.1"),
        (lambda e: kc.SimCLR(e, num_classes=1), "`num_classes`"),
        (lambda e: kc.BYOL(e, num_classes=0), "`num_classes`"),
        (lambda e: kc.SimCLR(e, predictor=head()), "SimCLR has no predictor"),
        (lambda e: kc.callbacks.MomentumUpdate(1.5), "`start`.*1.5"),
        (lambda e: kc.callbacks.MomentumUpdate(0.9, -1), "`end`.*-1"),
        (lambda e: kc.callbacks.MomentumUpdate(schedule="linear"), "`schedule`"),
    ],
)
def test_bad_arguments(make, match):
    with pytest.raises(ValueError, match=match):
        make(tiny_encoder())


def test_batch_that_replicas_cannot_share(strategy_of):
    with strategy_of(3).scope():
        model = compiled()
    with pytest.raises(ValueError, match="3 replicas can share equally.*8"):
        model.fit(dataset(), verbose=0)


def test_momentum_update_without_target():
    with pytest.raises(ValueError, match="target network.*SimCLR"):
        compiled().fit(dataset(), verbose=0, callbacks=[kc.callbacks.MomentumUpdate()])


def test_metrics_of_compile_are_refused():
    with pytest.raises(ValueError, match="KNNEvaluation"):
        build("simclr").compile(sgd(), metrics=["accuracy"])


def test_recipe_needs_the_length_of_the_run():
    model = build("simclr")
    model.compile()
    endless = dataset().repeat()
    with pytest.raises(ValueError, match="steps_per_epoch"):
        model.fit(endless.filter(lambda *_: True), verbose=0)


def test_unsynchronized_batch_norm_warns_once(strategy_of):
    images = keras.Input((8, 8, 3))
    x = keras.layers.BatchNormalization()(images)
    encoder = keras.Model(images, keras.layers.GlobalAveragePooling2D()(x))
    with strategy_of(2).scope(), pytest.warns(UserWarning, match="synchronized=True"):
        kc.SimCLR(encoder, head())


def test_other_backend_is_refused_at_import():
    code = "import keras_contrastive"
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, types\n"
            "import keras\nkeras.backend.backend = lambda: 'jax'\n" + code,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode != 0
    assert "KERAS_BACKEND=tensorflow" in run.stderr

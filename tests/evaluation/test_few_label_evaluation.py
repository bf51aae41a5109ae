"""Draws of labels, the fine-tuning protocol, and the table of both."""

import json
import random

import keras
import numpy as np
import pytest

from keras_contrastive.evaluation import (
    FewLabelResult,
    FineTuning,
    class_balanced_subset,
    few_label_evaluation,
)
from keras_contrastive.layers import RandomResizedCrop

pytest.importorskip("sklearn")

QUICK = FineTuning(learning_rates=(1e-2,), steps=3, epochs=0.1, batch_size=16)


@pytest.fixture(scope="module")
def data():
    """60 and 40 images of 8 pixels; the classes 3, 5 and 9 differ in brightness."""
    rng = np.random.default_rng(0)
    y = np.tile([3, 5, 9], 34)[:100]
    x = rng.uniform(0, 90, (100, 8, 8, 1)) + 16 * y[:, None, None, None]
    return x[:60].astype("uint8"), y[:60], x[60:].astype("uint8"), y[60:]


@pytest.fixture(scope="module")
def encoder():
    """Two layers: each training is traced anew, which takes a ResNet seconds."""
    keras.utils.set_random_seed(0)
    images = keras.Input((8, 8, 1))
    x = keras.layers.Rescaling(1 / 255)(images)
    x = keras.layers.Conv2D(4, 3, kernel_initializer="he_normal")(x)
    x = keras.layers.BatchNormalization()(x)
    return keras.Model(images, keras.layers.GlobalAveragePooling2D()(x))


def test_draws_are_balanced_nested_and_seeded():
    labels = np.random.default_rng(0).permutation(np.repeat([7, 2, 4], 50))
    small, large = (class_balanced_subset(labels, n, seed=3) for n in (30, 90))
    for subset, each in ((small, 10), (large, 30)):
        assert np.unique(labels[subset], return_counts=True)[1].tolist() == [each] * 3
        assert len(set(subset)) == 3 * each
    assert set(small) < set(large)
    np.testing.assert_array_equal(small, class_balanced_subset(labels, 30, seed=3))
    assert set(small) != set(class_balanced_subset(labels, 30, seed=4))


def test_draws_from_unbalanced_classes_have_their_number():
    labels = np.repeat([0, 1, 2], [2, 10, 88])
    subset = class_balanced_subset(labels, 14)
    assert np.bincount(labels[subset]).tolist() in ([2, 6, 6],)
    assert sorted(class_balanced_subset(labels, 100)) == list(range(100))
    sizes = np.bincount(labels[class_balanced_subset(labels, 15)])
    assert sizes[0] == 2 and abs(sizes[1] - sizes[2]) == 1
    with pytest.raises(ValueError, match="here from 3 to 100. Received: count=2"):
        class_balanced_subset(labels, 2)
    with pytest.raises(ValueError, match="one integer class per example"):
        class_balanced_subset(labels / 2, 10)


def test_evaluation_compares_all_four(data, encoder, tmp_path):
    before = encoder.get_weights()
    python_state = random.getstate()
    result = few_label_evaluation(
        encoder, *data, fractions=(0.2, 1.0), draws=2, fine_tuning=QUICK
    )
    assert random.getstate() == python_state
    for a, b in zip(before, encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)

    assert result.measures == ["raw pixels", "linear", "fine-tuned", "from scratch"]
    assert result.fractions == [0.2, 1.0]
    for measure in result.measures:
        # Two draws of 12 labels; of all 60 there is only one.
        assert len(result.accuracies(measure, 0.2)) == 2
        assert len(result.accuracies(measure, 1.0)) == 1
        assert result.deviation(measure, 1.0) is None
    assert result.mean("raw pixels", 1.0) == 1.0  # class numbers 3, 5, 9 are found
    text = str(result)
    assert "20 % (12)" in text and "100 % (60)" in text and "100.0" in text

    saved = json.loads(result.save(tmp_path / "few.json").read_text())
    assert saved == json.loads(json.dumps(result.to_dict()))
    tuned = [s for s in saved["scores"] if s["measure"] == "fine-tuned"]
    assert [s["labels"] for s in tuned] == [12, 60]
    assert [s["learning_rate"] for s in tuned] == [1e-2, 1e-2]
    assert saved["protocol"]["fine_tuning"]["steps"] == 3
    assert [p.name for p in tmp_path.iterdir()] == ["few.json"]


def test_networks_can_be_trained_at_some_fractions_alone(data, encoder):
    options = {"fractions": (0.2, 1.0), "draws": 1, "fine_tuning": QUICK}
    result = few_label_evaluation(encoder, *data, fine_tune=(0.2,), **options)
    assert [s["fraction"] for s in result.scores if "learning_rate" in s] == [0.2, 0.2]
    assert str(result).splitlines()[-1].split()[-1] == "-"  # from scratch, all labels
    with pytest.raises(ValueError, match="some of `fractions`.*fine_tune=.0.1"):
        few_label_evaluation(encoder, *data, fine_tune=(0.1,), **options)
    with pytest.raises(ValueError, match="some of `fractions`.*fine_tune=0.2"):
        few_label_evaluation(encoder, *data, fine_tune=0.2, **options)


def test_a_baseline_gives_what_does_not_depend_on_the_weights(data, encoder, tmp_path):
    options = {"fractions": (0.2,), "draws": 1, "fine_tuning": QUICK}
    first = few_label_evaluation(encoder, *data, **options)
    for score in first.scores:
        score["accuracies"] = [0.123]  # so that it shows where a number comes from
    saved = json.loads(first.save(tmp_path / "few.json").read_text())
    second = few_label_evaluation(
        encoder, *data, baseline=FewLabelResult(**saved), **options
    )
    assert second.measures == first.measures
    for measure in second.measures:
        taken = measure in ("raw pixels", "from scratch")
        assert (second.mean(measure, 0.2) == 0.123) == taken
    train_x, *rest = data
    with pytest.raises(ValueError, match=r"same protocol. Received: other data \("):
        few_label_evaluation(encoder, 255 - train_x, *rest, baseline=first, **options)
    options["draws"] = 2
    with pytest.raises(ValueError, match=r"same protocol. Received.*draws \(1, not 2"):
        few_label_evaluation(encoder, *data, baseline=first, **options)


def test_means_and_deviations():
    scores = [
        {"measure": "a", "fraction": 0.01, "labels": 600, "accuracies": [0.8, 0.82]},
        {"measure": "b", "fraction": 0.01, "labels": 600, "accuracies": [0.5]},
    ]
    result = FewLabelResult(scores, {})
    assert result.mean("a", 0.01) == pytest.approx(0.81)
    assert result.deviation("a", 0.01) == pytest.approx(0.02 / np.sqrt(2))
    assert "81.0 ± 1.4" in str(result) and "50.0" in str(result)
    with pytest.raises(KeyError, match=r"measure of \['a', 'b'\].*measure='c'"):
        result.mean("c", 0.01)


def test_same_seed_same_network_and_scratch_is_new(data, encoder):
    x, y = data[0], data[1] // 4  # classes 0, 1, 2
    encoder = keras.models.clone_model(encoder)
    marked = [np.full_like(w, 0.01) for w in encoder.get_weights()]
    encoder.set_weights(marked)

    def trained(**arguments):
        still = FineTuning(steps=1, epochs=0.1, weight_decay=0.0)
        model = still.fit(encoder, x, y, learning_rate=1e-9, **arguments)
        return model.get_weights()

    tuned, again, scratch = trained(), trained(), trained(from_scratch=True)
    for a, b in zip(tuned, again, strict=True):
        np.testing.assert_array_equal(a, b)
    kernel = next(i for i, w in enumerate(tuned) if w.ndim == 4)
    np.testing.assert_allclose(tuned[kernel], 0.01, atol=1e-6)
    assert np.std(scratch[kernel]) > 0.1  # He-normal
    other = trained(from_scratch=True, seed=1)
    assert np.abs(scratch[kernel] - other[kernel]).max() > 0.1


def test_learning_rate_is_chosen_on_held_out_training_labels(data, monkeypatch):
    x, y = data[0], data[1] // 4
    seen = []

    class Spy(FineTuning):
        def fit(self, encoder, images, labels, rate, *rest):
            seen.append((rate, images, labels))
            return rate

    def accuracy(rate, images, labels):
        used = seen[-1][1]
        assert len(used) + len(images) == 60
        assert np.bincount(labels).tolist() == [4, 4, 4]
        pixels = {image.tobytes() for image in used}
        assert not any(image.tobytes() in pixels for image in images)
        return {1e-3: 0.7, 3e-3: 0.8, 1e-2: 0.8}[rate]

    monkeypatch.setattr("keras_contrastive.evaluation.fine_tuning.accuracy", accuracy)
    protocol = Spy(learning_rates=(1e-2, 1e-3, 3e-3))
    assert protocol.choose(None, x, y) == 3e-3
    assert sorted(rate for rate, *_ in seen) == [1e-3, 3e-3, 1e-2]
    # One label of each class: nothing to hold out, the middle one.
    seen.clear()
    assert protocol.choose(None, x[:3], y[:3]) == 3e-3
    assert not seen


def test_budget_suits_few_and_many_labels():
    protocol = FineTuning(steps=500, epochs=10, batch_size=64)
    assert protocol.steps_for(600) == 500
    assert protocol.steps_for(64_000) == 10_000
    assert protocol.steps_for(20) == 500  # batches of 20


def test_bad_input_is_said_before_any_training(data, encoder):
    x, y, test_x, test_y = data

    def says(message, fractions=(0.5,), **changed):
        arrays = {"train_x": x, "train_y": y, "test_x": test_x, "test_y": test_y}
        more = {k: changed.pop(k) for k in set(changed) - set(arrays)}
        with pytest.raises(ValueError, match=message):
            few_label_evaluation(
                encoder, **{**arrays, **changed}, fractions=fractions, **more
            )

    says(r"in \(0, 1\].*fractions=\(0.1, 1.5\)", fractions=(0.1, 1.5))
    says(r"in \(0, 1\].*Received: fractions=\(0,\)", fractions=(0,))
    says(r"in \(0, 1\].*Received: fractions=\(\)", fractions=())
    says("a label for each of the 3 classes, at least 0.05 of 60", fractions=(0.03,))
    says("`draws` must be an int >= 1. Received: draws=0", draws=0)
    unlabelled = np.where(np.arange(60) < 7, -1, y)
    says("train labels must all be known. Received: 7", train_y=unlabelled)
    says("test labels must all be known", test_y=-test_y)
    says("Of the test .* same length.*len.y.=39", test_y=test_y[1:])
    says("at least two classes. Received: only class 3", train_y=np.full(60, 3))
    broken = x.astype("float32")
    broken[8] = np.nan
    says("Of the train .* NaN or infinite pixels, first in image 8", train_x=broken)
    says(r"expects images of shape \(None, 8, 8, 1\)", test_x=test_x[:, :4])
    says(r"shape \(n, height, width, channels\)", train_x=x[..., 0])
    with pytest.raises(TypeError, match="`encoder` must be a keras.Model"):
        few_label_evaluation("resnet", *data)


def test_wrong_protocols():
    with pytest.raises(ValueError, match="`learning_rates` must be a tuple.*0.0"):
        FineTuning(learning_rates=(0.0,))
    with pytest.raises(ValueError, match="`steps` must be an int >= 1. Received: 0"):
        FineTuning(steps=0)
    with pytest.raises(ValueError, match="`epochs` must be > 0.*epochs=0"):
        FineTuning(epochs=0)
    with pytest.raises(TypeError, match="`augmentation` must be None or a random"):
        FineTuning(augmentation=keras.layers.RandomFlip())
    digits = FineTuning(augmentation=RandomResizedCrop(8, flip_probability=0.0))
    assert "RandomResizedCrop" in json.dumps(digits.describe())

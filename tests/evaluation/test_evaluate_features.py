import json

import keras
import numpy as np
import pytest

from keras_contrastive.evaluation import (
    build_classifier,
    evaluate_features,
    knn_accuracy,
    linear_probe,
)
from keras_contrastive.layers import ClassificationHead

pytest.importorskip("sklearn")
NAMES = ["cat", "dog", "eel", "owl"]


def data(n=200, m=300, classes=4, noise=1.0):
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(classes, 6))
    y = rng.integers(0, classes, n + m)
    x = 5 + 0.1 * (centres[y] + noise * rng.normal(size=(n + m, 6)))
    return x[:n], y[:n], x[n:], y[n:]


@pytest.mark.parametrize("classes", [2, 4])
def test_everything_agrees_with_its_parts(classes, tmp_path):
    x, y, a, b = data(classes=classes)
    result = evaluate_features(x, y, a, b, class_names=NAMES)
    assert 0.5 < result.accuracy < 1
    assert result.accuracy == pytest.approx(linear_probe(x, y, a, b), abs=0.005)
    assert result.knn_accuracy == knn_accuracy(x, y, a, b, k=20)
    assert result.accuracy == np.mean(result.predictions == b)
    assert result.class_names == NAMES[:classes]
    for i, name in enumerate(result.class_names):
        of_class = result.predictions[b == i]
        assert result.per_class_accuracy[name] == np.mean(of_class == i)
        counts = np.bincount(of_class, minlength=classes)
        np.testing.assert_array_equal(result.confusion_matrix[i], counts)
    np.testing.assert_array_equal(result.probabilities.argmax(1), result.predictions)
    np.testing.assert_allclose(result.probabilities.sum(1), 1, rtol=1e-5)
    written = json.loads(result.save(tmp_path / "result.json").read_text())
    assert written == result.to_dict()
    assert written["per_class_accuracy"]["dog"] == result.per_class_accuracy["dog"]


@pytest.mark.parametrize("classes", [2, 4])
def test_probabilities_are_those_of_scikit_learn(classes):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y, a, b = data(classes=classes)
    result = evaluate_features(x, y, a, b, candidates=(0.1,))
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=0.1))
    expected = pipeline.fit(x, y).predict_proba(a)
    np.testing.assert_allclose(result.probabilities, expected, atol=2e-3)


def test_names_in_place_of_numbers():
    x, y, a, b = data()
    one = {"candidates": (0.1,)}
    expected = evaluate_features(x, y, a, b, class_names=NAMES, **one)
    for kind in ("U", "O", "S"):  # NumPy's strings, pandas's, TensorFlow's
        named = (np.array(NAMES).astype(kind)[z] for z in (y, b))
        train_y, test_y = named
        result = evaluate_features(x, train_y, a, test_y, **one)
        assert result.to_dict() == expected.to_dict()
        assert str(result) == str(expected)
        assert list(result.predictions) == [NAMES[i] for i in expected.predictions]
        assert linear_probe(x, train_y, a, test_y, **one) == expected.accuracy
        assert knn_accuracy(x, train_y, a, test_y, k=20) == expected.knn_accuracy


def test_rows_without_a_label_are_classified_but_do_not_count():
    x, y, a, b = data()
    some = np.where(np.arange(len(b)) < 100, b, -1)
    result = evaluate_features(x, y, a, some)
    expected = evaluate_features(x, y, a[:100], b[:100])
    assert result.accuracy == expected.accuracy
    assert result.confusion_matrix.sum() == 100
    assert result.predictions.shape == (300,)
    more = np.concatenate([x, a]), np.concatenate([y, np.full(len(a), -1)])
    assert evaluate_features(*more, a, b).accuracy == linear_probe(x, y, a, b)


def test_a_class_that_train_lacks_and_one_without_test_rows(capsys):
    x, y, a, b = data()
    train, test = y != 3, b != 0
    result = evaluate_features(x[train], y[train], a[test], b[test], NAMES)
    assert result.per_class_accuracy["owl"] == 0
    assert result.per_class_accuracy["cat"] is None
    assert result.classifier.layers[-1].class_names == ("cat", "dog", "eel")
    assert result.probabilities.shape == (test.sum(), 3)
    assert result.accuracy == np.mean(result.predictions == b[test])
    print(result)
    table = capsys.readouterr().out
    worst = np.argmax(result.confusion_matrix[3])
    assert f"0.0 %  {NAMES[worst]} ({result.confusion_matrix[3, worst]})" in table
    assert f"of {test.sum()} test rows ({train.sum()} training rows, 4 clas" in table


def test_one_model_behind_the_encoder(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), "uint8")
    inputs = keras.Input((8, 8, 3))
    features = keras.layers.Dense(5)(keras.layers.GlobalAveragePooling2D()(inputs))
    encoder = keras.Model(inputs, features, name="mean")
    x, y = np.asarray(encoder(images)), np.arange(60) % 3
    result = evaluate_features(x, y, x, y, NAMES)
    model = result.build_classifier(encoder)
    assert model.name == "mean_classifier"
    model.save(tmp_path / "classifier.keras")
    loaded = keras.models.load_model(tmp_path / "classifier.keras")
    np.testing.assert_allclose(loaded(images), result.probabilities, atol=1e-6)
    assert loaded.layers[-1].class_names == ("cat", "dog", "eel")
    assert loaded.layers[-1].name == "probabilities"
    result.classifier.save(tmp_path / "head.keras")
    head = keras.models.load_model(tmp_path / "head.keras")
    np.testing.assert_array_equal(head(x), result.probabilities)
    with pytest.raises(ValueError, match="the 5 features that were.*'other'.*None, 3"):
        result.build_classifier(
            keras.Model(
                inputs, keras.layers.GlobalAveragePooling2D()(inputs), name="other"
            )
        )
    tuned = build_classifier(encoder, 3, class_names=NAMES[:3])
    assert tuned.layers[-1].class_names == ("cat", "dog", "eel")
    assert tuned.layers[-1].name == "logits"


@pytest.mark.parametrize(
    "change, message",
    [
        ({"class_names": ["cat", "dog"]}, "2 names, and classes from 0 to 3"),
        ({"class_names": ["cat"] * 4}, "at least two different strings"),
        ({"test_y": np.array(NAMES * 75)}, "both hold class numbers.*and.*'cat'"),
        ({"test_y": np.zeros(300)}, "integer class.*or its name.*float64"),
        ({"train_y": np.zeros(200, int)}, "two classes. Received: only class 0"),
        ({"train_y": np.array(["a", 1] * 100, object)}, "integer class.*object"),
    ],
)
def test_wrong_arguments(change, message):
    names = ("train_x", "train_y", "test_x", "test_y")
    arguments = {**dict(zip(names, data(), strict=True)), **change}
    with pytest.raises(ValueError, match=message):
        evaluate_features(**arguments)


def test_class_names_of_named_classes():
    x, y, a, b = data()
    named = np.array(NAMES)[y], a, np.array(NAMES)[b]
    with pytest.raises(ValueError, match="are for integer classes.*'cat'.*Leave it"):
        evaluate_features(x, *named, class_names=NAMES)


def test_names_of_a_head():
    for names in (["cat"], ["cat", 1], "x"):
        with pytest.raises(ValueError, match="two different strings"):
            ClassificationHead(names)
    with pytest.raises(ValueError, match="name each of the 3 classes.*2 names"):
        encoder = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten()])
        build_classifier(encoder, 3, class_names=["cat", "dog"])

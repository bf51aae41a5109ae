"""Every `>>>` of the package runs, and gives what stands below it."""

import doctest
import importlib
import pkgutil

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from slow_cases import by_name

import keras_contrastive as kc


def examples():
    """All docstrings with examples, by the name of what they document."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    for info in pkgutil.walk_packages(kc.__path__, "keras_contrastive."):
        if info.name.endswith("__main__") or ".runners." in info.name:
            continue  # scripts, which import what an artefact is run by
        module = importlib.import_module(info.name)
        for test in finder.find(module):
            if test.examples:
                yield test


TESTS = {test.name: test for test in examples()}
NAMES = {"kc": kc, "keras_contrastive": kc, "keras": keras, "np": np, "tf": tf}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """What the examples find: a folder of photos, and a tiny prepared data set."""
    folder = tmp_path_factory.mktemp("data")
    x = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    for number, image in enumerate(x):
        path = folder / "photos" / ("cat", "dog")[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tf.io.encode_jpeg(image).numpy())
    examples = tf.data.Dataset.from_tensor_slices({"image": x, "label": np.arange(4)})
    tfds.dataset_builders.TfDataBuilder(
        name="cifar10",
        version="3.0.2",
        split_datasets={"train": examples, "test": examples},
        features=tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(32, 32, 3)),
                "label": tfds.features.ClassLabel(num_classes=10),
            }
        ),
        data_dir=folder,
    ).download_and_prepare()
    return folder


# They train, or start processes, and other tests do the same.
LONG = ("to_saved_model", "verify", "FineTuning", "few_label_evaluation", "judge")


@by_name(TESTS, slow=lambda name: name.endswith(LONG))
def test_example(name, data, tmp_path, monkeypatch):
    (tmp_path / "photos").symlink_to(data / "photos")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", data)
    test, lines = TESTS[name], []
    test.globs |= NAMES
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    doctest.DocTestRunner(optionflags=flags).run(test, out=lines.append)
    assert not lines, "".join(lines)

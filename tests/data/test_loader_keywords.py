"""The keywords that all loaders of views share."""

import inspect

import pytest

import keras_contrastive as kc
from keras_contrastive.data.options import Options

LOADERS = {
    "arrays": kc.data.views_from_arrays,
    "dataset": kc.data.views_from_dataset,
    "directory": kc.data.views_from_directory,
    "tfds": kc.data.views_from_tfds,
}


@pytest.mark.parametrize("name", LOADERS)
def test_every_loader_shows_and_documents_all_its_keywords(name):
    parameters = inspect.signature(LOADERS[name]).parameters
    assert set(inspect.signature(Options).parameters) <= set(parameters)
    assert "options" not in parameters
    for parameter in parameters:
        assert f"\n        {parameter}: " in LOADERS[name].__doc__


@pytest.mark.parametrize("name", LOADERS)
def test_wrong_keywords_are_an_error_of_the_loader(name):
    loader = LOADERS[name]
    with pytest.raises(TypeError, match=rf"views_from_{name}\(\).*'batch'"):
        loader("", augmentation=None, batch=3)
    with pytest.raises(TypeError, match=rf"views_from_{name}\(\).*'augmentation'"):
        loader("")

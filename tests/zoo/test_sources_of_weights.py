"""The table of sources: complete, in the documentation, and in the command."""

import importlib
import pathlib

import pytest

import keras_contrastive as kc
from keras_contrastive.cli import main

PAGE = pathlib.Path(__file__).parents[2] / "docs/weights-from-elsewhere.md"
convert_module = importlib.import_module("keras_contrastive.zoo.convert")


def test_the_documentation_has_the_table():
    assert f"\n{convert_module.sources_table()}\n" in PAGE.read_text()


@pytest.mark.parametrize("name", kc.zoo.SOURCES)
def test_every_source_says_where_it_is_from(name):
    about = kc.zoo.SOURCES[name]
    assert about.url.startswith("https://github.com/")
    assert about.method and about.licence and about.networks
    assert about.commercial == (name not in ("moco_v3", "swav", "simsiam"))
    for *words, value in about.published:
        assert all(words) and 0 < value < 100


def test_the_command_lists_them_and_refuses_what_it_does_not_know(capsys, tmp_path):
    assert main.main(["zoo", "sources"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [*kc.zoo.SOURCES]
    assert any("no commercial use" in line for line in lines)
    assert main.main(["zoo", "convert", "a.pth", "b"]) == 2
    assert main.main(["zoo", "convert", "a.pth", "b", "--source=moco"]) == 1
    assert "`source` must be one of" in capsys.readouterr().err

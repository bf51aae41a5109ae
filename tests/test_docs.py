"""The documentation names what exists: methods, files, names, commands and flags."""

import ast
import importlib
import inspect
import json
import pathlib
import re
import shlex

import pytest

import keras_contrastive as kc
from keras_contrastive.cli.main import COMMANDS
from keras_contrastive.zoo.card import with_table

ROOT = pathlib.Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
PAGE_IDS = [str(page.relative_to(DOCS)) for page in PAGES]
METHODS = [
    name
    for name in kc.methods.__all__
    if issubclass(getattr(kc, name), kc.ContrastiveModel) and name != "ContrastiveModel"
]
CHOOSE = (DOCS / "choose-a-method.md").read_text()
every_page = pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)


def blocks(page, languages):
    """The code of a page in one of the languages."""
    pattern = rf"^```(?:{languages})\n(.*?)^```"
    return re.findall(pattern, page.read_text(), re.DOTALL | re.MULTILINE)


def command_lines(page):
    """The commands of this package on a page, without their comments."""
    text = "".join(blocks(page, "bash"))
    return [
        shlex.split(line, comments=True)[1:]
        for line in text.splitlines()
        if line.startswith("keras-contrastive ")
    ]


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_page_row_and_figure(name):
    module = getattr(kc, name).__module__
    short = module.rpartition(".")[2]
    page = (DOCS / f"methods/{short}.md").read_text()
    assert f"::: {module}.{name}\n" in page
    assert f"(../figures/{short}.svg)" in page
    assert (DOCS / f"figures/{short}.svg").exists()
    assert f"| [`kc.{name}`](methods/{short}.md) |" in CHOOSE
    assert f"methods/{short}.md\n" in (ROOT / "mkdocs.yml").read_text()


def test_every_recipe_has_a_row():
    page = (DOCS / "api/recipes.md").read_text()
    for name in set(kc.recipes.__all__) - {"Recipe"}:
        assert f"| `{name}` |" in page


def test_functions_behind_a_module_of_their_name_are_documented():
    # mkdocstrings shows what `__all__` names, but finds the module there.
    for name in kc.__all__:
        module = getattr(kc, name)
        for member in getattr(module, "__all__", []):
            path = f"{module.__name__}.{member}"
            if getattr(getattr(module, member), "__module__", "") == path:
                page = (DOCS / f"api/{name}.md").read_text()
                assert f"::: {path}.{member}\n" in page


def test_every_command_is_named():
    page = (DOCS / "command-line.md").read_text()
    assert all(f"\n## {command}\n" in page for command in COMMANDS)


def test_accuracies_are_those_of_the_benchmark(load_script):
    script, _ = load_script(ROOT / "benchmarks/methods.py")
    results = json.loads((ROOT / "benchmarks/results/methods.json").read_text())
    for page in (ROOT / "README.md", ROOT / "docs/choose-a-method.md"):
        text = page.read_text()
        table = script.table(results)
        assert with_table(text, table, script.BEGIN, script.END) == text, page


@every_page
def test_links_point_to_files(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not re.match(r"\w+://|#|mailto:", link):
            assert (page.parent / link.partition("#")[0]).exists(), link


def resolve(name):
    """What a name such as `kc.losses.sigreg` stands for."""
    thing = kc
    for part in name.split(".")[1:]:
        thing = getattr(thing, part)
    return thing


@every_page
def test_python_parses_and_its_names_exist(page):
    for name in re.findall(r"\bkc(?:\.[A-Za-z_]\w*)+", page.read_text()):
        resolve(name)  # in the text, too
    for code in blocks(page, "python"):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("kc."):
                name = ast.unparse(node.func)
                if re.fullmatch(r"kc(\.\w+)+", name):
                    function = resolve(name)
                    assert callable(function), name
                    known = inspect.signature(function).parameters
                    if all(p.kind is not p.VAR_KEYWORD for p in known.values()):
                        given = {keyword.arg for keyword in node.keywords}
                        assert given <= set(known), name


@every_page
def test_commands_and_flags_exist(page):
    for command, *arguments in command_lines(page):
        assert command in COMMANDS
        flags = importlib.import_module(f"keras_contrastive.cli.{command}").FLAGS
        for argument in arguments:
            if argument.startswith("--"):
                name = argument[2:].partition("=")[0]
                assert name in flags or name == "help", argument
                recipe = re.fullmatch("--recipe=(.*)", argument)
                known = [n.lower() for n in kc.recipes.__all__] + ["supervised"]
                if recipe:
                    assert {recipe[1], f"{recipe[1]}_small"} & set(known), argument


@every_page
def test_files_of_the_repository_exist(page):
    pattern = r"\b((?:examples|benchmarks|export|tests)/[\w/]+\.(?:py|json|md))"
    for file in re.findall(pattern, page.read_text()):
        assert (ROOT / file).exists(), file

"""The comparison of methods: what it runs, keeps and draws; a stand-in trains."""

import json
import pathlib

import pytest

import keras_contrastive as kc

BENCHMARK = pathlib.Path(__file__).parent.parent.parent / "benchmarks/methods.py"
STAND_IN = """
import json, pathlib, sys
given = dict(flag[2:].partition("=")[::2] for flag in sys.argv[1:])
folder = pathlib.Path(given["output"]) / "a_preset"
folder.mkdir()
about = {"method": given["recipe"], "commit": "c", "hardware": "h"}
(folder / "metadata.json").write_text(json.dumps(about))
numbers = {given["dataset"]: {"knn": 0.5, "linear": 0.625, "protocol": {}}}
(folder / "metrics.json").write_text(json.dumps(numbers))
"""


@pytest.fixture
def benchmark(monkeypatch, tmp_path, load_script):
    """The script, and a function that runs it in `tmp_path`."""
    script, parse = load_script(BENCHMARK)
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples/pretrain.py").write_text(STAND_IN)
    monkeypatch.setattr(script, "_ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        parse("--json_file=results.json", *arguments)
        script.main([])
        return json.loads(pathlib.Path("results.json").read_text())

    return script, run


def test_rows_are_every_method_of_the_package(benchmark):
    script, _ = benchmark
    everything = {getattr(kc.recipes, n).method for n in kc.recipes.__all__ if "_" in n}
    names = {flags[0].partition("=")[2].upper() for flags in script.rows().values()}
    methods = {getattr(kc.recipes, name).method for name in names - {"SUPERVISED"}}
    assert methods == everything
    assert script.rows()["byol"] == [
        "--recipe=byol_small",
        "--policy=area=(0.2, 1.0)",
        "--policy=blur=(0.0, 0.0)",
    ]


def test_what_is_finished_is_not_run_again(benchmark, monkeypatch):
    script, run = benchmark
    first = run("--only=simclr")
    assert first["simclr"]["knn"] == 0.5 and first["simclr"]["cpu_minutes"] >= 0
    assert first["simclr"]["memory_gib"] >= 0
    assert first["simclr"]["command"].startswith(
        "python examples/pretrain.py --crop=20 --recipe=simclr_small --policy=area=("
    )
    (script._ROOT / "examples/pretrain.py").write_text("raise SystemExit(3)")
    assert run("--only=simclr") == first
    with pytest.raises(SystemExit, match="byol failed; see .*log.txt"):
        run("--only=byol")
    with pytest.raises(SystemExit, match="no rows .'bjol'.*'byol'"):
        run("--only=bjol")
    assert json.loads(pathlib.Path("results.json").read_text()) == first
    (script._ROOT / "examples/pretrain.py").write_text(STAND_IN)
    assert "cpu_minutes" not in run("--only=byol")["byol"]  # it ran in pieces


def test_table_and_chart(benchmark):
    script, run = benchmark
    page = pathlib.Path("README.md")
    page.write_text(f"above\n{script.BEGIN}\nold\n{script.END}\nbelow\n")
    low = {"knn": 0.25, "linear": 0.3}
    pathlib.Path("results.json").write_text(json.dumps({"untrained": low}))
    run("--only=simclr", "--write=README.md")
    text = page.read_text()
    assert text.startswith("above\n<!-- methods") and text.endswith(
        "methods -->\nbelow\n"
    )
    assert "old" not in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert rows[1].startswith("| simclr | 50.0 | 62.5 | 0.")
    assert rows[2] == "| untrained | 25.0 | 30.0 |  |  |"
    assert pathlib.Path("results.png").read_bytes().startswith(b"\x89PNG")
    page.write_text("no markers")
    with pytest.raises(SystemExit, match="must have the lines"):
        run("--report", "--write=README.md")

import pathlib

import pytest
from damage import rewrite

import keras_contrastive as kc
from keras_contrastive.cli.main import main
from keras_contrastive.zoo import card, sources
from keras_contrastive.zoo.preset_files import METADATA, fingerprint

README = pathlib.Path(__file__).parents[2] / "README.md"


@pytest.fixture
def run(capsys):
    """A function: command line -> exit status, stdout, stderr."""

    def call(*argv, **flags):
        flags = [f"--{name}={value}" for name, value in flags.items()]
        return main(["zoo", *argv, *flags]), *capsys.readouterr()

    return call


def test_commands(shipped, run, tmp_path):
    assert run("list") == (0, "simclr_tiny\n", "")
    assert run("show", "simclr_tiny")[1].startswith("# simclr_tiny\n")
    status, out, _ = run("table")
    assert status == 0
    about = "| `simclr_tiny` | 28x28x1 | 0.02 M | fashion_mnist |"
    assert f"{about} 80.0 | 90.0 | - | 75.0 | - | - |" in out
    page = tmp_path / "README.md"
    page.write_text(f"a\n{card.BEGIN}\nold\n{card.END}\nb\n")
    assert run("table", write=str(page)) == (0, "", "")
    assert page.read_text() == f"a\n{card.BEGIN}\n\n{out}\n{card.END}\nb\n"
    status, out, _ = run("verify", data_dir=str(tmp_path))
    assert status == 0 and "passed" in out
    (shipped / "README.md").write_text("changed")
    assert run("show", "simclr_tiny")[0] == 1
    status, out, _ = run("register")  # it refuses what is damaged
    assert status == 1 and not out


def test_fetch_and_publish(preset, run, tmp_path):
    sha256 = kc.zoo.describe(preset)["sha256"]
    assert run("fetch", str(preset))[1].endswith(f"sha256 {sha256}\n")
    status, out, _ = run("publish", str(preset), str(tmp_path / "a.zip"), dry_run=True)
    assert status == 0 and "library_name" in out and "Nothing was written" in out
    assert not (tmp_path / "a.zip").exists()
    status, out, _ = run("publish", str(preset), str(tmp_path / "a.zip"))
    assert status == 0 and "model.weights.h5" in out and (tmp_path / "a.zip").exists()
    status, out, _ = run("fetch", str(preset), str(tmp_path / "mine"))
    assert status == 0
    theirs = kc.zoo.describe(tmp_path / "mine")["sha256"]
    assert out.endswith(f"sha256 {theirs}\n")
    status, _, err = run("fetch", str(preset), str(tmp_path / "mine"))
    assert status == 1 and "mine" in err
    for argv in (["fetch"], ["publish", "one"], ["to_torch", "one"]):
        status, _, err = run(*argv)
        assert status == 2 and f"Expected: zoo {argv[0]} PRESET" in err


ESCAPE = "\x1b]0;owned\x07\x9b2J\r\b\u202e"


def test_a_preset_cannot_steer_the_terminal(preset, run):
    text = f"# card\n{ESCAPE}é\n"
    (preset / "README.md").write_text(text, encoding="utf-8")
    listed = {"README.md": fingerprint(text.encode())}

    def change(metadata):
        metadata["files"] |= listed
        metadata["name"] = metadata["data"] = ESCAPE

    rewrite(preset, METADATA, change)
    rewrite(preset, "metrics.json", lambda x: x.update({ESCAPE: {"knn": 0.5}}))
    said = [*run("show", str(preset))[1:], *run("verify", str(preset))[1:]]
    said.append(kc.zoo.card.card(kc.zoo.describe(preset), {}))
    rewrite(preset, METADATA, lambda x: x.update(format=ESCAPE))
    said += run("show", str(preset))[1:]
    assert "# card\n" in said[0] and "é\n" in said[0]
    assert not {*"".join(said)} & {*ESCAPE} - {*"]0;owned2J"}


def test_errors_are_sentences(run):
    status, out, err = run("show", "no_such_preset")
    assert status == 1 and not out and err.startswith("error: A preset is the name of")
    for argv, close in (([], "convert, fetch"), (["shwo"], "show")):
        status, _, err = run(*argv)
        assert status == 2 and f"Choose of {close}" in err
    assert "verify [NAME]" in run("--help")[1]


def test_a_readme_needs_both_markers():
    for text in ("", card.BEGIN, card.END + card.BEGIN):
        with pytest.raises(ValueError, match="must have the lines"):
            card.with_table(text, "table")


def test_readme_shows_the_table():
    text = README.read_text(encoding="utf-8")
    if not kc.list_presets() and card.BEGIN not in text:
        return  # nothing to show yet
    assert card.with_table(text, kc.zoo.table()) == text, (
        "python -m keras_contrastive.zoo table --write=README.md"
    )


def test_what_ships_is_registered_and_small():
    folders = {x.name for x in sources.PRESETS.glob("*") if x.is_dir()}
    assert folders == set(kc.list_presets())
    if folders:
        package_data = (README.parent / "setup.cfg").read_text()
        assert "zoo/registry.json" in package_data and "zoo/presets/" in package_data
    size = 0
    for name in folders:
        about = kc.zoo.describe(name)  # checks every file
        assert about["name"] == name and about["weights_dtype"] == "float16"
        for key in ("method", "data", "epochs", "seed", "command", "commit", "licence"):
            assert about[key] is not None, (name, key)
        assert {"sample"} < set(about["metrics"]), name
        size += sum(x.stat().st_size for x in (sources.PRESETS / name).iterdir())
    assert size <= 45e6

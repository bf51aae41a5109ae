import concurrent.futures
import errno
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_contrastive import files
from keras_contrastive.export.file_manifest import describe_file


def leftovers(folder):
    return list(pathlib.Path(folder).glob(".*"))


def test_json_holds_what_metrics_hold(tmp_path):
    content = {"a": np.float32(0.5), "b": np.arange(2), "c": tmp_path}
    files.write_json(tmp_path / "x.json", content)
    expected = {"a": 0.5, "b": [0, 1], "c": str(tmp_path)}
    assert json.loads((tmp_path / "x.json").read_text()) == expected
    assert not leftovers(tmp_path)


def test_a_link_is_written_through(tmp_path):
    (tmp_path / "link").symlink_to("target")
    files.write_bytes(tmp_path / "link", b"1")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"1"


def test_a_long_name(tmp_path):
    files.write_bytes(tmp_path / ("x" * 255), b"1")
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_sentence_and_keeps_the_old_file(
    tmp_path, monkeypatch, number
):
    (tmp_path / "x.json").write_text("old")

    def write(path, content):
        with open(path, "wb") as file:
            file.write(content[:1])
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(pathlib.Path, "write_bytes", write)
    with pytest.raises(OSError, match="x.json' needs 1,234 bytes: .*Free space") as e:
        files.write_bytes(tmp_path / "x.json", b"x" * 1234)
    assert e.value.errno == number
    assert (tmp_path / "x.json").read_text() == "old" and not leftovers(tmp_path)


def test_models_are_written_from_memory(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    files.write_model(tmp_path / "x.keras", model)
    loaded = keras.models.load_model(tmp_path / "x.keras")
    np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])
    file = files.MemoryFile(".weights.h5")
    loaded.set_weights([np.zeros((2, 3)), np.zeros(3)])
    model.save_weights(file)
    loaded.load_weights(files.MemoryFile(".weights.h5", file.getvalue()))
    np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])


def small_model():
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(300)])


def small_figure():
    figure = pytest.importorskip("matplotlib.figure").Figure()
    figure.subplots().plot([0, 1])
    return figure


@pytest.mark.parametrize(
    "write, make",
    [(files.write_model, small_model), (files.write_figure, small_figure)],
)
def test_what_the_disk_does_not_take_leaves_the_old_file(
    tmp_path, room_for, write, make
):
    path, content = tmp_path / "x.png", make()
    write(path, content)
    before = path.read_bytes()
    with room_for(1000), pytest.raises(OSError, match="x.png' needs .*Free space") as e:
        write(path, content)
    assert e.value.errno == errno.EFBIG
    assert path.read_bytes() == before and not leftovers(tmp_path)


def test_an_error_of_tensorflow_is_known_by_its_text(tmp_path):
    def call(text):
        with files.full_disk(tmp_path, 10):
            raise tf.errors.ResourceExhaustedError(None, None, text)

    with pytest.raises(OSError, match="needs 10 bytes: No space left") as error:
        call("shard-1.tmp; No space left on device [Op:SaveV2]")
    assert error.value.errno == errno.ENOSPC
    with pytest.raises(tf.errors.ResourceExhaustedError):  # of memory
        call("OOM when allocating a tensor")


def test_scratch_folders_are_private_and_of_killed_processes_removed(
    tmp_path, monkeypatch, writer
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    killed = writer(tmp_path)
    killed.kill()
    killed.wait()
    with files.scratch_folder(0) as folder:
        assert leftovers(tmp_path) == [folder]
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not leftovers(tmp_path)


WRITES = (
    r"savefig|json\.dump\(|\.write_(text|bytes)\(|open\([^)]*\"w"
    r"|\b(model|encoder|classifier|network|loaded)\.save\(|np\.savez?\("
)


def test_scripts_write_through_files():
    """So that a full disk costs them nothing and says so."""
    root = pathlib.Path(__file__).parents[1]
    scripts = [*root.glob("examples/*.py"), *root.glob("export/**/*.py")]
    assert len(scripts) > 10
    for path in scripts:
        found = re.search(WRITES, path.read_text())
        assert found is None, f"{path.name}: {found[0]}"


def test_nothing_is_left_after_an_error(tmp_path):
    base = tmp_path / "new" / "model"
    with pytest.raises(KeyError), files.temporary_sibling(base):
        raise KeyError
    assert not base.exists()


# A writer that says when it is at work, and then works for ever. It needs no package
# but this module, so that it starts at once.
WRITER = f"""
import sys, time, types, importlib.util
sys.modules["keras"] = types.SimpleNamespace(Model=None)
spec = importlib.util.spec_from_file_location("files", {files.__file__!r})
files = importlib.util.module_from_spec(spec)
spec.loader.exec_module(files)
with files.temporary_sibling(sys.argv[1]) as folder:
    (folder / "half").touch()
    with files.temporary_file(sys.argv[1] + "/one.onnx") as file:
        print("at work", flush=True)
        time.sleep(600)
"""


@pytest.fixture
def writer(tmp_path):
    """A function that starts a writer and returns its process."""
    started = []

    def start(base):
        command = [sys.executable, "-S", "-c", WRITER, str(base)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        assert started[-1].stdout.readline() == b"at work\n"
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_what_killed_writers_left_goes_and_what_is_at_work_stays(tmp_path, writer):
    pytest.importorskip("fcntl")
    at_work, killed = writer(tmp_path), [writer(tmp_path) for _ in range(2)]
    assert len(leftovers(tmp_path)) == 6  # a folder and a file of each
    for process in killed:
        process.send_signal(signal.SIGKILL)
        process.wait()
    files.write_json(tmp_path / "x.json", {})  # any kind of write clears up
    assert len(leftovers(tmp_path)) == 2
    at_work.kill()
    at_work.wait()
    with files.temporary_sibling(tmp_path) as folder:
        assert leftovers(tmp_path) == [folder]


def test_what_another_machine_left_goes_after_a_week(tmp_path):
    old, new, foreign = (tmp_path / f".keras_contrastive-{x}-" for x in "abc")
    foreign = tmp_path / ".other"
    pipe = tmp_path / f".keras_contrastive-{files._KERNEL}-pipe"
    for folder in (old, new, foreign):
        folder.mkdir()
    os.mkfifo(pipe)
    for folder in (old, foreign):
        os.utime(folder, (time.time() - files._WEEK - 60,) * 2)
    files.write_bytes(tmp_path / "x", b"")
    assert set(leftovers(tmp_path)) == {new, foreign}


def test_without_locks_nothing_is_removed(tmp_path, monkeypatch):
    left = tmp_path / f".keras_contrastive-{files._KERNEL}-x"
    left.mkdir()
    monkeypatch.setattr(files, "fcntl", None)
    files.write_bytes(tmp_path / "x", b"")
    assert left.exists()


def replaced(tmp_path):
    """Replace a folder of content 1 by one of content 2."""
    target = tmp_path / "target"
    target.mkdir()
    (target / "1").touch()
    with files.temporary_sibling(tmp_path) as folder:
        (folder / "2").touch()
        files.replace_folder(folder, target)
    return target


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_folder_is_replaced(tmp_path, monkeypatch, can_exchange):
    if not can_exchange:
        monkeypatch.setattr(files, "_exchange", lambda *_: False)
    target = replaced(tmp_path)
    assert os.listdir(target) == ["2"] and os.listdir(tmp_path) == ["target"]


@pytest.mark.skipif(sys.platform != "linux", reason="renameat2 is of Linux")
def test_a_replaced_folder_is_never_absent(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "rename", _refuse_target(os.rename))
    assert os.listdir(replaced(tmp_path)) == ["2"]  # no rename had a part in it


def _refuse_target(rename):
    def refuse(source, target):
        assert pathlib.Path(source).name != "target"
        rename(source, target)

    return refuse


@pytest.mark.parametrize("error", [OSError("No"), KeyboardInterrupt()])
def test_without_exchange_what_was_there_comes_back(tmp_path, monkeypatch, error):
    rename = os.rename

    def fail(source, target):
        if pathlib.Path(target).name == "target" and ".replaced" not in str(source):
            raise error
        rename(source, target)

    monkeypatch.setattr(files, "_exchange", lambda *_: False)
    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(type(error)):
        replaced(tmp_path)
    assert os.listdir(tmp_path / "target") == ["1"]
    assert os.listdir(tmp_path) == ["target"]


def test_a_kill_between_two_renames_is_recovered(tmp_path):
    (tmp_path / ".replaced-target").mkdir()
    files.recover(tmp_path / "target")
    assert os.listdir(tmp_path) == ["target"]
    (tmp_path / ".replaced-target").mkdir()
    files.recover(tmp_path / "target")  # nothing is to do
    assert (tmp_path / ".replaced-target").exists()


def test_a_manifest_keeps_the_entries_of_all_writers(tmp_path):
    paths = [tmp_path / f"{i}.onnx" for i in range(24)]
    for path in paths:
        path.touch()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda path: describe_file(path, {}), paths))
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert set(manifest["artefacts"]) == {x.name for x in paths}


def test_zoo_and_evaluation_stand_on_the_ground_floor():
    """What they share with the exports lies below both."""
    package = pathlib.Path(files.__file__).parent
    for path in [*package.glob("zoo/*.py"), *package.glob("evaluation/*.py")]:
        found = re.search(r"keras_contrastive(\.| import )export.*", path.read_text())
        assert found is None or found[0].endswith("export import verify"), path.name

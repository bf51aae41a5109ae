import pytest

from keras_contrastive import files
from keras_contrastive.export import version_folder


def publish(base, **arguments):
    with files.temporary_sibling(base) as folder:
        (folder / "saved_model.pb").write_text("x")
        assert folder.name.startswith(".")
        assert version_folder.versions(base) == [
            x for x in version_folder.versions(base) if x > 0
        ]
        return version_folder.publish(folder, base, **arguments)


def test_next_free_number(tmp_path):
    base = tmp_path / "model"
    assert publish(base) == base / "1"
    assert publish(base) == base / "2"
    assert publish(base, version=7) == base / "7"
    assert publish(base) == base / "8"
    assert version_folder.versions(base) == [1, 2, 7, 8]
    assert sorted(x.name for x in base.iterdir()) == ["1", "2", "7", "8"]


def test_a_taken_number(tmp_path):
    publish(tmp_path)
    with pytest.raises(ValueError, match="where .1. are taken. Received: version=1"):
        publish(tmp_path, version=1)
    assert [x.name for x in tmp_path.iterdir()] == ["1"]


def test_a_number_that_another_process_took_meanwhile(tmp_path, monkeypatch):
    publish(tmp_path)
    seen = iter([[], [1]])  # the first look still finds nothing
    monkeypatch.setattr(version_folder, "versions", lambda _: next(seen))
    with files.temporary_sibling(tmp_path) as folder:
        (folder / "saved_model.pb").write_text("y")
        assert version_folder.publish(folder, tmp_path) == tmp_path / "2"
    assert (tmp_path / "1" / "saved_model.pb").read_text() == "x"

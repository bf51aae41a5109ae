import concurrent.futures
import errno
import json
import os
import pathlib
import re
import shutil

import h5py
import keras
import numpy as np
import pytest
from damage import flip_byte, rewrite

import keras_contrastive as kc
from keras_contrastive import files
from keras_contrastive.zoo import encoder_config, preset_files
from keras_contrastive.zoo.preset_files import FILES, METADATA, fingerprint


def test_what_is_saved_is_loaded(encoder, saved, images):
    assert {x.name for x in saved.iterdir()} == {METADATA, *FILES}
    loaded = kc.from_preset(str(saved))
    assert loaded.name == encoder.name
    np.testing.assert_array_equal(loaded(images), encoder(images))
    about = kc.zoo.describe(saved)
    assert about["params"] == encoder.count_params()
    assert about["input"]["shape"] == [28, 28, 1]
    assert about["architecture"] == "resnet10" and about["licence"] == "MIT"
    assert about["metrics"]["fashion_mnist"]["linear"] == 0.9


def test_float16_on_disk_is_float32_in_memory(encoder, saved, images, tmp_path):
    half = kc.save_to_preset(encoder, tmp_path / "half", weights_dtype="float16")
    loaded = kc.from_preset(half)
    assert {v.dtype for v in loaded.weights} == {"float32"}
    expected = encoder(images)
    error = np.abs(loaded(images) - expected).max() / np.abs(expected).max()
    assert 0 < error < 2e-3
    for ours, theirs in zip(loaded.weights, encoder.weights, strict=True):
        if len(ours.shape) == 1:  # batch norm is not rounded
            np.testing.assert_array_equal(ours, theirs)
    sizes = [(x / "model.weights.h5").stat().st_size for x in (half, saved)]
    assert sizes[1] - sizes[0] > 0.9 * 2 * 18_000  # two bytes for each kernel weight
    # Rounded once, it stays the same: what is measured after loading holds.
    again = kc.save_to_preset(loaded, half, weights_dtype="float16", overwrite=True)
    np.testing.assert_array_equal(kc.from_preset(again)(images), loaded(images))


def test_a_method_gives_its_encoder_without_its_precision(tmp_path, images):
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = kc.BYOL(kc.encoders.resnet(10, 4, input_shape=(28, 28, 1)))
    kc.save_to_preset(model, tmp_path / "byol")
    loaded = kc.from_preset(tmp_path / "byol")
    assert keras.config.dtype_policy().name == "mixed_bfloat16"
    assert {layer.dtype_policy.name for layer in loaded.layers} == {"float32"}
    for ours, theirs in zip(loaded.weights, model.encoder.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert kc.zoo.describe(tmp_path / "byol")["method"] == "BYOL"


def test_any_model_of_keras_layers_can_be_saved(tmp_path):
    x = keras.Input((8, 8, 3))
    y = keras.layers.Conv2D(4, 3, activation="silu", kernel_regularizer="l2")(x)
    y = keras.layers.GlobalAveragePooling2D()(keras.ops.flip(y, axis=-1))
    model = keras.Model(x, keras.Sequential([keras.layers.Dense(5)])(y))
    kc.save_to_preset(model, tmp_path / "mine")
    images = np.random.default_rng(0).random((2, 8, 8, 3))
    np.testing.assert_array_equal(
        kc.from_preset(tmp_path / "mine")(images), model(images)
    )


@pytest.mark.parametrize("name", [METADATA, *FILES])
def test_a_missing_file(preset, name):
    (preset / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"{name}.*"):
        kc.from_preset(preset)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", [flip_byte, lambda x: x.write_bytes(b"{")])
def test_a_damaged_file_is_named_with_both_hashes(preset, name, damage):
    before = fingerprint((preset / name).read_bytes())
    damage(preset / name)
    after = fingerprint((preset / name).read_bytes())
    with pytest.raises(ValueError, match="damaged or changed") as error:
        kc.from_preset(preset)
    for text in (name, before["sha256"], after["sha256"], f"({after['bytes']} bytes)"):
        assert text in str(error.value)


@pytest.mark.parametrize(
    "change",
    [{"feature_dim": 33}, {"licence": "none"}, {"checksum": None}, {"new": 1}],
)
def test_changed_metadata(preset, change):
    metadata = json.loads((preset / METADATA).read_text())
    (preset / METADATA).write_text(json.dumps(metadata | change))
    expected = change.get("checksum", metadata["checksum"])
    with pytest.raises(ValueError, match=f"damaged or changed.* checksum {expected!r}"):
        kc.from_preset(preset)


def test_a_file_without_its_size_and_with_another_hash_beside(preset):
    def replace(metadata):
        del metadata["files"]["config.json"]["bytes"]
        metadata["files"]["config.json"]["md5"] = "0"

    rewrite(preset, METADATA, replace)
    assert kc.from_preset(preset).name == "resnet10"


@pytest.mark.parametrize("name", ["name", "input", "versions"])
def test_metadata_that_lacks_something(preset, name):
    rewrite(preset, METADATA, lambda x: x.pop(name))
    with pytest.raises(ValueError, match=f"Received: one without {name}, of"):
        kc.from_preset(preset)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"format_version": 0}, "format_version=0. It is too old"),
        ({"format_version": 2}, "format_version=2. It is newer"),
        ({"format_version": "1"}, "Received: .*format_version='1'"),
        ({"format": "keras_hub"}, "must be of a preset.*'keras_hub'"),
        ({"files": {"../x": {"sha256": "0"}}}, "must list the SHA-256"),
        ({"files": {name: {} for name in FILES}}, "must list the SHA-256"),
    ],
)
def test_metadata_of_another_format(preset, change, message):
    rewrite(preset, METADATA, lambda x: x.update(change))
    with pytest.raises(ValueError, match=message):
        kc.from_preset(preset)


def test_metadata_that_is_no_json(preset):
    text = (preset / METADATA).read_text()
    (preset / METADATA).write_text(text[: len(text) // 2])
    with pytest.raises(ValueError, match="metadata.json' must be a JSON object"):
        kc.from_preset(preset)
    (preset / METADATA).write_text("[]")
    with pytest.raises(ValueError, match="Received: list"):
        kc.from_preset(preset)
    (preset / METADATA).write_text("[" * 200_000)
    with pytest.raises(ValueError, match="metadata.json' must be a JSON object"):
        kc.from_preset(preset)


def test_what_cannot_be_saved(encoder, saved, tmp_path):
    def save(model=encoder, path=tmp_path / "new", **kwargs):
        return kc.save_to_preset(model, path, **kwargs)

    with pytest.raises(TypeError, match="must be a keras.Model"):
        save("resnet")
    with pytest.raises(TypeError, match="`metadata` must be a dict"):
        save(metadata="SimCLR")
    for name in ("params", "name", "sha256"):
        with pytest.raises(ValueError, match=f"Received: metadata with {name}"):
            save(metadata={name: 3})
    with pytest.raises(TypeError, match=r"FewLabelResult.to_dict\(\)"):
        save(metrics={"x": {"few_labels": kc.evaluation.FewLabelResult([], {})}})
    with pytest.raises(TypeError, match="a dict for each data set"):
        save(metrics={"knn": 0.5})
    with pytest.raises(ValueError, match="Received: weights_dtype='int8'"):
        save(weights_dtype="int8")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        save(path=saved)
    with pytest.raises(FileExistsError, match="which exists"):
        save(path=tmp_path, overwrite=True)  # a folder, but no preset
    large = keras.models.clone_model(encoder)
    large.get_layer("stem_conv").set_weights([np.full((3, 3, 1, 4), 1e5, "float32")])
    with pytest.raises(ValueError, match="up to 65504. Received: weights up to 1e"):
        save(large, weights_dtype="float16")
    large.get_layer("stem_conv").set_weights([np.full((3, 3, 1, 4), np.nan)])
    with pytest.raises(ValueError, match="NaN or infinity in '.*stem_conv/kernel'"):
        save(large)
    (tmp_path / METADATA).write_text('{"format": "of something else"}')
    with pytest.raises(FileExistsError, match="which exists"):
        save(path=tmp_path, overwrite=True)
    (tmp_path / METADATA).unlink()
    assert list(tmp_path.iterdir()) == []


def test_overwrite_replaces_the_preset_and_nothing_else(encoder, preset):
    (preset / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="with thesis.txt. Move that away"):
        kc.save_to_preset(encoder, preset, {"method": "SCE"}, overwrite=True)
    assert (preset / "thesis.txt").read_text() == "years of work"
    (preset / "thesis.txt").unlink()
    kc.save_to_preset(encoder, preset, {"method": "SCE"}, overwrite=True)
    assert kc.zoo.describe(preset)["method"] == "SCE"
    assert [x.name for x in preset.parent.iterdir()] == [preset.name]


def test_overwrite_keeps_the_numbers_of_the_same_weights(encoder, preset):
    before = kc.zoo.describe(preset)["metrics"]
    new = {"sample": {"knn": 0.5}, "birds": {"knn": 0.25}}
    kc.save_to_preset(encoder, preset, metrics=new, overwrite=True)
    after = kc.zoo.describe(preset)["metrics"]
    assert after["sample"] == {**before["sample"], "knn": 0.5}
    assert after["birds"] == {"knn": 0.25}
    assert after["fashion_mnist"] == before["fashion_mnist"]
    other = keras.models.clone_model(encoder)  # new random weights
    kc.save_to_preset(other, preset, overwrite=True)
    assert kc.zoo.describe(preset)["metrics"] == {}
    (preset / "config.json").unlink()  # what is damaged can be replaced
    kc.save_to_preset(encoder, preset, overwrite=True)
    assert kc.from_preset(preset).name == encoder.name


def test_a_link_is_followed(preset):
    link = preset.with_name("latest")
    link.symlink_to(preset.name)
    kc.zoo.add_metrics(link, {"birds": {"knn": 0.5}})
    assert link.is_symlink()
    assert kc.zoo.describe(preset)["metrics"]["birds"] == {"knn": 0.5}
    assert {x.name for x in preset.parent.iterdir()} == {preset.name, "latest"}


def test_what_cannot_be_renamed_leaves_what_was_there(preset, monkeypatch):
    rename = os.rename

    def full(source, target):
        if target == preset and not source.name.startswith(".replaced"):
            raise OSError("No space left")
        rename(source, target)

    before = kc.zoo.describe(preset)
    monkeypatch.setattr(files, "_exchange", lambda *_: False)
    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(OSError, match="No space left"):
        kc.zoo.add_metrics(preset, {"birds": {"knn": 0.5}})
    assert kc.zoo.describe(preset) == before
    assert [x.name for x in preset.parent.iterdir()] == [preset.name]


def test_a_preset_that_is_replaced_while_it_is_read(preset, monkeypatch):
    read_file = preset_files._read_file

    def replaced_meanwhile(folder, name, limit):
        if name == "config.json":
            monkeypatch.setattr(preset_files, "_read_file", read_file)
            kc.zoo.add_metrics(preset, {"birds": {"knn": 0.5}})
        return read_file(folder, name, limit)

    monkeypatch.setattr(preset_files, "_read_file", replaced_meanwhile)
    assert kc.zoo.describe(preset)["metrics"]["birds"] == {"knn": 0.5}


def test_numbers_of_several_writers_are_all_kept(preset):
    names = [f"birds{i}" for i in range(8)]

    def add(name):
        kc.zoo.add_metrics(preset, {name: {"knn": 0.5}})

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(add, names))
    assert {*names} < {*kc.zoo.describe(preset)["metrics"]}
    assert [x.name for x in preset.parent.iterdir()] == [preset.name]


def test_a_preset_that_another_process_wrote_meanwhile(
    encoder, saved, tmp_path, monkeypatch
):
    to_bytes = encoder_config.weights_to_bytes

    def slow(*arguments):
        shutil.copytree(saved, tmp_path / "new")
        return to_bytes(*arguments)

    monkeypatch.setattr(encoder_config, "weights_to_bytes", slow)
    with pytest.raises(FileExistsError, match="which exists"):
        kc.save_to_preset(encoder, tmp_path / "new")
    assert kc.zoo.describe(tmp_path / "new") | {"folder": 0} == kc.zoo.describe(
        saved
    ) | {"folder": 0}


def test_a_kill_between_two_renames_loses_no_preset(preset):
    """As where folders cannot be exchanged."""
    before = kc.zoo.describe(preset)
    (preset.parent / "links").mkdir()
    link = preset.parent / "links" / "latest"
    link.symlink_to(preset)
    for path in (preset, link, str(link)):
        preset.rename(files._aside(preset))
        assert kc.zoo.describe(path) | {"folder": str(preset)} == before


def test_a_full_disk_keeps_the_preset(encoder, preset, monkeypatch):
    before = kc.zoo.describe(preset)
    write = pathlib.Path.write_bytes

    def full(path, content):
        if path.name.endswith("model.weights.h5"):
            write(path, content[:1000])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(pathlib.Path, "write_bytes", full)
    size = sum(x.stat().st_size for x in preset.iterdir())
    with pytest.raises(OSError, match=r"simclr_tiny' needs ([\d,]+) bytes") as error:
        kc.save_to_preset(encoder, preset, overwrite=True)
    needed = int(re.search(r"needs ([\d,]+)", str(error.value))[1].replace(",", ""))
    assert abs(needed - size) < 0.1 * size
    assert kc.zoo.describe(preset) == before
    assert [x.name for x in preset.parent.iterdir()] == [preset.name]


def damage_weights(preset, change):
    """Change the weights as an attacker would, all hashes right."""
    with h5py.File(preset / "model.weights.h5", "a") as file:
        change(file, _kernel(file))
    content = (preset / "model.weights.h5").read_bytes()
    listed = {"model.weights.h5": fingerprint(content)}
    rewrite(preset, METADATA, lambda x: x["files"].update(listed))


def _kernel(file):
    names = []
    file.visititems(lambda n, x: names.append(n) if hasattr(x, "shape") else None)
    return next(name for name in names if len(file[name].shape) == 4)


def compressed(file, name):
    shape = file[name].shape
    del file[name]
    file.create_dataset(name, shape, "float32", chunks=shape, compression="gzip")


def huge(file, name):
    del file[name]
    file.create_dataset(name, (2**20, 2**12), "float32")  # 16 GiB without a byte


def elsewhere(file, name):
    shape = file[name].shape
    del file[name]
    file.create_dataset(name, shape, "float32", external=[("/etc/passwd", 0, 2**30)])


def linked(file, name):
    del file[name]
    file[name] = h5py.ExternalLink("/tmp/other.h5", "x")


def text(file, name):
    shape = file[name].shape
    del file[name]
    file.create_dataset(name, shape, h5py.string_dtype())


@pytest.mark.parametrize("change", [compressed, huge, elsewhere, linked, text])
def test_weights_that_are_not_of_the_configuration_are_not_read(preset, change):
    damage_weights(preset, change)
    with pytest.raises(ValueError, match="every array must be uncompressed, in the"):
        kc.from_preset(preset)


def test_weights_that_are_not_finite_are_not_loaded(preset):
    damage_weights(
        preset,
        lambda file, name: file[name].write_direct(
            np.full(file[name].shape, np.nan, "float32")
        ),
    )
    with pytest.raises(ValueError, match="must hold finite weights. Received: NaN or"):
        kc.from_preset(preset)


def test_files_larger_than_listed_are_not_read(preset):
    with open(preset / "model.weights.h5", "r+b") as file:
        file.truncate(2**40)  # sparse: it takes no space
    with pytest.raises(ValueError, match="damaged or changed.*: more than "):
        kc.from_preset(preset)
    rewrite(preset, METADATA, lambda x: x["files"]["README.md"].update(bytes=2**25))
    with pytest.raises(ValueError, match="README.md of a preset has 16,777,216 bytes"):
        kc.from_preset(preset)


def test_the_card_says_what_is_known(saved):
    card = (saved / "README.md").read_text(encoding="utf-8")
    for text in (
        "# simclr_tiny",
        'kc.from_preset("path/to/simclr_tiny")',
        "images of 28 x 28 x 1 with values in [0, 255]",
        "| Licence | MIT |",
        "| Seed | not stated |",
        "| note | a\\|b |",
        "| linear | 90.0 |",
        "75.0 ± 1.4\n",
        "- draws: 2",
        "- knn: cosine, k=20, temperature=0.1",
    ):
        assert text in card


def test_moving_a_preset_changes_nothing(saved, images, tmp_path):
    moved = shutil.copytree(saved, tmp_path / "elsewhere")
    loaded, before = kc.from_preset(moved), kc.from_preset(saved)
    np.testing.assert_array_equal(loaded(images), before(images))


def test_numbers_are_added_and_the_rest_stays(preset):
    before = kc.zoo.describe(preset)
    weights = (preset / "model.weights.h5").read_bytes()
    few = {"few_labels": {"scores": [], "protocol": {}}}
    added = {"sample": few, "birds": {"knn": 0.5, "linear": np.float32(0.625)}}
    assert kc.zoo.add_metrics(preset, added) == preset
    after = kc.zoo.describe(preset)  # checks the hashes
    assert after["metrics"]["sample"] == {**before["metrics"]["sample"], **few}
    assert after["metrics"]["fashion_mnist"] == before["metrics"]["fashion_mnist"]
    assert "62.5" in (preset / "README.md").read_text()
    assert (preset / "model.weights.h5").read_bytes() == weights
    for key in before.keys() - {"metrics", "files", "checksum", "sha256"}:
        assert after[key] == before[key]
    assert [x.name for x in preset.parent.iterdir()] == [preset.name]
    with pytest.raises(TypeError, match="a dict for each data set"):
        kc.zoo.add_metrics(preset, {"knn": 0.5})
    (preset / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="damaged or changed"):
        kc.zoo.add_metrics(preset, added)

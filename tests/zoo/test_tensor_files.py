"""Files of weights that are damaged or hostile: refused, and nothing in them runs."""

import io
import os
import pickle
import zipfile

import numpy as np
import pytest

from keras_contrastive.zoo import numpy_pickles, tensor_files


class Hostile:
    """A pickle of it makes a file, if it is loaded by pickle."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


class Storage:
    """A pickle of it is a storage of PyTorch of any size, without PyTorch."""

    def __init__(self, count):
        self.count = count


def torch_zip(path, content, data=b"\0" * 8, **more):
    """Write what `torch.save` writes, of a pickle and one storage."""
    with zipfile.ZipFile(path, "w", **more) as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/data/0", data)


def storage_pickle(count):
    class Pickler(pickle._Pickler):
        def persistent_id(self, obj):
            if isinstance(obj, Storage):
                return ("storage", "FloatStorage", "0", "cpu", obj.count)
            return None

    file = io.BytesIO()
    Pickler(file, 2).dump({"a": Storage(count)})
    return file.getvalue()


def refused(path, *words):
    with pytest.raises(ValueError, match="nothing in it was run") as error:
        tensor_files.read(path)
    for word in words:
        assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_a_pickle_that_runs_something_is_not_run(tmp_path):
    made = tmp_path / "made"
    content = pickle.dumps({"model": {"conv1.weight": Hostile(made)}})
    (tmp_path / "a.pkl").write_bytes(content)
    refused(tmp_path / "a.pkl", "posix.mkdir", "numpy arrays and dicts alone")
    for ending in ("pth", "ckpt", "bin", "pth.tar"):
        (tmp_path / f"a.{ending}").write_bytes(content)
        refused(tmp_path / f"a.{ending}", "it names posix.mkdir")
    (tmp_path / "a.safetensors").write_bytes(content)
    pytest.importorskip("safetensors", reason="needs safetensors")
    refused(tmp_path / "a.safetensors")
    assert not made.exists()


def test_in_a_file_of_torch_neither(tmp_path):
    made = tmp_path / "made"
    torch_zip(tmp_path / "a.pth", pickle.dumps({"a": Hostile(made)}, protocol=2))
    refused(tmp_path / "a.pth", "it names posix.mkdir")
    pytest.importorskip("torch", reason="needs PyTorch")
    for name in ("eval", "getattr"):  # of modules that torch may look into
        content = f"c__builtin__\n{name}\n(S'1'\ntR.".encode()
        torch_zip(tmp_path / "a.pth", content)
        refused(tmp_path / "a.pth")
    assert not made.exists()


@pytest.mark.parametrize("count", [10**12, -1, "many"])
def test_a_storage_that_is_not_there(tmp_path, count):
    torch_zip(tmp_path / "a.pth", storage_pickle(count))
    refused(tmp_path / "a.pth")


def test_views_of_more_numbers_than_the_file(tmp_path):
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    torch.save({"a": torch.zeros(1).expand(10**6, 10**6)}, tmp_path / "a.pth")
    refused(tmp_path / "a.pth", "4,000,000,000,000 bytes")


def test_packed_and_renamed_files(tmp_path):
    packed = {"compression": zipfile.ZIP_DEFLATED}
    torch_zip(tmp_path / "a.pth", storage_pickle(2), b"\0" * 2**20, **packed)
    refused(tmp_path / "a.pth", "it is packed")
    with zipfile.ZipFile(tmp_path / "b.pth", "w") as archive:
        archive.writestr("holiday.jpg", b"")
    refused(tmp_path / "b.pth", "no file of PyTorch's")
    (tmp_path / "c.pth").write_bytes(b"\x89PNG\r\n" * 100)
    refused(tmp_path / "c.pth", "no file of PyTorch's")
    (tmp_path / "d.pkl").write_bytes(b"\x89PNG\r\n" * 100)
    refused(tmp_path / "d.pkl")
    (tmp_path / "e.pth").write_bytes(b"")
    refused(tmp_path / "e.pth", "it is empty")
    (tmp_path / "f.txt").write_text("weights")
    with pytest.raises(ValueError, match="ends in .pth, .*Received: '.*f.txt'"):
        tensor_files.read(tmp_path / "f.txt")


def test_every_cut_of_a_file_is_refused(tmp_path):
    arrays = {"online": {"w": np.ones((3, 4), "float32")}}
    content = pickle.dumps(arrays, protocol=4)
    for size in range(1, len(content), 7):
        (tmp_path / "a.pkl").write_bytes(content[:size])
        refused(tmp_path / "a.pkl")
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    for old in (True, False):
        file = io.BytesIO()
        tensors = {"w": torch.ones(30, 4)}
        torch.save(tensors, file, _use_new_zipfile_serialization=not old)
        content = file.getvalue()
        for size in range(1, len(content), len(content) // 20):
            (tmp_path / "a.pth").write_bytes(content[:size])
            refused(tmp_path / "a.pth")


def test_a_safetensors_header_that_promises_too_much(tmp_path):
    pytest.importorskip("safetensors", reason="needs safetensors")
    header = b'{"a":{"dtype":"F32","shape":[1000000000000],'
    header += b'"data_offsets":[0,4000000000000]}}'
    content = len(header).to_bytes(8, "little") + header
    (tmp_path / "a.safetensors").write_bytes(content)
    refused(tmp_path / "a.safetensors")
    (tmp_path / "b.safetensors").write_bytes((2**60).to_bytes(8, "little") + b"{}")
    refused(tmp_path / "b.safetensors")


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_of_numpy_are_read_whatever_the_protocol(protocol):
    x = np.arange(6, dtype=">f8").reshape(2, 3)
    expected = {"a": x, "b": np.asfortranarray(x.astype("f4")), "c": np.float32([1])}
    found = numpy_pickles.load(pickle.dumps({"m": expected, "n": 3}, protocol))
    assert found.keys() == {"m"}
    for name, value in expected.items():
        np.testing.assert_array_equal(found["m"][name], value)


@pytest.mark.parametrize(
    ("shape", "kind", "content", "message"),
    [
        ((10**12,), "f4", b"\0" * 8, "declares 4,000,000,000,000 bytes and holds 8"),
        ((-2,), "f4", b"\0" * 8, "declares -8 bytes"),
        ((1,), "O", b"\0" * 8, "arrays must be of numbers. Received: 'O8'"),
        ((2,), "f4", "text", "declares 8 bytes and holds 4"),
        ((2,), "f4", [1, 2], "must come with its bytes"),
    ],
)
def test_arrays_that_are_not_there(shape, kind, content, message):
    class Array:
        def __reduce__(self):
            make, arguments, _ = np.ones(1, "f4").__reduce__()
            return make, arguments, (1, shape, np.dtype(kind), False, content)

    with pytest.raises(ValueError, match=message):
        numpy_pickles.load(pickle.dumps({"a": Array()}))


def test_dicts_within_dicts_take_no_time():
    tree = {"w": np.ones(1)}
    for _ in range(6):
        tree = {str(i): tree for i in range(100)}
    found = numpy_pickles.load(pickle.dumps(tree))
    assert len(found) == 100
    for _ in range(9):
        tree = {"x": tree}
    with pytest.raises(ValueError, match="nested too deeply"):
        numpy_pickles.load(pickle.dumps(tree))


def test_a_checkpoint_of_tensorflow(tmp_path):
    import tensorflow as tf

    saved = tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "model.ckpt-3"),
        tensor_names=["base_model/a", "global_step"],
        shape_and_slices=["", ""],
        tensors=[tf.ones((2, 3)), tf.constant(3)],
    )
    del saved
    for path in (tmp_path, tmp_path / "model.ckpt-3", tmp_path / "model.ckpt-3.index"):
        found = tensor_files.read(path)
        assert found.keys() == {"base_model/a"}
        np.testing.assert_array_equal(found["base_model/a"], np.ones((2, 3)))
    [data] = tmp_path.glob("*.data-*")
    content = data.read_bytes()
    data.write_bytes(content[:10])
    refused(tmp_path, "declares 24 bytes of tensors, and holds 10")
    index = tmp_path / "model.ckpt-3.index"
    index.write_bytes(index.read_bytes()[:20])
    refused(tmp_path)
    index.unlink()
    with pytest.raises(ValueError, match="must hold one TensorFlow checkpoint"):
        tensor_files.read(tmp_path)

"""Files of weights from elsewhere, read as NumPy arrays; none can run anything.

| ending                                     | read by                         |
|--------------------------------------------|---------------------------------|
| `.pth`, `.pt`, `.pth.tar`, `.ckpt`, `.bin` | `torch.load(weights_only=True)` |
| `.safetensors`                             | safetensors                     |
| `.index`, a prefix or a folder of it       | `tf.train.load_checkpoint`      |
| `.pkl`                                     | `numpy_pickles`: arrays alone   |

What a file declares is compared with its size before there is memory for it.
"""

import argparse
import io
import math
import os
import pathlib
import pickle
import zipfile

import numpy as np

from keras_contrastive.zoo import numpy_pickles
from keras_contrastive.zoo.preset_files import printable

_TORCH = (".pth", ".pt", ".tar", ".ckpt", ".bin")
_ENDINGS = f"{', '.join(_TORCH)}, .safetensors, .pkl, .index"


def read(path: str | os.PathLike) -> dict:
    """Read a file of weights.

    Args:
        path: The file, of one of the endings above; a prefix of a TensorFlow
            checkpoint or the folder of one.

    Returns:
        Names to arrays, which may lie in dictionaries of dictionaries, as in the
        file, beside other things.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is of no such kind, damaged, cut off, declares more than it
            holds, or wants to run something.
        ImportError: torch or safetensors is missing.
    """
    path = pathlib.Path(path)
    prefix = _tensorflow_prefix(path)
    if prefix is not None:
        return _read_tensorflow(prefix)
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no file of weights {str(path)!r}. Expected a file that ends in "
            f"{_ENDINGS}, or the prefix of a TensorFlow checkpoint."
        )
    ending = path.suffix.lower()
    if ending not in (*_TORCH, ".safetensors", ".pkl"):
        raise ValueError(
            f"A file of weights ends in {_ENDINGS}. Received: {str(path)!r}. Give it "
            "the ending of its kind."
        )
    if path.stat().st_size == 0:
        raise _refusal(path, "it is empty")
    if ending == ".safetensors":
        return _read_safetensors(path)
    if ending == ".pkl":
        try:
            return numpy_pickles.load(path.read_bytes())
        except Exception as error:  # what a damaged pickle raises can be anything
            raise _refusal(path, error) from error
    return _read_torch(path)


def _refusal(path, reason):
    text = " ".join(printable(reason).split())[:400].rstrip(".")
    return ValueError(
        f"{str(path)!r} was not read, and nothing in it was run: {text}. Get the file "
        "again from where it came, or save its tensors alone."
    )


def _check_room(path, room, declared):
    if declared > room:
        raise _refusal(
            path,
            f"it declares {declared:,} bytes of tensors, and holds {room:,}: it is cut "
            "off or hostile",
        )


def _read_safetensors(path):
    try:
        import safetensors
    except ImportError as error:
        raise ImportError(
            "Files of safetensors need that package: pip install "
            f'"keras-contrastive[torch]". Received: {str(path)!r}'
        ) from error
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except Exception as error:  # SafetensorError, and NumPy's of unknown kinds
        raise _refusal(path, error) from error


def _read_torch(path):
    _check_torch_file(path)
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            "Files of PyTorch are opened by torch, which is missing: pip install "
            f'"keras-contrastive[torch]". Received: {str(path)!r}'
        ) from error
    try:
        # Arguments of a script, which many authors save, are plain values.
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # UnpicklingError, RuntimeError, EOFError, ...
        raise _refusal(path, str(error).rpartition("\n")[2] or error) from error
    room = path.stat().st_size

    def arrays(value):
        if isinstance(value, torch.Tensor):
            if value.layout != torch.strided or value.is_quantized or value.is_meta:
                raise _refusal(path, f"a tensor of kind {value.layout} is no plain one")
            _check_room(path, room, value.numel() * value.element_size())
            value = value.detach()
            return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
        if isinstance(value, dict):
            return {str(key): arrays(item) for key, item in value.items()}
        return value

    if not isinstance(content, dict):
        raise _refusal(path, f"it holds no dict of tensors, but {type(content)}")
    return arrays(content)


def _check_torch_file(path):
    """Compare the storages that a file of PyTorch declares with those it holds.

    The pickle in it is read by something that builds nothing.
    """
    try:
        if not zipfile.is_zipfile(path):  # of torch before 1.6: pickles, then storages
            with open(path, "rb") as file:
                declared = [_Declared(file) for _ in range(4)]
                for part in declared:
                    part.load()
            total = sum(sum(part.sizes.values()) for part in declared)
            _check_room(path, path.stat().st_size, total)
            return
        with zipfile.ZipFile(path) as archive:
            entries = {x.filename: x for x in archive.infolist()}
            packed = [x for x in entries.values() if x.compress_type]
            room = sum(x.file_size for x in entries.values())
            if packed or room > path.stat().st_size:
                raise _refusal(path, "it is packed, which files of PyTorch are not")
            [name] = [x for x in entries if x.split("/")[1:] == ["data.pkl"]]
            order = entries.get(name.replace("data.pkl", "byteorder"))
            if order and archive.read(order) != b"little":
                raise _refusal(path, "its numbers are not little-endian")
            pickled = _Declared(io.BytesIO(archive.read(name)))
            pickled.load()
            for key, size in pickled.sizes.items():
                entry = entries[name.replace("data.pkl", f"data/{key}")]
                _check_room(path, entry.file_size, size)
    except ValueError as error:
        if "nothing in it was run" in str(error):
            raise
        raise _refusal(path, f"it is no file of PyTorch's ({error})") from error
    except Exception as error:  # zipfile, pickle and KeyError of what is damaged
        raise _refusal(
            path, f"it is no file of PyTorch's ({type(error).__name__}: {error})"
        ) from error


class _Inert:
    """Stands for everything a pickle names: takes all, does nothing."""

    def __init__(self, *_, **__):
        pass

    def __setstate__(self, _):
        pass

    def __setitem__(self, *_):
        pass

    def append(self, *_):
        """Take an item, as a list does."""

    def extend(self, *_):
        """Take items, as a list does."""

    def add(self, *_):
        """Take an item, as a set does."""


class _Declared(pickle.Unpickler):
    """Reads the sizes of storages in a pickle of PyTorch, by their key, in bytes."""

    # Where torch may look names up; which of them it takes, it decides itself.
    _MODULES = ("torch", "collections", "argparse", "numpy", "_codecs", "builtins")
    _ITEM = {
        "Double": 8,
        "Long": 8,
        "ComplexFloat": 8,
        "ComplexDouble": 16,
        "Float": 4,
        "Int": 4,
        "Half": 2,
        "BFloat16": 2,
        "Short": 2,
    }

    def __init__(self, file):
        super().__init__(file)
        self.sizes = {}

    def find_class(self, module, name):
        if module.partition(".")[0] not in self._MODULES:
            raise ValueError(f"it names {module}.{name}, which weights do not need")
        return type(name, (_Inert,), {})

    def persistent_load(self, pid):
        kind, storage, key, _, count, *_ = pid
        name = getattr(storage, "__name__", "").removesuffix("Storage")
        if kind != "storage" or not isinstance(count, int) or count < 0:
            raise ValueError(f"a storage must have a size. Received: {count!r}")
        size = count * self._ITEM.get(name, 1)
        self.sizes[str(key)] = max(size, self.sizes.get(str(key), 0))
        return _Inert()


def _tensorflow_prefix(path):
    """The prefix of a TensorFlow checkpoint at `path`, or None."""
    if path.suffix == ".index" and path.is_file():
        return str(path)[: -len(".index")]
    if path.is_dir():
        found = sorted(path.glob("*.index"))
        if len(found) != 1:
            raise ValueError(
                "A folder of weights must hold one TensorFlow checkpoint. Received: "
                f"{str(path)!r} with {[x.name for x in found[:5]] or 'none'}. Name the "
                "file that ends in .index."
            )
        return str(found[0])[: -len(".index")]
    return str(path) if os.path.isfile(f"{path}.index") else None


def _read_tensorflow(prefix):
    import tensorflow as tf

    try:
        reader = tf.train.load_checkpoint(prefix)
        kinds = reader.get_variable_to_dtype_map()
        shapes = reader.get_variable_to_shape_map()
        numbers = [name for name, kind in kinds.items() if kind.is_floating]
        declared = sum(math.prod(shapes[x]) * kinds[x].size for x in numbers)
        parent = pathlib.Path(prefix).parent
        parts = parent.glob(f"{pathlib.Path(prefix).name}.data-*")
        room = sum(part.stat().st_size for part in parts)
    except Exception as error:  # DataLossError and others of TensorFlow
        raise _refusal(prefix, error) from error
    _check_room(prefix, room, declared)
    try:
        found = {name: reader.get_tensor(name) for name in numbers}
    except Exception as error:
        raise _refusal(prefix, error) from error
    return {name: np.asarray(value) for name, value in found.items()}

"""Pickles of NumPy arrays, read by stand-ins: nothing they name is ever called.

Pickle can call any function of Python. Here every name in a file is looked up in one
table of classes that only keep what they are given; any other name is refused.
"""

import io
import math
import pickle
from typing import Any

import numpy as np

_KINDS = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")


class _Kind:
    """A dtype: `numpy.dtype(text, ...)`, then its state with the order of bytes."""

    def __init__(self, text="", *_):
        self.text = str(text).lstrip("<>|=")
        self.order = "<"

    def __setstate__(self, state):
        if isinstance(state, tuple) and len(state) > 1 and state[1] == ">":
            self.order = ">"

    def dtype(self):
        """Return NumPy's, of numbers alone."""
        if self.text not in _KINDS:
            raise ValueError(f"arrays must be of numbers. Received: {self.text!r}")
        return np.dtype(self.order + self.text)


class _Array:
    """An array: made empty, then its state with shape, dtype and bytes."""

    value: np.ndarray | None = None

    def __init__(self, *_):
        pass

    def __setstate__(self, state):
        *_, shape, kind, by_columns, content = state
        kind = kind.dtype()
        if isinstance(content, str):
            content = content.encode("latin1")
        if not isinstance(content, bytes | bytearray):
            raise ValueError("an array must come with its bytes")
        declared = math.prod(shape) * kind.itemsize
        if declared != len(content) or min(shape, default=0) < 0:
            raise ValueError(
                f"an array declares {declared:,} bytes and holds {len(content):,}"
            )
        flat = np.frombuffer(content, kind)
        self.value = flat.reshape(shape, order="F" if by_columns else "C")


class _Mapping(dict):
    """Any of haiku's mappings, made of a dict."""


def _from_buffer(content, kind, shape, order):
    """How NumPy writes arrays by protocol 5."""
    array = _Array()
    array.__setstate__((shape, kind, order == "F", content))
    return array


class _State:
    """A named tuple, such as an optimizer's state; pickle makes it by `__new__`."""

    values: tuple = ()

    def __new__(cls, *values):
        state = super().__new__(cls)
        state.values = values
        return state


class _Byol(_State):
    """BYOL's state: online and target parameters, their statistics, optimizer."""

    names = (
        "online_params",
        "target_params",
        "online_state",
        "target_state",
        "opt_state",
    )


class _Scalar:
    """A number of NumPy's, of which nothing is needed."""

    def __init__(self, *_):
        pass


def _encode(text, encoding="latin1"):
    """How Python 3 writes bytes by protocol 2."""
    if not isinstance(text, str) or encoding != "latin1":
        raise ValueError("bytes must be written as latin1")
    return text.encode("latin1")


_KNOWN: dict[str, Any] = {
    "numpy.ndarray": _Array,
    "numpy.dtype": _Kind,
    "_codecs.encode": _encode,
    "collections.OrderedDict": _Mapping,
    "byol.byol_experiment._ByolExperimentState": _Byol,
    "byol.utils.optimizers.LarsState": _State,
}
for _core in ("numpy.core.multiarray", "numpy._core.multiarray"):
    _KNOWN[f"{_core}._reconstruct"] = _Array
    _KNOWN[f"{_core}.scalar"] = _Scalar
for _core in ("numpy.core.numeric", "numpy._core.numeric"):
    _KNOWN[f"{_core}._frombuffer"] = _from_buffer
for _name in ("frozendict", "FlatMapping", "FlatMap"):
    _KNOWN[f"haiku._src.data_structures.{_name}"] = _Mapping


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        try:
            return _KNOWN[f"{module}.{name}"]
        except KeyError:
            raise ValueError(
                "a pickle of weights may hold numpy arrays and dicts alone. Received: "
                f"{module}.{name} in it"
            ) from None

    def persistent_load(self, pid):
        raise ValueError("a pickle of weights must hold its arrays itself")


def load(content: bytes) -> dict:
    """Return a pickled dict of arrays and of such dicts.

    Args:
        content: The file. BYOL's authors' named tuples become dicts.

    Returns:
        The dict; what is neither array nor dict stays out.

    Raises:
        ValueError: It names anything else, or an array that is not there.
        Exception: What `pickle` raises for a damaged file.

    Example:
    >>> import pickle
    >>> load(pickle.dumps({"w": np.ones(2, "float32")}))
    {'w': array([1., 1.], dtype=float32)}
    """
    found = _plain(_Unpickler(io.BytesIO(content)).load(), {}, depth=0)
    if not isinstance(found, dict):
        raise ValueError("it holds no dict of arrays")
    return found


def _plain(value, seen, depth):
    """Arrays and dicts of a value. What is there many times is looked at once."""
    if id(value) in seen:
        return seen[id(value)]
    if depth > 8:  # of BYOL: file, state, network, module, array
        raise ValueError("its dicts are nested too deeply")
    plain = None
    if isinstance(value, _Array):
        plain = value.value
    elif isinstance(value, _Byol | dict):
        items = value
        if isinstance(value, _Byol):
            items = dict(zip(value.names, value.values, strict=False))
        kept = {str(k): _plain(v, seen, depth + 1) for k, v in items.items()}
        plain = {key: item for key, item in kept.items() if item is not None}
    seen[id(value)] = plain
    return plain

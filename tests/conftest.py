"""What is set before TensorFlow starts, such as four logical CPUs for replicas."""

import contextlib
import functools
import gc
import importlib.util
import itertools
import os
import random
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Workers share the cores: threads of one that wait for each other, or spin, take the
# others' time.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import keras
import numpy as np
import pytest
import tensorflow as tf
from absl import flags

# Tracing makes millions of objects, and looking for garbage among them took a sixth of
# the suite's time.
gc.set_threshold(50_000, 20, 10)
tf.random.set_seed(0)
# Processes that tests start import the package: only the first of them compiles it.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


# Nodes that nothing needs are still removed, or a worker takes 8 GiB.
PASSES = (
    "arithmetic_optimization",
    "constant_folding",
    "dependency_optimization",
    "function_optimization",
    "layout_optimizer",
    "loop_optimization",
    "remapping",
    "shape_optimization",
)


def pytest_configure(config):
    """Optimize traced functions in slow tests only.

    TensorFlow's optimizer of graphs took an eighth of the suite's time. Processes that
    tests start, such as examples and exported files, run with it as a user's do.
    """
    if config.option.markexpr == "not slow":
        off = dict.fromkeys(PASSES, False)
        tf.config.optimizer.set_experimental_options(off)


tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 4,
)


def pytest_collection_modifyitems(items):
    """Put the tests of one method together: what they share is built once."""
    places = [i for i, item in enumerate(items) if item.path.parent.name == "methods"]

    def method(item):
        callspec = getattr(item, "callspec", None)
        return str(callspec.params.get("name", "")) if callspec else ""

    ordered = sorted((items[i] for i in places), key=method)  # else as they were
    for i, item in zip(places, ordered, strict=True):
        items[i] = item


@pytest.fixture
def room_for():
    """A function: bytes -> a context in which no file can be larger, as on a full disk.

    Python ignores the signal of this limit, so that a write fails with EFBIG.
    """
    resource = pytest.importorskip("resource")

    @contextlib.contextmanager
    def limited(num_bytes):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited


@pytest.fixture
def load_script(monkeypatch):
    """A function: path -> the script as a module, and one that parses flags for it.

    Scripts of one process may name their flags alike: each has flags of its own.
    """
    kinds = ("string", "integer", "float", "bool", "list", "enum", "multi_string")

    def load(path):
        values = flags.FlagValues()
        spec = importlib.util.spec_from_file_location(path.stem, path)
        script = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, path.stem, script)  # whose flags they are
        monkeypatch.setattr(flags, "FLAGS", values)
        with monkeypatch.context() as context:
            for name in (f"DEFINE_{kind}" for kind in kinds):
                define = functools.partial(getattr(flags, name), flag_values=values)
                context.setattr(flags, name, define)
            spec.loader.exec_module(script)

        def parse(*arguments):
            values.unparse_flags()
            values([path.stem, *map(str, arguments)])

        return script, parse

    return load


_KEY_BASES = itertools.count(1000, 100)


@pytest.fixture(autouse=True)
def _seed():
    """What weights, layers and policies draw from, which is not TensorFlow's seed.

    To set that one clears TensorFlow's kernels: every operation makes its own anew, and
    every function is optimized again, which took a third of the time of small tests.
    """
    random.seed(0)
    np.random.seed(0)
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture
def untraced():
    """For few steps tracing costs more than it saves."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def strategy_of():
    """A function: number of replicas -> MirroredStrategy over logical CPUs.

    TensorFlow numbers the collectives of every strategy from 1 on, so that a second
    strategy of a process fails with "Collective ops is aborted" unless it has numbers
    of its own.
    """

    def make(replicas):
        class Strategy(tf.distribute.MirroredStrategy):
            _collective_key_base = next(_KEY_BASES)

        return Strategy([f"/cpu:{i}" for i in range(replicas)])

    return make

"""SimCLR's checkpoints of TensorFlow 1 and BYOL's pickles of haiku.

The networks are written here in `tf.nn`, with the names that the authors' code gives:
numbers in the order of creation for SimCLR, paths of modules for haiku.
"""

import collections
import pickle
import sys
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_contrastive as kc

SIZE = 48  # even at every stride, where "same" and torch's padding differ
IMAGES = np.random.default_rng(0).uniform(0, 255, (2, SIZE, SIZE, 3)).astype("float32")
BLOCKS = (1, 2, 1, 1)


class Network:
    """A ResNet of bottlenecks that makes its tensors while it runs first."""

    def __init__(self, same, width=4, selective=False):
        self.selective = selective
        self.rng = np.random.default_rng(1)
        self.same = same
        self.width = width
        self.tensors = []  # (place, kernel, [gamma, beta, mean, variance])

    def conv_norm(self, x, place, filters, size, stride, relu=True, bare=False):
        limit = (3 / (size * size * x.shape[-1])) ** 0.5
        shape = (size, size, x.shape[-1], filters)
        kernel = self.rng.uniform(-limit, limit, shape).astype("float32")
        ranges = (0.5, 1.5), (-0.3, 0.3), (-0.3, 0.3), (0.5, 2.0)
        norm = [self.rng.uniform(*limits, filters) for limits in ranges]
        norm = [] if bare else [value.astype("float32") for value in norm]
        self.tensors.append((place, kernel, norm))
        padding = "SAME"
        if stride > 1 and not self.same:
            before = (size - 1) // 2
            sides = (before, size - 1 - before)
            x, padding = tf.pad(x, [(0, 0), sides, sides, (0, 0)]), "VALID"
        x = tf.nn.conv2d(x, kernel, stride, padding)
        if not norm:
            return x
        gamma, beta, mean, variance = norm
        x = tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-5)
        return tf.nn.relu(x) if relu else x

    def __call__(self, x):
        if self.selective:  # three convolutions of 3 x 3
            x = self.conv_norm(x, "stem1", self.width // 2, 3, 2)
            x = self.conv_norm(x, "stem2", self.width // 2, 3, 1)
            x = self.conv_norm(x, "stem", self.width, 3, 1)
        else:
            x = self.conv_norm(x, "stem", self.width, 7, 2)
        x = tf.nn.max_pool2d(x, 3, 2, "SAME")
        for stage, number in enumerate(BLOCKS):
            for block in range(number):
                stride = 2 if stage and block == 0 else 1
                inner, place = self.width * 2**stage, (stage, block)
                skip = x
                if block == 0:
                    step = stride
                    if self.selective:
                        skip, step = self.pooled(skip, stride), 1
                    skip = self.conv_norm(
                        skip, (*place, "shortcut"), 4 * inner, 1, step, False
                    )
                x = self.conv_norm(x, (*place, 0), inner, 1, 1)
                if self.selective:
                    x = self.mixed(x, place, inner, stride)
                else:
                    x = self.conv_norm(x, (*place, 1), inner, 3, stride)
                x = self.conv_norm(x, (*place, 2), 4 * inner, 1, 1, False)
                x = tf.nn.relu(x + skip)
        return tf.reduce_mean(x, (1, 2)).numpy()

    def pooled(self, x, stride):
        """Means of 2 x 2 pixels; zeros beyond the edge count where the stride is 2."""
        if stride == 1:
            return tf.nn.avg_pool2d(x, 2, 1, "SAME")
        x = tf.pad(x, [(0, 0), (0, 1), (0, 1), (0, 0)])
        return tf.nn.avg_pool2d(x, 2, 2, "VALID")

    def mixed(self, x, place, filters, stride):
        """A selective kernel: two streams, and the softmax of what their sum says."""
        x = self.conv_norm(x, (*place, 1), 2 * filters, 3, stride)
        streams = tf.stack(tf.split(x, 2, axis=-1))
        mean = tf.reduce_mean(tf.reduce_sum(streams, 0), (1, 2), keepdims=True)
        hidden = self.conv_norm(mean, (*place, "sk1"), 32, 1, 1)
        logits = self.conv_norm(hidden, (*place, "sk2"), 2 * filters, 1, 1, bare=True)
        share = tf.nn.softmax(tf.stack(tf.split(logits, 2, axis=-1)), axis=0)
        return tf.reduce_sum(streams * share, axis=0)


def check_close(ours, theirs):
    error = np.abs(ours - theirs).max() / np.abs(theirs).max()
    assert error <= 1e-4, error


def write_simclr(path, network, head):
    """A checkpoint with the optimizer's slots beside the weights."""
    found = {"global_step": np.int64(3)}
    norms = 0
    for number, (_, kernel, norm) in enumerate(network.tensors):
        end = f"_{number}" if number else ""
        found[f"base_model/conv2d{end}/kernel"] = kernel
        found[f"base_model/conv2d{end}/kernel/Momentum"] = kernel
        end = f"_{norms}" if norms else ""
        norms += bool(norm)
        names = ("gamma", "beta", "moving_mean", "moving_variance")
        for name, value in zip(names, norm, strict=False):
            found[f"base_model/batch_normalization{end}/{name}"] = value
    for name, value in head.items():
        found[f"head_contrastive/{name}"] = value
    found["head_supervised/linear_layer/dense/kernel"] = np.ones((128, 3), "float32")
    tf.raw_ops.SaveV2(
        prefix=str(path),
        tensor_names=[*found],
        shape_and_slices=[""] * len(found),
        tensors=[tf.constant(value) for value in found.values()],
    )


slow = pytest.mark.slow


@pytest.mark.parametrize(
    ("source", "selective"),
    [
        pytest.param("simclr_v1", False, marks=slow),
        pytest.param("simclr_v2", False, marks=slow),
        ("simclr_v2", True),
    ],
)
def test_a_checkpoint_of_simclr(source, selective, tmp_path):
    network = Network(same=False, selective=selective)
    expected = network(IMAGES / 255)
    rng = np.random.default_rng(2)
    sizes = (128, 128, 16) if source == "simclr_v1" else (128, 128, 128, 16)
    head = {}
    x = expected
    for layer, (a, b) in enumerate(zip(sizes, sizes[1:], strict=False)):
        last = layer == len(sizes) - 2
        kernel = rng.normal(size=(a, b)).astype("float32") / a**0.5
        names = ("gamma", "moving_mean", "moving_variance", "beta")[: 3 if last else 4]
        norm = {name: rng.uniform(0.5, 1.5, b).astype("float32") for name in names}
        head[f"nl_{layer}/dense/kernel"] = kernel
        head |= {f"nl_{layer}/batch_normalization/{k}": v for k, v in norm.items()}
        x = (x @ kernel - norm["moving_mean"]) / (norm["moving_variance"] + 1e-5) ** 0.5
        x = x * norm["gamma"] + norm.get("beta", 0)
        x = x if last else np.maximum(x, 0)
    write_simclr(tmp_path / "model.ckpt-3", network, head)
    preset = kc.zoo.convert(
        tmp_path / "model.ckpt-3", source, tmp_path / "preset", True, (SIZE, SIZE, 3)
    )
    encoder = kc.from_preset(preset)
    check_close(encoder(IMAGES).numpy(), expected)
    projector = keras.saving.load_model(tmp_path / "preset_projector.keras")
    check_close(projector(expected).numpy(), x)


def haiku_parameters(network):
    """Parameters and state as haiku nests them."""
    params, state = {}, {}
    for place, kernel, (gamma, beta, mean, variance) in network.tensors:
        conv, norm = "res_net50/~/initial_conv", "res_net50/~/initial_batchnorm"
        if place != "stem":
            stage, block, part = place
            start = f"res_net50/~/block_group_{stage}/~/block_{block}/~"
            conv, norm = f"{start}/conv_{part}", f"{start}/batchnorm_{part}"
            if part == "shortcut":
                conv, norm = f"{start}/shortcut_conv", f"{start}/shortcut_batchnorm"
        params[conv] = {"w": kernel}
        shape = (1, 1, 1, -1)
        params[norm] = {"scale": gamma.reshape(shape), "offset": beta.reshape(shape)}
        for name, value in (("mean", mean), ("var", variance)):
            state[f"{norm}/~/{name}_ema"] = {
                "average": value.reshape(shape),
                "counter": np.int32(3),
                "hidden": value.reshape(shape),
            }
    return params, state


def haiku_head(name, sizes, rng):
    """Linear with bias, batch norm, ReLU, linear without."""
    a, b, c = sizes
    params = {
        f"{name}/linear": {"w": rng.normal(size=(a, b)), "b": rng.normal(size=b)},
        f"{name}/batch_norm": {"scale": np.ones((1, b)), "offset": np.ones((1, b))},
        f"{name}/linear_1": {"w": rng.normal(size=(b, c))},
    }
    state = {
        f"{name}/batch_norm/~/{kind}_ema": {
            "average": np.ones((1, b), "float32"),
            "hidden": np.ones((1, b), "float32"),
            "counter": np.array(3),
        }
        for kind in ("mean", "var")
    }
    as_float = {
        module: {key: value.astype("float32") for key, value in parts.items()}
        for module, parts in params.items()
    }
    return as_float, state


@pytest.fixture
def authors_classes(monkeypatch):
    """The named tuple of BYOL's authors, and haiku's mapping, for pickle to find."""
    names = "online_params target_params online_state target_state opt_state"
    state = collections.namedtuple("_ByolExperimentState", names)
    frozen = type("frozendict", (dict,), {})
    frozen.__reduce__ = lambda self: (frozen, (dict(self),))
    for place, kind in (
        ("byol.byol_experiment", state),
        ("haiku._src.data_structures", frozen),
    ):
        kind.__module__ = place
        module = types.ModuleType(place)
        setattr(module, kind.__name__, kind)
        for parent in [place.rpartition(".")[0], place.partition(".")[0]]:
            monkeypatch.setitem(sys.modules, parent, types.ModuleType(parent))
        monkeypatch.setitem(sys.modules, place, module)
    return state, frozen


@pytest.mark.parametrize("plain", [False, pytest.param(True, marks=slow)])
def test_a_pickle_of_byol(plain, authors_classes, tmp_path):
    state_class, frozen = authors_classes
    network = Network(same=True)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    expected = network(((IMAGES / 255 - mean) / std).astype("float32"))
    params, state = haiku_parameters(network)
    rng = np.random.default_rng(3)
    for name, sizes in (("projector", (128, 9, 8)), ("predictor", (8, 9, 8))):
        more = haiku_head(name, sizes, rng)
        params, state = params | more[0], state | more[1]
    params["classifier"] = {"w": np.ones((128, 2), "float32")}
    make = dict if plain else frozen
    params = make({key: make(value) for key, value in params.items()})
    if plain:
        state = {"online_params": params, "online_state": state}
    else:
        state = state_class(params, params, make(state), make(state), None)
    content = {"experiment_state": state, "step": 3, "rng": np.ones(2, "uint32")}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(content, protocol=2))
    preset = kc.zoo.convert(
        tmp_path / "a.pkl", "byol", tmp_path / "byol", True, (SIZE, SIZE, 3)
    )
    check_close(kc.from_preset(preset)(IMAGES).numpy(), expected)
    projector = keras.saving.load_model(tmp_path / "byol_projector.keras")
    predictor = keras.saving.load_model(tmp_path / "byol_predictor.keras")
    model = kc.BYOL(kc.from_preset(preset), projector, predictor)
    x = expected @ params["projector/linear"]["w"] + params["projector/linear"]["b"]
    x = np.maximum((x - 1) / (1 + 1e-5) ** 0.5 + 1, 0)
    x = x @ params["projector/linear_1"]["w"]
    check_close(model.projector(expected).numpy(), x)
    assert predictor.output_shape == (None, 8)

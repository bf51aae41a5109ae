"""Vision transformers: timm's functions, any size of image, and every way out."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_contrastive as kc
from keras_contrastive.vit import _resize_matrix

SHAPE = (16, 16, 3)
IMAGES = np.random.default_rng(0).uniform(0, 255, (3, *SHAPE)).astype("float32")


def tiny_vit(**kwargs):
    """With weights that are large enough for positions to matter."""
    keras.utils.set_random_seed(0)
    encoder = kc.encoders.vit(
        4, 24, 2, 3, **{"input_shape": SHAPE, "registers": 2, **kwargs}
    )
    encoder.set_weights(
        [
            w + 0.1 * np.sin(np.arange(w.size)).reshape(w.shape)
            for w in encoder.get_weights()
        ]
    )
    return encoder


@pytest.fixture(scope="module")
def encoder():
    return tiny_vit()


def layer_norm(x):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)


def test_equals_the_formulas_of_the_paper(encoder):
    """One token after the other, one head after the other, in float64."""
    erf = np.vectorize(math.erf)
    w = {v.path: np.array(v, "float64") for v in encoder.weights}

    def of(layer, *names):
        return [
            w[next(p for p in w if p.startswith(layer + "/") and p.endswith(name))]
            for name in names
        ]

    def norm(x, layer):
        gamma, beta = of(layer, "gamma", "beta")
        return layer_norm(x) * gamma + beta

    image = IMAGES[0].astype("float64") / 127.5 - 1
    kernel, bias = of("patches", "conv/kernel", "conv/bias")
    class_token, positions, registers = of(
        "patches", "class_token", "positions", "registers"
    )
    tokens = [class_token[0] + positions[0], *registers]
    for row in range(4):
        for column in range(4):
            part = image[4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
            token = np.einsum("yxc,yxcd->d", part, kernel) + bias
            tokens.append(token + positions[1 + 4 * row + column])
    x = np.array(tokens)
    for block in ("block1", "block2"):
        y = norm(x, f"{block}_norm1")
        out = of(f"{block}_attention", "attention_output/bias")[0].copy()
        out = np.tile(out, (len(x), 1))
        for head in range(3):
            q, k, v = (
                y @ of(f"{block}_attention", f"{n}/kernel")[0][:, head]
                + of(f"{block}_attention", f"{n}/bias")[0][head]
                for n in ("query", "key", "value")
            )
            scores = np.exp(q @ k.T / np.sqrt(8))
            mixed = scores / scores.sum(1, keepdims=True) @ v
            out += mixed @ of(f"{block}_attention", "attention_output/kernel")[0][head]
        x = x + out
        y = norm(x, f"{block}_norm2")
        kernel, bias = of(f"{block}_mlp1", "kernel", "bias")
        y = y @ kernel + bias
        y = 0.5 * y * (1 + erf(y / np.sqrt(2)))
        kernel, bias = of(f"{block}_mlp2", "kernel", "bias")
        x = x + y @ kernel + bias
    expected = norm(x, "norm")
    maps = kc.encoders.feature_maps(encoder, ["patch_tokens", "features"])
    actual = maps(IMAGES)
    np.testing.assert_allclose(actual["features"][0], expected[0], atol=2e-5)
    np.testing.assert_allclose(actual["patch_tokens"][0], expected[3:], atol=2e-5)


def timms_weights(model, encoder):
    """Put the weights of a timm model into `encoder`."""
    state = {name: value.numpy() for name, value in model.state_dict().items()}
    dim = state["cls_token"].shape[-1]
    heads = model.blocks[0].attn.num_heads

    def linear(name):
        return state[f"{name}.weight"].T, state[f"{name}.bias"]

    def put(layer, *arrays):
        encoder.get_layer(layer).set_weights(arrays)

    conv = state["patch_embed.proj.weight"].transpose(2, 3, 1, 0)
    put(
        "patches",
        state["cls_token"][0],
        state["pos_embed"][0],
        conv,
        state["patch_embed.proj.bias"],
    )
    for index in range(len(model.blocks)):
        ours, theirs = f"block{index + 1}", f"blocks.{index}"
        for n in (1, 2):
            norm = f"{theirs}.norm{n}"
            put(f"{ours}_norm{n}", state[f"{norm}.weight"], state[f"{norm}.bias"])
            put(f"{ours}_mlp{n}", *linear(f"{theirs}.mlp.fc{n}"))
        kernel, bias = linear(f"{theirs}.attn.qkv")
        parts = zip(np.split(kernel, 3, axis=1), np.split(bias, 3), strict=True)
        out, out_bias = linear(f"{theirs}.attn.proj")
        qkv = [(k.reshape(dim, heads, -1), b.reshape(heads, -1)) for k, b in parts]
        out = out.reshape(heads, -1, dim)
        put(f"{ours}_attention", *sum(qkv, ()), out, out_bias)
    put("norm", state["norm.weight"], state["norm.bias"])


@pytest.mark.parametrize("size", ["tiny", "small", "base"])
def test_features_of_timm(size):
    torch = pytest.importorskip("torch", reason="needs torch")
    timm = pytest.importorskip("timm", reason="needs timm")
    torch.manual_seed(0)
    theirs = timm.create_model(
        f"vit_{size}_patch16_224", num_classes=0, dynamic_img_size=True
    ).eval()
    ours = kc.encoders.vit(16, **kc.encoders.VIT_SIZES[size])
    assert ours.count_params() == sum(p.numel() for p in theirs.parameters())
    timms_weights(theirs, ours)
    for sides in ((224, 224), (96, 96), (256, 192)):
        images = np.random.default_rng(0).uniform(0, 255, (2, *sides, 3))
        images = images.astype("float32")
        with torch.no_grad():
            x = torch.tensor(images.transpose(0, 3, 1, 2) / 127.5 - 1)
            expected = theirs(x).numpy()
        np.testing.assert_allclose(ours(images), expected, atol=1e-4)


def test_sizes_are_those_of_the_papers():
    depth, classes = 12, {"tiny": 5_524_416, "small": 21_665_664, "base": 85_798_656}
    for name, expected in classes.items():
        size = kc.encoders.VIT_SIZES[name]
        dim = size["dim"]
        assert size["depth"] == depth and dim // size["heads"] == 64
        block = 12 * dim * dim + 13 * dim
        other = 16 * 16 * 3 * dim + dim + dim + 197 * dim + 2 * dim
        assert depth * block + other == expected


@pytest.mark.parametrize("old, new", [(4, 2), (4, 3), (4, 7), (14, 6), (5, 5), (1, 3)])
def test_positions_are_resized_as_images_are(old, new):
    """TensorFlow's bicubic resizing has the same kernel, and leaves it at the edge."""
    x = np.random.default_rng(0).normal(size=(1, old, old, 2)).astype("float32")
    matrix = np.array(_resize_matrix(old, new))
    actual = np.einsum("ij,kl,bjlc->bikc", matrix, matrix, x)
    expected = tf.image.resize(x, (new, new), "bicubic", antialias=True)
    np.testing.assert_allclose(actual, expected, atol=1e-5)
    if old == new:
        np.testing.assert_array_equal(matrix, np.eye(old))


def test_any_size_of_image(encoder):
    """Of a fixed input, of an open one, and where the size is known at run time."""
    open_ = kc.encoders.vit(
        4, 24, 2, 3, input_shape=(None, None, 3), registers=2, grid=(4, 4)
    )
    open_.set_weights(encoder.get_weights())
    assert open_.output_shape == encoder.output_shape == (None, 24)
    spec = tf.TensorSpec((None, None, None, 3), "float32")
    dynamic = tf.function(lambda x: open_(x), input_signature=[spec])
    for images in (IMAGES, IMAGES[:, :8], np.tile(IMAGES, (1, 2, 3, 1))):
        expected = encoder(images)
        np.testing.assert_allclose(open_(images), expected, atol=1e-5)
        np.testing.assert_allclose(dynamic(images), expected, atol=1e-5)
    compiled = tf.function(lambda x: encoder(x), jit_compile=True)
    np.testing.assert_allclose(compiled(images), expected, atol=1e-4)
    default = kc.encoders.vit(16, 8, 1, 1, (None, None, 1)).get_layer("patches")
    assert default.grid == (14, 14)
    with pytest.raises(ValueError, match="expected"):
        encoder(IMAGES[..., :2])


def test_no_patch_is_cut_off(encoder):
    words = "`patch` must divide.*patch=4, input_shape=.*another patch"
    for sides in ((16, 18), (2, 16), (None, 18)):
        with pytest.raises(ValueError, match=words):
            kc.encoders.vit(4, 24, 2, 3, input_shape=(*sides, 3))
    with pytest.raises(ValueError, match=r"`patch` must.*images of shape \(3, 16, 10,"):
        encoder(IMAGES[:, :, :10])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"patch": 0}, "`patch` must be a positive integer"),
        ({"dim": 25}, "multiple of `heads`.*dim=25, heads=3"),
        ({"depth": 0}, "`depth` must be a positive integer"),
        ({"heads": 2.0}, "`heads` must be a positive integer"),
        ({"registers": -1}, "`registers` must be a positive integer"),
        ({"grid": (4,)}, r"`grid` must be \(rows, columns\)"),
        ({"input_shape": (16, 16)}, "without the batch axis"),
    ],
)
def test_bad_arguments(arguments, message):
    good = {"patch": 4, "dim": 24, "depth": 1, "heads": 3, "input_shape": SHAPE}
    with pytest.raises(ValueError, match=message):
        kc.encoders.vit(**{**good, **arguments})


def test_saved_loaded_and_as_a_preset(encoder, tmp_path):
    encoder.save(tmp_path / "m.keras")
    kc.save_to_preset(encoder, tmp_path / "preset", {"method": "none"})
    loaded = [
        keras.models.load_model(tmp_path / "m.keras"),
        kc.from_preset(tmp_path / "preset"),
        keras.models.clone_model(encoder),
    ]
    loaded[2].set_weights(encoder.get_weights())
    for other in loaded:
        assert other.input_shape == (None, *SHAPE)
        for images in (IMAGES, IMAGES[:, :8, :8]):
            np.testing.assert_allclose(other(images), encoder(images), atol=1e-6)
    larger = kc.from_preset(tmp_path / "preset", input_shape=(24, 24, 3))
    images = np.tile(IMAGES, (1, 2, 2, 1))[:, :24, :24]
    np.testing.assert_allclose(larger(images), encoder(images), atol=1e-6)


def test_every_kernel_begins_with_values_of_its_own():
    keras.utils.set_random_seed(0)
    encoder = kc.encoders.vit(4, 24, 2, 3, input_shape=SHAPE)
    kernels = [
        np.array(w).ravel() for w in encoder.weights if w.path.endswith("kernel")
    ]
    assert len(kernels) == 1 + 2 * 6
    assert len({k[0] for k in kernels}) == len(kernels)
    assert np.std(kernels[3]) == pytest.approx(0.02, rel=0.2)


def test_mixed_precision_trains():
    keras.config.set_dtype_policy("mixed_float16")
    encoder = kc.encoders.vit(4, 24, 1, 3, input_shape=SHAPE)
    with tf.GradientTape() as tape:
        features = encoder(IMAGES[:, :8])
        loss = tf.reduce_sum(features**2 * np.arange(24))
    gradients = tape.gradient(loss, encoder.trainable_variables)
    assert features.dtype == "float32"
    assert all(np.isfinite(g).all() for g in gradients)
    keras.config.set_dtype_policy("float32")
    same = kc.encoders.vit(4, 24, 1, 3, input_shape=SHAPE)
    same.set_weights(encoder.get_weights())
    np.testing.assert_allclose(same(IMAGES[:, :8]), features, atol=0.05)


@pytest.mark.parametrize(
    "variant",
    [
        "dynamic",
        *(pytest.param(v, marks=pytest.mark.slow) for v in ("float32", "float16")),
    ],
)
def test_tflite(encoder, tmp_path, variant):
    """Each file is run, in another process, and compared with the encoder."""
    pytest.importorskip("ai_edge_litert", reason="needs ai-edge-litert")
    kc.export.to_tflite(encoder, tmp_path / f"{variant}.tflite", variant)


@pytest.mark.slow
def test_saved_model(encoder, tmp_path):
    kc.export.to_saved_model(encoder, tmp_path / "saved")


def test_onnx(encoder, tmp_path):
    pytest.importorskip("tf2onnx", reason="needs tf2onnx")
    kc.export.to_onnx(encoder, tmp_path / "vit.onnx")

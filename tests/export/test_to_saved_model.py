import concurrent.futures
import errno
import hashlib
import importlib
import io
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_contrastive as kc
from keras_contrastive import augmentations, export
from keras_contrastive.image_io import decode_image
from keras_contrastive.methods import SimCLR

module = importlib.import_module("keras_contrastive.export.to_saved_model")


def assert_equal(reference, output):
    """max|a-b| <= 1e-5 max|a|"""
    reference, output = np.asarray(reference), np.asarray(output)
    assert reference.shape == output.shape
    assert np.abs(reference - output).max() <= 1e-5 * np.abs(reference).max()


@pytest.fixture(scope="module")
def signatures(exported):
    model = tf.saved_model.load(str(exported))
    yield model.signatures
    del model


def test_every_signature_equals_the_encoder(signatures, encoder, images):
    expected = encoder(images, training=False).numpy()
    floats = tf.constant(images, tf.float32)
    assert_equal(expected, signatures["serving_default"](images=floats)["features"])
    assert_equal(expected, signatures["uint8"](images=images)["features"])
    lengths = np.linalg.norm(expected, axis=1, keepdims=True)
    unit = signatures["normalized"](images=floats)["features"]
    assert_equal(expected / lengths, unit)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-5)
    files = tf.constant([tf.io.encode_png(x).numpy() for x in images])
    assert_equal(expected, signatures["serve_bytes"](image_bytes=files)["features"])


@pytest.mark.slow
def test_an_encoder_of_patches(images, tmp_path):
    patch = kc.encoders.resnet(
        10, 4, input_shape=(8, 8, 1), norm=keras.layers.LayerNormalization
    )
    encoder = kc.encoders.of_patches(patch, 4, (28, 28, 1))
    path = export.to_saved_model(encoder, tmp_path / "patches")  # and compared
    model = tf.saved_model.load(str(path))
    served = model.signatures["uint8"](images=images[:5])["features"]
    assert_equal(encoder(images[:5], training=False), served)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_any_batch_size(signatures, encoder, images, count):
    floats = tf.constant(images[:count], tf.float32)
    features = signatures["serving_default"](images=floats)["features"]
    assert_equal(encoder(images[:count], training=False), features)


def test_serve_bytes_decodes_resizes_and_encodes(signatures, encoder):
    rng = np.random.default_rng(0)
    evaluation = augmentations.evaluation((28, 28))
    for height, width, channels in [(40, 60, 3), (100, 29, 1), (28, 28, 3), (3, 7, 1)]:
        image = rng.integers(0, 256, (height, width, channels), "uint8")
        for encode in (tf.io.encode_jpeg, tf.io.encode_png):
            data = encode(image)
            decoded = decode_image(data, 1)
            expected = encoder(evaluation(decoded[None]), training=False)
            answer = signatures["serve_bytes"](image_bytes=data[None])["features"]
            assert_equal(expected, answer)


BAD_FILES = [
    b"",
    b"GIF89a\x01\x00\x01\x00",
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x13\x89\0\0\x13\x89\x08\2\0\0\0",
]


def test_bad_files_are_marked_and_harm_no_other(signatures, encoder, images):
    good = [tf.io.encode_png(x).numpy() for x in images[:5]]
    cut = tf.io.encode_jpeg(images[0]).numpy()[:-40]  # right to the end of its header
    files = [*good[:2], *BAD_FILES, *good[2:4], cut, good[4]]
    answer = signatures["serve_bytes"](image_bytes=tf.constant(files))
    is_good = [data in good for data in files]
    np.testing.assert_array_equal(answer["ok"], is_good)
    features = answer["features"].numpy()
    assert_equal(encoder(images[:5], training=False), features[is_good])
    assert not features[np.logical_not(is_good)].any()


def test_a_bad_client_fails_no_other_in_a_batch_of_the_server(signatures, images):
    """TensorFlow Serving's batching gives one batch's error to all its requests."""

    @tf.nondifferentiable_batch_function(
        num_batch_threads=2, max_batch_size=8, batch_timeout_micros=20_000
    )
    def batched(image_bytes):
        answer = signatures["serve_bytes"](image_bytes=image_bytes)
        return answer["features"], answer["ok"]

    sizes = []
    ask = tf.function(batched, input_signature=[tf.TensorSpec((None,), tf.string)])
    good = [tf.io.encode_png(x).numpy() for x in images[:4]]
    expected = signatures["serve_bytes"](image_bytes=tf.constant(good))["features"]

    def client(number):
        if number % 4 == 0:
            return not ask(tf.constant([b"no image"]))[1].numpy().any()
        features, ok = ask(tf.constant([good[number % 4]]))
        sizes.append(len(ok))
        return ok.numpy().all() and np.allclose(
            features[0], expected[number % 4], atol=1e-4
        )

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(client, range(64)))
    assert sizes == [1] * 48


def test_serve_bytes_reads_what_loaders_read(signatures, encoder, images):
    pil = pytest.importorskip("PIL.Image", reason="needs pillow")
    upright = np.repeat(images[3], 3, axis=-1)
    files = []
    for kind in ("PNG", "BMP", "GIF", "WEBP"):
        buffer = io.BytesIO()
        options = {"lossless": True} if kind == "WEBP" else {}
        pil.fromarray(upright if kind != "GIF" else upright[..., 0]).save(
            buffer, kind, **options
        )
        files.append(buffer.getvalue())
    exif = pil.Exif()
    exif[274] = 6  # to be turned right
    buffer = io.BytesIO()
    pil.fromarray(np.rot90(upright).copy()).save(buffer, "PNG", exif=exif)
    answer = signatures["serve_bytes"](
        image_bytes=tf.constant([*files, buffer.getvalue()])
    )
    assert answer["ok"].numpy().all()
    expected = encoder(images[3:4], training=False)
    assert_equal(np.repeat(expected, 5, axis=0), answer["features"])


def test_manifest_and_card_describe_the_folder(exported, encoder):
    manifest = json.loads((exported / "manifest.json").read_text())
    assert manifest["feature_dim"] == 64
    assert manifest["input"]["range"] == [0, 255]
    assert manifest["input"]["shape"] == ["batch", 28, 28, 1]
    assert manifest["metrics"] == {"knn": 0.5}
    assert set(manifest["versions"]) >= {"tensorflow", "keras", "keras-contrastive"}
    found = {
        x.relative_to(exported).as_posix() for x in exported.rglob("*") if x.is_file()
    }
    assert set(manifest["files"]) == found - {"manifest.json"}
    assert {"saved_model.pb", "encoder.keras", "encoder.weights.h5"} <= found
    for name, entry in manifest["files"].items():
        digest = hashlib.sha256((exported / name).read_bytes()).hexdigest()
        assert entry["sha256"] == digest
    with np.load(exported / "golden.npz") as golden:
        features = encoder(golden["images"], training=False)
        assert_equal(golden["features"], features)
    card = (exported / "model_card.md").read_text()
    assert "28 x 28 x 1" in card and "64 features" in card and "| knn | 0.5 |" in card


def test_weights_are_stored_once(exported, encoder):
    stored = (exported / "variables" / "variables.data-00000-of-00001").stat().st_size
    assert stored < 1.2 * 4 * encoder.count_params()


@pytest.mark.slow
def test_fine_tuning_in_a_fresh_process(exported):
    program = f"""
import sys, numpy as np, keras
encoder = keras.models.load_model({str(exported / "encoder.keras")!r})
golden = np.load({str(exported / "golden.npz")!r})
features = np.asarray(encoder(golden["images"], training=False))
np.testing.assert_allclose(features, golden["features"], rtol=1e-4, atol=1e-5)
model = keras.Sequential([encoder, keras.layers.Dense(2)])
model.compile(keras.optimizers.SGD(0.01),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
before = encoder.get_weights()[0].copy()
model.fit(golden["images"].astype("float32"), np.array([0, 1, 0, 1]), verbose=0)
assert np.abs(encoder.get_weights()[0] - before).max() > 0
encoder.load_weights({str(exported / "encoder.weights.h5")!r})
np.testing.assert_array_equal(encoder.get_weights()[0], before)
assert "keras_contrastive" not in sys.modules
"""
    subprocess.run([sys.executable, "-P", "-c", program], check=True)


@pytest.mark.slow
def test_mixed_precision_under_a_strategy(
    make_encoder, images, strategy_of, tmp_path, capsys
):
    float32 = make_encoder()
    keras.config.set_dtype_policy("mixed_float16")
    with strategy_of(2).scope():
        mixed = make_encoder()
        mixed.set_weights(float32.get_weights())
        assert mixed.get_layer("stem_conv").compute_dtype == "float16"
        folder = export.to_saved_model(SimCLR(mixed), tmp_path / "model")
        assert tf.distribute.has_strategy()
    assert "SimCLR; its encoder 'resnet10" in capsys.readouterr().out
    expected = float32(images, training=False)
    loaded = tf.saved_model.load(str(folder)).signatures["uint8"]
    assert_equal(expected, loaded(images=images)["features"])
    keras.config.set_dtype_policy("float32")
    trainable = keras.models.load_model(folder / "encoder.keras")
    assert {x.compute_dtype for x in trainable.layers} == {"float32"}
    assert json.loads((folder / "manifest.json").read_text())["method"] == "SimCLR"


def test_a_model_that_differs_is_not_kept(
    encoder, make_encoder, images, tmp_path, monkeypatch
):
    write = module.write_saved_model
    other = make_encoder(seed=1)
    monkeypatch.setattr(module, "write_saved_model", lambda _, *x: write(other, *x))
    with pytest.raises(RuntimeError, match="not kept: .*serving_default: max.a-b. ="):
        export.to_saved_model(encoder, tmp_path / "model", images=images[:8])
    assert os.listdir(tmp_path) == []


def test_a_full_disk_keeps_the_versions_that_are_there(encoder, tmp_path, room_for):
    base = tmp_path / "model"
    (base / "1").mkdir(parents=True)
    with room_for(100_000), pytest.raises(OSError, match="model' needs [0-9,]+ bytes:"):
        export.to_saved_model(encoder, base)
    assert os.listdir(base) == ["1"]


def test_a_full_disk_leaves_nothing(encoder, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "write_saved_model", full)
    base = tmp_path / "a" / "model"
    with pytest.raises(OSError, match="model' needs .*: No space left.*Free space"):
        export.to_saved_model(encoder, base)
    assert not base.exists()


def test_a_folder_that_cannot_be_made(encoder):
    with pytest.raises(OSError, match="folder that can be written.*'/proc/models'"):
        export.to_saved_model(encoder, "/proc/models")


def test_paths_that_are_refused(encoder, exported, tmp_path):
    (tmp_path / "notes.txt").touch()
    for path, message in [
        (tmp_path / "notes.txt", "Received: the file"),
        (tmp_path, "holds other files .notes.txt"),
        (exported, "itself a SavedModel. Pass its parent"),
    ]:
        with pytest.raises(ValueError, match=message):
            export.to_saved_model(encoder, path)


def test_a_taken_version_is_refused_at_once(encoder, exported, monkeypatch):
    monkeypatch.setattr(module, "write_saved_model", None)  # nothing is written
    with pytest.raises(ValueError, match="must be free.*Received: version=1"):
        export.to_saved_model(encoder, exported.parent, version=1)


def test_encoders_that_are_refused(encoder, tmp_path):
    class Unregistered(keras.layers.Layer):
        def call(self, x):
            return x

    inputs = keras.Input((8, 8, 3))
    x = Unregistered(name="mine")(keras.layers.GlobalAveragePooling2D()(inputs))
    with pytest.raises(ValueError, match="'mine' of the unregistered class"):
        export.to_saved_model(keras.Model(inputs, x), tmp_path / "a")
    with pytest.raises(TypeError, match="must be a keras.Model"):
        export.to_saved_model("resnet18", tmp_path / "a")
    with pytest.raises(ValueError, match="must be in .0, 255.*from -1"):
        export.to_saved_model(encoder, tmp_path / "a", images=-np.ones((1, 28, 28, 1)))
    with pytest.raises(ValueError, match="Received: images of shape .1, 8, 8, 1"):
        export.to_saved_model(encoder, tmp_path / "a", images=np.ones((1, 8, 8, 1)))
    free = kc.encoders.resnet(depth=10, width=4, input_shape=(None, None, 3))
    with pytest.raises(ValueError, match="`image_size` must be .height, width"):
        export.to_saved_model(free, tmp_path / "a")
    assert os.listdir(tmp_path) == []


def test_open_image_size_and_four_channels(tmp_path, capsys):
    free = kc.encoders.resnet(depth=10, width=4, input_shape=(None, None, 4))
    folder = export.to_saved_model(free, tmp_path / "model", image_size=(16, 24))
    assert "no signature serve_bytes" in capsys.readouterr().out
    loaded = tf.saved_model.load(str(folder)).signatures
    assert "serve_bytes" not in loaded
    for size in (16, 32):
        x = np.random.default_rng(0).integers(0, 256, (2, size, size, 4), "uint8")
        assert_equal(free(x, training=False), loaded["uint8"](images=x)["features"])


def test_warm_up_requests(exported, signatures, encoder, images):
    pytest.importorskip("tensorflow_serving", reason="needs tensorflow-serving-api")
    from tensorflow_serving.apis import prediction_log_pb2

    path = exported / "assets.extra" / "tf_serving_warmup_requests"
    asked = set()
    for record in tf.data.TFRecordDataset(str(path)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        name = request.model_spec.signature_name
        inputs = {k: tf.constant(tf.make_ndarray(v)) for k, v in request.inputs.items()}
        assert signatures[name](**inputs)["features"].shape == (1, 64)
        assert request.model_spec.name == "fashion"
        asked.add(name)
    assert asked == set(signatures)


def test_without_the_serving_protos(tmp_path, images, monkeypatch, capsys):
    from keras_contrastive.export.warm_up import write_warm_up

    monkeypatch.setitem(sys.modules, "tensorflow_serving.apis", None)
    for _ in range(3):
        assert write_warm_up(tmp_path, "x", ["uint8"], images[:1], []) is False
    # Said once a process, however many models it exports.
    assert capsys.readouterr().out.count("keras-contrastive[serving]") == 1
    assert os.listdir(tmp_path) == []

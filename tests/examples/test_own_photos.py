"""The whole road of a user's photographs, tiny: features are equal at every station."""

import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_contrastive as kc
from keras_contrastive.image_io import resize_and_center_crop

pytest.importorskip("sklearn")
Image = pytest.importorskip("PIL.Image", reason="makes photographs with EXIF")
EXAMPLE = pathlib.Path(__file__).parents[2] / "examples" / "own_photos.py"
SIDE = 16
# How a camera stores the pixels when it is held so: EXIF tag to quarter turns.
STORED = {1: 0, 3: 2, 6: 1, 8: 3}
ORIENTATIONS = (1, 6, 3, 8)
TURNS = {}  # path of each photograph: the quarter turns that make it upright


def save(path, pixels, orientation):
    """Write a photograph as a camera does: pixels turned, and a tag that says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[274] = orientation
    stored = np.rot90(pixels, STORED[orientation])
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif)
    TURNS[str(path)] = -STORED[orientation]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """40 photographs of two classes and none: sizes, EXIF, gray, PNG; and 3 broken."""
    folder = tmp_path_factory.mktemp("own") / "photos"
    rng = np.random.default_rng(0)
    for i in range(40):
        height, width = 20 + i % 7 * 5, 24 + i % 5 * 9
        pixels = rng.integers(0, 90, (height, width, 3), "uint8")
        pixels[: height // 2, :, i % 2] += 150  # what tells the classes
        if i % 8 == 5:
            pixels = pixels[..., 1]  # gray
        kind = ("red", "green")[i % 2] if i < 32 else "."
        if i % 6 == 0:
            save(folder / kind / f"{i:02d}.png", pixels, 1)
        else:
            orientation = ORIENTATIONS[i % len(ORIENTATIONS)]
            save(folder / kind / f"{i:02d}.jpg", pixels, orientation)
    (folder / "red" / "empty.jpg").touch()
    (folder / "green" / "text.png").write_text("no image")
    whole = (folder / "red" / "02.jpg").read_bytes()
    (folder / "red" / "torn.jpg").write_bytes(whole[: len(whole) // 3])
    return folder


def tiny_encoder(depth, width, input_shape):
    inputs = keras.Input(input_shape)
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(16, 4, strides=4, activation="relu")(x)
    return keras.Model(inputs, keras.layers.Flatten()(x), name="tiny")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*unreadable image:UserWarning")
def test_features_are_equal_at_every_station(
    photos, tmp_path, monkeypatch, capsys, load_script
):
    script, parse = load_script(EXAMPLE)
    sizes = (f"--size={SIDE}", "--epochs=1", "--steps=1", "--batch_size=8")
    parse(f"--photos={photos}", f"--output={tmp_path}", *sizes)
    monkeypatch.setattr(kc.encoders, "resnet", tiny_encoder)
    script.main([])
    said = capsys.readouterr().out
    assert "fine-tuned" in said and said.count(".jpg: ") + said.count(".png: ") == 6

    # To compare with: what TensorFlow decodes, turned here by the tag that was written.
    encoder = keras.models.load_model(tmp_path / "encoder.keras")
    images = kc.data.images_from_directory(photos, image_size=SIDE, on_error="skip")
    features, labels = kc.evaluation.extract_features(encoder, images)
    assert images.class_names == ["green", "red"]
    assert np.bincount(labels + 1).tolist() == [8, 16, 16]
    files = [pathlib.Path(path).read_bytes() for path in images.file_paths]
    upright = []
    for file, path in zip(files, images.file_paths, strict=True):
        pixels = tf.io.decode_image(file, expand_animations=False).numpy()
        turned = np.rot90(pixels, TURNS[path])
        turned = np.broadcast_to(turned, (*turned.shape[:2], 3))
        upright.append(resize_and_center_crop(turned, (SIDE, SIDE)))
    expected = kc.evaluation.extract_features(encoder, np.stack(upright))

    def assert_equal(given, wanted):
        assert np.abs(given - wanted).max() <= 1e-3 * np.abs(wanted).max()

    assert_equal(features, expected)
    served = tf.saved_model.load(str(tmp_path / "serving/encoder/1")).signatures
    answer = served["serve_bytes"](image_bytes=tf.constant(files))
    assert_equal(answer["features"], expected)

    # The classifier that was exported, on the same bytes.
    classifier = keras.models.load_model(tmp_path / "classifier.keras")
    wanted = np.asarray(classifier(np.stack(upright)))
    served = tf.saved_model.load(str(tmp_path / "serving/classifier/1")).signatures
    answer = served["serve_bytes"](image_bytes=tf.constant(files))
    (output,) = {"logits", "probabilities"} & {*answer}
    assert_equal(answer[output], wanted)
    names = [images.class_names[i] for i in wanted.argmax(axis=1)]
    assert [name.decode() for name in answer["class_names"].numpy()] == names

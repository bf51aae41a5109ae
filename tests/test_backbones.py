"""Backbones of keras-hub as encoders; without keras-hub, what is refused."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_contrastive as kc

IMAGES = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype("float32")
IMAGENET = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
HALF = np.array([0.5] * 3), np.array([0.5] * 3)


def resnet(hub):
    return hub.models.ResNetBackbone(
        input_conv_filters=[8],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 64],
        stackwise_num_blocks=[1, 1],
        stackwise_num_strides=[1, 2],
        block_type="bottleneck_block",
        image_shape=(32, 32, 3),
    )


def vit(hub):
    return hub.models.ViTBackbone((32, 32, 3), 8, 1, 2, 16, 32)


def dinov2(hub):
    return hub.models.DINOV2Backbone(
        patch_size=8,
        num_layers=1,
        hidden_dim=16,
        num_heads=2,
        intermediate_dim=32,
        image_shape=(32, 32, 3),
        position_embedding_shape=(32, 32, 3),
    )


def densenet(hub):
    return hub.models.DenseNetBackbone([1, 1], (32, 32, 3), growth_rate=4)


BACKBONES = {
    "resnet": (resnet, IMAGENET, None),
    "vit": (vit, HALF, "class_token"),
    "dinov2": (dinov2, IMAGENET, "class_token"),
    "densenet": (densenet, IMAGENET, None),
}


@pytest.fixture(scope="module")
def hub():
    return pytest.importorskip("keras_hub", reason="needs keras-hub")


@pytest.mark.parametrize("name", BACKBONES)
def test_features_pooled_with_preprocessing_inside(hub, name, tmp_path):
    make, (mean, std), pooling = BACKBONES[name]
    backbone = make(hub)
    encoder = kc.encoders.from_backbone(backbone)
    x = ((IMAGES / 255 - mean) / std).astype("float32")
    output = np.array(backbone({"images": x} if name == "dinov2" else x))
    expected = output[:, 0] if pooling else output.mean((1, 2))
    np.testing.assert_allclose(encoder(IMAGES), expected, rtol=1e-4, atol=1e-5)
    assert encoder(IMAGES.astype("uint8")).dtype == "float32"
    # As a preset, it is loaded with all its weights.
    preset = kc.save_to_preset(encoder, tmp_path / name)
    np.testing.assert_allclose(kc.from_preset(preset)(IMAGES), encoder(IMAGES), 1e-5)


def test_a_new_process_loads_it(hub, tmp_path):
    encoder = kc.encoders.from_backbone(vit(hub))
    encoder.save(tmp_path / "encoder.keras")
    kc.save_to_preset(encoder, tmp_path / "preset")
    np.save(tmp_path / "features.npy", encoder(IMAGES))
    np.save(tmp_path / "images.npy", IMAGES)
    program = (
        "import keras, keras_hub, numpy as np, keras_contrastive as kc\n"
        "x, y = np.load('images.npy'), np.load('features.npy')\n"
        "loaded = keras.saving.load_model('encoder.keras'), kc.from_preset('preset')\n"
        "for encoder in loaded: np.testing.assert_allclose(encoder(x), y, 1e-5)\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)


def test_trained_further_and_fine_tuned(hub):
    encoder = kc.encoders.from_backbone(vit(hub))
    before = [np.array(w) for w in encoder.weights]
    model = kc.SimCLR(encoder)
    model.compile()
    noise = np.random.default_rng(1).normal(0, 9, IMAGES.shape)
    views = IMAGES, np.clip(IMAGES + noise, 0, 255).astype("float32")
    assert np.isfinite(model.train_on_batch(views, return_dict=True)["loss"])
    assert any((a != b).any() for a, b in zip(before, encoder.weights, strict=True))
    classifier = kc.evaluation.build_classifier(encoder, 3)
    classifier.compile("sgd", "sparse_categorical_crossentropy")
    assert np.isfinite(classifier.train_on_batch(IMAGES, np.array([0, 1, 2, 0])))


@pytest.mark.slow
@pytest.mark.parametrize("name", BACKBONES)
def test_exported(hub, name, tmp_path):
    encoder = kc.encoders.from_backbone(BACKBONES[name][0](hub))
    paths = [
        kc.export.to_saved_model(encoder, tmp_path / "saved"),
        kc.export.to_tflite(encoder, tmp_path / "a.tflite"),
    ]
    if name == "vit":  # its positions' numbers become an input of the ONNX graph
        with pytest.raises(RuntimeError, match="does not run in a process of its own"):
            kc.export.to_onnx(encoder, tmp_path / "a.onnx")
    else:
        paths.append(kc.export.to_onnx(encoder, tmp_path / "a.onnx"))
    for path in paths:
        assert kc.export.verify(path, encoder, IMAGES).passed


def test_a_preset_of_keras_hub_brings_its_own_scaling(hub, tmp_path):
    backbone = vit(hub)
    backbone.save_to_preset(str(tmp_path))
    hub.layers.ViTImageConverter(
        image_size=(32, 32), scale=[0.01, 0.02, 0.03], offset=[1.0, 2.0, 3.0]
    ).save_to_preset(str(tmp_path))
    encoder = kc.encoders.from_backbone(str(tmp_path))
    x = IMAGES * np.array([0.01, 0.02, 0.03]) + np.array([1.0, 2.0, 3.0])
    expected = np.array(backbone(x.astype("float32")))[:, 0]
    np.testing.assert_allclose(encoder(IMAGES), expected, rtol=1e-4, atol=1e-5)
    from keras_contrastive.cli.networks import new_encoder

    of_command = new_encoder(
        f"keras_hub:{tmp_path}", (32, 32, 3), depth=0, width=0, patch=0
    )
    np.testing.assert_allclose(of_command(IMAGES), encoder(IMAGES), rtol=1e-5)


def test_layers_of_keras_hub_that_read_files_are_refused(hub):
    from keras_contrastive.zoo import encoder_config

    tokenizer = "keras_hub>BytePairTokenizer"
    assert keras.saving.get_registered_object(tokenizer) is not None
    assert not encoder_config._is_of_keras_hub(tokenizer)
    assert not encoder_config._is_of_keras_hub("keras_hub>ViTImageConverter")
    assert encoder_config._is_of_keras_hub("keras_hub>ViTBackbone")


def test_models_of_keras_applications():
    model = keras.applications.MobileNetV2(
        input_shape=(32, 32, 3), include_top=False, weights=None, alpha=0.35
    )
    encoder = kc.encoders.from_backbone(model)
    expected = np.array(model(IMAGES / 127.5 - 1)).mean((1, 2))
    np.testing.assert_allclose(encoder(IMAGES), expected, rtol=1e-4, atol=1e-5)


def test_what_is_no_backbone(monkeypatch):
    with pytest.raises(TypeError, match="must be a keras.Model"):
        kc.encoders.from_backbone(3)
    x = keras.Input((8, 8, 3))
    model = keras.Model(x, keras.layers.Conv2D(2, 3)(x))
    with pytest.raises(ValueError, match="`input_shape` is for the name of a preset"):
        kc.encoders.from_backbone(model, input_shape=(8, 8, 3))
    with pytest.raises(ValueError, match="`pooling` must be None or 'mean'"):
        kc.encoders.from_backbone(model, keras.layers.Identity(), "class_token")
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(ImportError, match=r"keras-contrastive\[hub\]"):
        kc.encoders.from_backbone("vit_base_patch16_224_imagenet")

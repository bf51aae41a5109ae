"""What `to_torch` refuses; that PyTorch agrees is in test_convert_torch.py."""

import keras
import pytest

import keras_contrastive as kc
from keras_contrastive.zoo.foreign_networks import TORCH_RESNET


def test_names_are_torchvisions():
    encoder = kc.encoders.resnet(18, 4)
    names = [slot.name for slot in TORCH_RESNET.slots(encoder)]
    assert len(names) == len(set(names)) == len(encoder.weights)
    assert {
        "conv1.weight",
        "bn1.running_var",
        "layer2.0.downsample.0.weight",
        "layer2.0.downsample.1.bias",
        "layer4.1.conv2.weight",
    } <= {*names}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"padding": "same"}, r"which pads \['stem_conv', .*kc.export.to_onnx"),
        ({"padding": "simclr"}, r"which pads \['stem_pool'\]"),
        ({"norm": keras.layers.LayerNormalization}, "with batch norm. Received"),
    ],
)
def test_networks_that_torchvision_has_not(arguments, message, tmp_path):
    encoder = kc.encoders.resnet(10, 4, "imagenet", (32, 32, 3), **arguments)
    with pytest.raises(ValueError, match=message):
        kc.zoo.to_torch(encoder, tmp_path / "a.pth")
    assert list(tmp_path.iterdir()) == []


def test_other_models_and_endings(tmp_path):
    vit = kc.encoders.vit(8, 24, 1, 3, (16, 16, 3))
    with pytest.raises(ValueError, match="Received: 'vit', of other layers"):
        kc.zoo.to_torch(vit, tmp_path / "a.pth")
    with pytest.raises(ValueError, match="must end in .pth, .pt, .safetensors"):
        kc.zoo.to_torch(vit, tmp_path / "a.onnx")
    with pytest.raises(TypeError, match="must be a keras.Model"):
        kc.zoo.to_torch("resnet", tmp_path / "a.pth")

"""Each source's file, written by a look-alike in PyTorch: features must agree."""

import argparse
import json

import keras
import numpy as np
import pytest

import keras_contrastive as kc
from keras_contrastive.resnet import build_resnet

torch = pytest.importorskip("torch", reason="needs PyTorch")

from torch import nn  # noqa: E402
from torch_networks import ResNet, ViT, mlp, randomize  # noqa: E402

IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def prefixed(**modules):
    """One state of several modules, their names after a prefix."""
    return {
        f"{prefix.replace('__', '.')}.{name}" if prefix else name: value
        for prefix, module in modules.items()
        for name, value in module.state_dict().items()
    }


def moco(net, head, version):
    other = randomize(ResNet(), 1)
    state = prefixed(module__encoder_q=net, module__encoder_k=other)
    state |= prefixed(module__encoder_q__fc=head, module__encoder_k__fc=head)
    state |= {"module.queue": torch.ones(8, 16), "module.queue_ptr": torch.zeros(1)}
    return {"epoch": 200, "arch": "resnet50", "state_dict": state, "optimizer": {}}


def moco_v3(net, head):
    name = "head" if isinstance(net, ViT) else "fc"
    state = prefixed(
        module__base_encoder=net,
        module__momentum_encoder=net,
        **{f"module__base_encoder__{name}": head},
        module__predictor=predictor,
    )
    optimizer = {"state": {0: {"momentum_buffer": torch.ones(3)}}, "param_groups": []}
    return {"epoch": 300, "state_dict": state, "optimizer": optimizer}


def swav(net, head):
    state = prefixed(module=net, module__projection_head=head)
    return state | {"module.prototypes.weight": torch.ones(12, 8)}


def barlow(net, head):
    state = prefixed(module__backbone=net, module__projector=head)
    norm = nn.BatchNorm1d(8, affine=False)
    return {"epoch": 1, "model": state | prefixed(module__bn=norm), "optimizer": {}}


def dino(net, head):
    """The full checkpoint, of student and teacher; the head of a ResNet has norm."""
    student = prefixed(module__backbone=randomize(ResNet(), 3))
    last = {"head.last_layer.weight_g": torch.ones(10, 1)}
    last["head.last_layer.weight_v"] = torch.linspace(-1, 1, 80).reshape(10, 8)
    teacher = prefixed(backbone=net, head__mlp=head) | last
    args = argparse.Namespace(arch="resnet50", lr=0.1)
    return {"student": student, "teacher": teacher, "args": args, "epoch": 3}


def lightly(net, head):
    """`nn.Sequential(*resnet.children())`: numbers in place of names."""
    numbers = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}
    state = {}
    for name, value in net.state_dict().items():
        first, _, rest = name.partition(".")
        state[f"backbone.{numbers[first]}.{rest}"] = value
        state[f"backbone_momentum.{numbers[first]}.{rest}"] = value
    state |= prefixed(projection_head__layers=head)
    return {"state_dict": state, "pytorch-lightning_version": "2.1", "epoch": 1}


def solo_learn(net, head):
    state = prefixed(
        backbone=net,
        momentum_backbone=net,
        projector=head,
        momentum_projector=head,
        classifier=nn.Linear(net.dim, 10),
    )
    return {"state_dict": state | {"queue": torch.ones(2, 4)}, "global_step": 3}


def bare(net, head):
    return prefixed(**{"": net, "fc": head})


dim = 128  # of ResNet() below: 8 * 4 * 4
linear, relu = mlp(dim, 16), mlp(dim, dim, 16, norm=False)
predictor = mlp(8, 12, 8, bias=False, last_bias=False, last_norm=False)
# source: its network, its head, its file, and the mean and deviation of its pixels
# (what the authors' training scripts pass to their normalisation).
FILES = {
    "torchvision": (ResNet((2, 1, 1, 2)), linear, bare, IMAGENET),
    "timm": (ResNet(bottleneck=False), None, None, IMAGENET),
    "moco_v1": (ResNet(), linear, lambda n, h: moco(n, h, 1), IMAGENET),
    "moco_v2": (ResNet((1, 2, 1, 1)), relu, lambda n, h: moco(n, h, 2), IMAGENET),
    "moco_v3": (
        ResNet(),
        mlp(dim, 12, 8, bias=False, last_bias=False, last_norm=False),
        moco_v3,
        IMAGENET,
    ),
    "swav": (
        ResNet(inner=2),
        mlp(dim, 12, 8),
        swav,
        (IMAGENET[0], (0.228, 0.224, 0.225)),
    ),
    "barlow_twins": (
        ResNet(),
        mlp(dim, 9, 9, 8, bias=False, last_bias=False),
        barlow,
        IMAGENET,
    ),
    "vicreg": (
        ResNet(inner=2),
        mlp(dim, 9, 9, 8, last_bias=False),
        lambda n, h: {"model": prefixed(module__backbone=n, module__projector=h)},
        IMAGENET,
    ),
    "simsiam": (
        ResNet(),
        mlp(dim, 9, 9, 8, bias=False, last_norm=False),
        lambda n, h: {
            "state_dict": prefixed(
                module__encoder=n,
                module__encoder__fc=h,
                module__predictor=mlp(8, 4, 8, bias=False),
            )
        },
        IMAGENET,
    ),
    "pcl_v1": (ResNet(), linear, lambda n, h: moco(n, h, 1), IMAGENET),
    "pcl_v2": (ResNet(), relu, lambda n, h: moco(n, h, 2), IMAGENET),
    "dino": (ResNet(), mlp(dim, 9, 9, 8), dino, IMAGENET),
    "supcon": (
        ResNet(kernel=3, shortcut="shortcut"),
        relu,
        lambda n, h: {
            "opt": argparse.Namespace(lr=1),
            "model": prefixed(encoder__module=n, head=h),
        },
        IMAGENET,
    ),
    "instdisc": (
        ResNet(),
        linear,
        lambda n, h: {
            "model": prefixed(module__encoder=n, module__head=h),
            "contrast": {"memory": torch.ones(5, 8)},
        },
        IMAGENET,
    ),
    "pirl": (
        ResNet(),
        relu,
        lambda n, h: {
            "model": prefixed(
                module__encoder=n, module__head=h, module__head_jig__fc1=relu
            )
        },
        IMAGENET,
    ),
    "lightly": (
        ResNet(bottleneck=False),
        mlp(32, 9, 8, last_bias=False),
        lightly,
        IMAGENET,
    ),
    "solo_learn": (ResNet(), mlp(dim, 9, 8), solo_learn, IMAGENET),
    "solo_learn_cifar10": (
        ResNet(kernel=3, border=2, bottleneck=False),
        mlp(32, 9, 8),
        solo_learn,
        ((0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)),
    ),
}


def features_of(net, images, mean, std):
    """What PyTorch says of images in [0, 255]."""
    x = (images / 255 - np.array(mean)) / np.array(std)
    with torch.no_grad():
        return net(torch.tensor(x.transpose(0, 3, 1, 2)).float()).numpy()


def check_close(ours, theirs):
    error = np.abs(ours - theirs).max() / np.abs(theirs).max()
    assert error <= 1e-4, error


@pytest.mark.parametrize("source", FILES)
def test_features_are_those_of_the_source(source, tmp_path):
    net, head, write, scaling = FILES[source]
    randomize(net)
    path = tmp_path / "checkpoint.pth.tar"
    if head is None:
        torch.save(net.state_dict(), path)
    else:
        # As torch wrote before version 1.6, and since.
        old = {"_use_new_zipfile_serialization": source not in ("moco_v1", "swav")}
        torch.save(write(net, randomize(head, 2)), path, **old)
    preset = kc.zoo.convert(
        path, source, tmp_path / source, head=head is not None, input_shape=(64, 64, 3)
    )
    encoder = kc.from_preset(preset)
    expected = features_of(net, IMAGES, *scaling)
    check_close(encoder(IMAGES).numpy(), expected)
    statistics = [v for n, v in net.named_buffers() if not n.endswith("tracked")]
    numbers = sum(v.numel() for v in [*net.parameters(), *statistics])
    assert encoder.count_params() == numbers
    about = kc.zoo.describe(preset)
    assert about["licence"] == kc.zoo.SOURCES[source].licence
    if head is not None and source not in ("torchvision", "dino"):
        model = keras.saving.load_model(tmp_path / f"{source}_projector.keras")
        with torch.no_grad():
            check_close(model(expected).numpy(), head(torch.tensor(expected)).numpy())


def vit_state(net, source):
    """A state as the source names it, and the number of heads that it has."""
    if source == "moco_v3":
        return moco_v3(net, mlp(24, 9, 9, 8, bias=False, last_bias=False))
    return (
        {"teacher": prefixed(backbone=net)}
        if source == "dino"
        else bare(net, nn.Linear(1, 1))
    )


@pytest.mark.parametrize(
    ("source", "heads", "scaling"),
    [
        ("moco_v3", 12, IMAGENET),
        ("dino", 3, IMAGENET),
        ("timm", 3, ((0.5,) * 3, (0.5,) * 3)),
    ],
)
def test_features_of_vision_transformers(source, heads, scaling, tmp_path):
    net = randomize(ViT(heads=heads, side=8))
    path = tmp_path / "vit.pth"
    torch.save(vit_state(net, source), path)
    given = None if source == "moco_v3" else heads
    preset = kc.zoo.convert(path, source, tmp_path / "vit", heads=given)
    encoder = kc.from_preset(preset)
    check_close(encoder(IMAGES).numpy(), features_of(net, IMAGES, *scaling))


def test_the_head_of_dino_and_swavs_prototypes_go_on(tmp_path):
    net, head = randomize(ResNet()), randomize(mlp(dim, 9, 9, 8), 2)
    torch.save(dino(net, head), tmp_path / "dino.pth")
    kc.zoo.convert(tmp_path / "dino.pth", "dino", tmp_path / "dino", head=True)
    model = keras.saving.load_model(tmp_path / "dino_projector.keras")
    x = np.random.default_rng(0).normal(size=(4, dim)).astype("float32")
    gelu = nn.Sequential(*(nn.GELU() if isinstance(m, nn.ReLU) else m for m in head))
    with torch.no_grad():
        z = nn.functional.normalize(gelu(torch.tensor(x)), dim=1)
        w = torch.linspace(-1, 1, 80).reshape(10, 8)
        expected = (z @ nn.functional.normalize(w, dim=1).T).numpy()
    check_close(model(x).numpy(), expected)

    torch.save(swav(net, randomize(mlp(dim, 12, 8))), tmp_path / "swav.pth")
    kc.zoo.convert(tmp_path / "swav.pth", "swav", tmp_path / "swav", head=True)
    prototypes = keras.saving.load_model(tmp_path / "swav_prototypes.keras")
    np.testing.assert_allclose(prototypes(np.eye(8)), np.ones((8, 12)), atol=1e-6)


def test_pre_training_goes_on_with_a_converted_head(tmp_path):
    net, head = randomize(ResNet()), randomize(relu, 2)
    torch.save(moco(net, head, 2), tmp_path / "moco.pth")
    preset = kc.zoo.convert(
        tmp_path / "moco.pth", "moco_v2", tmp_path / "moco", True, (32, 32, 3)
    )
    projector = keras.saving.load_model(tmp_path / "moco_projector.keras")
    model = kc.MoCo(kc.from_preset(preset), projector, queue_size=8)
    model.compile()
    x = IMAGES[:, :32, :32]
    assert np.isfinite(model.train_on_batch((x, x), return_dict=True)["loss"])


def test_the_card_says_licence_and_numbers_of_others(tmp_path):
    torch.save(ResNet().state_dict(), tmp_path / "swav.pth")
    preset = kc.zoo.convert(tmp_path / "swav.pth", "swav", tmp_path / "swav")
    card = (preset / "README.md").read_text()
    for text in (
        "| Licence | CC-BY-NC 4.0: no commercial use |",
        "https://github.com/facebookresearch/swav",
        "## Published there, not measured here",
        "| 800 epochs | linear | 75.3 |",
        "None recorded.",
    ):
        assert text in card
    assert kc.zoo.describe(preset)["metrics"] == {}


def changed(change):
    state = ResNet().state_dict()
    change(state)
    return state


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("layer2.0.bn2.bias"), "missing: layer2.0.bn2.bias"),
        (lambda s: s.update(extra=torch.ones(2)), "unmatched: extra"),
        (
            lambda s: s.update({"bn1.bias": torch.ones(5)}),
            r"of another shape: bn1.bias \(5,\), expected \(4,\)",
        ),
        (lambda s: s.pop("conv1.weight"), "there is no tensor conv1.weight"),
        (
            lambda s: s.update({"bn1.bias": torch.full((4,), torch.nan)}),
            "NaN or infinity in 'bn1.bias'",
        ),
        (
            lambda s: s.update({"bn1.running_var": -torch.ones(4)}),
            "variances of 0 or more. Received: 'bn1.running_var'",
        ),
        (
            lambda s: s.update({"conv1.weight": torch.ones(4, 3, 5, 5)}),
            "its first convolution is 5 x 5",
        ),
        (
            lambda s: s.update({"conv1.weight": torch.ones(20_000, 3, 7, 7)}),
            "more numbers than the",
        ),
        (
            lambda s: s.update({"bn1.bias": torch.ones(4, dtype=torch.int64)}),
            "these are no floats: bn1.bias",
        ),
    ],
)
def test_tensors_that_do_not_match_are_named(change, message, tmp_path):
    torch.save(changed(change), tmp_path / "a.pth")
    with pytest.raises(ValueError, match=message):
        kc.zoo.convert(tmp_path / "a.pth", "torchvision", tmp_path / "a")
    assert [x.name for x in tmp_path.iterdir()] == ["a.pth"]


def test_what_no_source_carries_is_named(tmp_path):
    state = prefixed(backbone=ResNet(), adapter=nn.Linear(2, 2))
    torch.save({"model": state}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match="nobody takes adapter.weight, adapter.bias"):
        kc.zoo.convert(tmp_path / "a.pth", "vicreg", tmp_path / "a")
    with pytest.raises(ValueError, match="one of torchvision, timm, .*'moco'"):
        kc.zoo.convert(tmp_path / "a.pth", "moco", tmp_path / "a")
    torch.save(ResNet().state_dict(), tmp_path / "b.pth")
    with pytest.raises(ValueError, match="no head in it, none of projector"):
        kc.zoo.convert(tmp_path / "b.pth", "vicreg", tmp_path / "b", head=True)
    with pytest.raises(FileNotFoundError, match="no file of weights"):
        kc.zoo.convert(tmp_path / "c.pth", "vicreg", tmp_path / "b")


@pytest.mark.slow
def test_a_whole_resnet50(tmp_path):
    net = randomize(ResNet((3, 4, 6, 3), width=64))
    torch.save(moco(net, linear, 1), tmp_path / "moco.pth")
    preset = kc.zoo.convert(tmp_path / "moco.pth", "moco_v1", tmp_path / "moco")
    encoder = kc.from_preset(preset)
    assert encoder.name == "resnet50" and encoder.count_params() == 23_561_152
    images = np.random.default_rng(1).uniform(0, 255, (2, 224, 224, 3))
    images = images.astype("float32")
    check_close(encoder(images).numpy(), features_of(net, images, *IMAGENET))
    metadata = json.loads((preset / "metadata.json").read_text())
    assert metadata["architecture"] == "resnet50, width 64, of moco_v1"


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_to_torch_is_run_in_torch_and_converted_back(ending, tmp_path):
    if ending == "safetensors":
        pytest.importorskip("safetensors", reason="needs safetensors")
    scaling = {"mean": IMAGENET[0], "std": IMAGENET[1]}
    encoder = build_resnet(
        (1, 2, 1, 1), True, 4, "imagenet", (64, 64, 3), name="tiny", **scaling
    )
    rng = np.random.default_rng(0)
    encoder.set_weights(
        [w + 0.2 * rng.random(w.shape).astype("f4") for w in encoder.get_weights()]
    )
    path = kc.zoo.to_torch(encoder, tmp_path / f"encoder.{ending}")
    about = json.loads((tmp_path / f"{path.name}.json").read_text())
    np.testing.assert_allclose([about["mean"], about["std"]], IMAGENET, atol=1e-6)
    net = ResNet((1, 2, 1, 1)).eval()
    if ending == "pth":
        state = torch.load(path, weights_only=True)
    else:
        from safetensors.torch import load_file

        state = load_file(path)
    net.load_state_dict(state)  # strict: every name is there, and no other
    check_close(encoder(IMAGES).numpy(), features_of(net, IMAGES, *IMAGENET))
    preset = kc.zoo.convert(path, "torchvision", tmp_path / "a", False, (64, 64, 3))
    back = kc.from_preset(preset)
    np.testing.assert_allclose(back(IMAGES), encoder(IMAGES), rtol=1e-6)


def test_the_command_says_the_licence(tmp_path, capsys):
    from keras_contrastive.cli import main

    torch.save(randomize(ResNet()).state_dict(), tmp_path / "a.pth")
    arguments = [str(tmp_path / "a.pth"), str(tmp_path / "a"), "--source=swav"]
    assert main.main(["zoo", "convert", *arguments, "--size=64"]) == 0
    text = capsys.readouterr().out
    assert "licence: CC-BY-NC 4.0: no commercial use (https://github.com/" in text
    assert "published there, not measured here: 800 epochs linear 75.3" in text
    assert kc.from_preset(tmp_path / "a").input_shape == (None, 64, 64, 3)

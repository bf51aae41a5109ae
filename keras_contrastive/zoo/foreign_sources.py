"""The table of sources that `kc.zoo.convert` knows, and what is published of each.

Names of tensors and preprocessing were read in the authors' code for SimCLR, BYOL,
SwAV, MoCo v3, PyContrast's heads and solo-learn; those of the others are recalled, and
no official file has been read yet. No code of theirs is here. Numbers are theirs: top-1
in % of ImageNet's validation images.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from keras_contrastive.zoo import foreign_heads as heads
from keras_contrastive.zoo.foreign_networks import (
    HAIKU_RESNET,
    SIMCLR_RESNET,
    TORCH_RESNET,
    TORCH_VIT,
    Preprocessing,
)

_HALF = (0.5, 0.5, 0.5)
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_IMAGENET = Preprocessing(_MEAN, _STD)


def _twelve(_):
    return 12


def _torch_head(tensors):
    return heads.projection_head(heads.torch_layers(tensors))


def _lightly_head(tensors):
    return _torch_head({k.removeprefix("layers."): v for k, v in tensors.items()})


def _simclr_head(tensors):
    return heads.projection_head(heads.simclr_layers(tensors))


def _haiku_head(tensors):
    return heads.projection_head(heads.haiku_layers(tensors))


@dataclasses.dataclass(frozen=True)
class Head:
    """A head beside an encoder.

    Attributes:
        prefixes: How the names of its tensors may begin.
        build: Its tensors, without the prefix, to a model of one layer.
    """

    prefixes: tuple[str, ...]
    build: Callable = _torch_head


@dataclasses.dataclass(frozen=True)
class Source:
    """Where weights come from: how a file names them, and what goes with them.

    Names of tensors are compared without `module.`, which data parallelism adds.

    Attributes:
        method: What they were trained by.
        url: The authors' repository.
        licence: Of the weights, as the repository says.
        states: Keys under which a file may hold the tensors; else its top.
        encoders: How the names of the encoder's tensors may begin, the first that
            fits.
        heads: By name.
        beside: How names begin that are neither.
        networks: Layouts of `foreign_networks`.
        preprocessing: What the encoder does to images first.
        published: `(network or file, measure, value)`, the authors' own.
        data: What they were trained on.
        paper: The paper.
        vit: Preprocessing of vision transformers, if it is another.
    """

    method: str
    url: str
    licence: str
    states: tuple[str, ...] = ("state_dict", "model")
    encoders: tuple[str, ...] = ("",)
    heads: dict[str, Head] = dataclasses.field(default_factory=dict)
    beside: tuple[str, ...] = ()
    networks: tuple = (TORCH_RESNET,)
    preprocessing: Preprocessing = _IMAGENET
    published: tuple[tuple[str, str, float], ...] = ()
    data: str = "ImageNet, train"
    paper: str = ""
    vit: Preprocessing | None = None

    @property
    def commercial(self) -> bool:
        """Whether the licence allows commercial use."""
        return "NC" not in self.licence


_BY_NC = "CC-BY-NC 4.0: no commercial use"
_MOCO: dict[str, Any] = {
    "method": "MoCo",
    "url": "https://github.com/facebookresearch/moco",
    "licence": "MIT",
    "encoders": ("encoder_q.", ""),
    "heads": {"projector": Head(("encoder_q.fc.", "fc."))},
    "beside": ("encoder_k.", "queue", "queue_ptr"),
}
_PCL: dict[str, Any] = {
    **_MOCO,
    "method": "PCL",
    "url": "https://github.com/salesforce/PCL",
    "paper": "https://arxiv.org/abs/2005.04966",
}
_PYCONTRAST: dict[str, Any] = {
    "url": "https://github.com/HobbitLong/PyContrast",
    "licence": "BSD 2-Clause",
    "encoders": ("encoder.",),
    "heads": {"projector": Head(("head.",))},
    "beside": ("head_jig.",),
}
_SUPCON: dict[str, Any] = {
    "method": "SupCon",
    "url": "https://github.com/HobbitLong/SupContrast",
    "licence": "BSD 2-Clause",
    "encoders": ("encoder.",),
    "heads": {"projector": Head(("head.",))},
    "beside": ("fc.", "classifier."),
    "paper": "https://arxiv.org/abs/2004.11362",
}
_SOLO_LEARN: dict[str, Any] = {
    "method": "of solo-learn, see the file",
    "url": "https://github.com/vturrisi/solo-learn",
    "licence": "MIT",
    "encoders": ("backbone.", "encoder."),
    "heads": {"projector": Head(("projector.",)), "predictor": Head(("predictor.",))},
    "beside": (
        *("momentum_", "classifier.", "queue", "prototypes", "head.", "pred_head"),
        *("loss_func.", "dino_loss_func.", "sk.", "knn.", "neck."),
    ),
    "networks": (TORCH_RESNET, TORCH_VIT),
}
_SIMCLR: dict[str, Any] = {
    "method": "SimCLR",
    "url": "https://github.com/google-research/simclr",
    "licence": "Apache-2.0",
    "encoders": ("base_model/",),
    "heads": {"projector": Head(("head_contrastive/",), _simclr_head)},
    "beside": ("head_supervised/", "global_step"),
    "networks": (SIMCLR_RESNET,),
    "preprocessing": Preprocessing(None, None, padding="simclr"),
}
_ANY = "of the weights, not of the code: see where the file is from"

SOURCES: dict[str, Source] = {
    "torchvision": Source(
        method="supervised, or as the file says",
        url="https://github.com/pytorch/vision",
        licence=f"BSD 3-Clause, code; {_ANY}",
        heads={"classifier": Head(("fc.", "head."))},
        networks=(TORCH_RESNET, TORCH_VIT),
    ),
    "timm": Source(
        method="as the file says",
        url="https://github.com/huggingface/pytorch-image-models",
        licence=f"Apache-2.0, code; {_ANY}",
        heads={"classifier": Head(("fc.", "head."))},
        beside=("fc_norm.", "head_dist."),
        networks=(TORCH_RESNET, TORCH_VIT),
        vit=Preprocessing(_HALF, _HALF),
        data="as the file says",
    ),
    "moco_v1": Source(
        **_MOCO,
        published=(("200 epochs", "linear", 60.6),),
        paper="https://arxiv.org/abs/1911.05722",
    ),
    "moco_v2": Source(
        **_MOCO,
        published=(("200 epochs", "linear", 67.7), ("800 epochs", "linear", 71.1)),
        paper="https://arxiv.org/abs/2003.04297",
    ),
    "moco_v3": Source(
        method="MoCo",
        url="https://github.com/facebookresearch/moco-v3",
        licence=_BY_NC,
        encoders=("base_encoder.", ""),
        heads={
            "projector": Head(
                ("base_encoder.fc.", "base_encoder.head.", "fc.", "head.")
            ),
            "predictor": Head(("predictor.",)),
        },
        beside=("momentum_encoder.",),
        networks=(TORCH_RESNET, TORCH_VIT),
        preprocessing=Preprocessing(_MEAN, _STD, heads=_twelve),
        published=(
            ("ResNet-50, 100 epochs", "linear", 68.9),
            ("ResNet-50, 300 epochs", "linear", 72.8),
            ("ResNet-50, 1,000 epochs", "linear", 74.6),
            ("ViT-Small, 300 epochs", "linear", 73.2),
            ("ViT-Base, 300 epochs", "linear", 76.7),
        ),
        paper="https://arxiv.org/abs/2104.02057",
    ),
    "swav": Source(
        method="SwAV",
        url="https://github.com/facebookresearch/swav",
        licence=_BY_NC,
        heads={
            "projector": Head(("projection_head.",)),
            "prototypes": Head(("prototypes.",), heads.prototypes),
        },
        beside=("queue",),
        preprocessing=Preprocessing(_MEAN, (0.228, 0.224, 0.225)),
        published=(
            ("800 epochs", "linear", 75.3),
            ("400 epochs", "linear", 74.6),
            ("200 epochs", "linear", 73.9),
            ("100 epochs", "linear", 72.1),
            ("200 epochs, batch 256", "linear", 72.7),
            ("400 epochs, batch 256", "linear", 74.3),
            ("ResNet-50 w2, 400 epochs", "linear", 77.3),
            ("ResNet-50 w4, 400 epochs", "linear", 77.9),
            ("ResNet-50 w5, 400 epochs", "linear", 78.5),
        ),
        paper="https://arxiv.org/abs/2006.09882",
    ),
    "barlow_twins": Source(
        method="Barlow Twins",
        url="https://github.com/facebookresearch/barlowtwins",
        licence="MIT",
        encoders=("backbone.", ""),
        heads={"projector": Head(("projector.",))},
        beside=("bn.", "fc."),
        published=(("ResNet-50, 1,000 epochs", "linear", 73.3),),
        paper="https://arxiv.org/abs/2103.03230",
    ),
    "vicreg": Source(
        method="VICReg",
        url="https://github.com/facebookresearch/vicreg",
        licence="MIT",
        encoders=("backbone.", ""),
        heads={"projector": Head(("projector.",))},
        beside=("fc.",),
        published=(
            ("ResNet-50, 1,000 epochs", "linear", 73.2),
            ("ResNet-50 x2", "linear", 75.5),
            ("ResNet-200 x2", "linear", 77.3),
        ),
        paper="https://arxiv.org/abs/2105.04906",
    ),
    "simsiam": Source(
        method="SimSiam",
        url="https://github.com/facebookresearch/simsiam",
        licence=_BY_NC,
        encoders=("encoder.",),
        heads={
            "projector": Head(("encoder.fc.",)),
            "predictor": Head(("predictor.",)),
        },
        published=(
            ("100 epochs, batch 512", "linear", 68.1),
            ("100 epochs, batch 256", "linear", 68.3),
        ),
        paper="https://arxiv.org/abs/2011.10566",
    ),
    "pcl_v1": Source(**_PCL, published=(("200 epochs", "linear", 61.5),)),
    "pcl_v2": Source(**_PCL, published=(("200 epochs", "linear", 67.6),)),
    "dino": Source(
        method="DINO",
        url="https://github.com/facebookresearch/dino",
        licence="Apache-2.0",
        states=("teacher", "state_dict", "model"),
        encoders=("backbone.", ""),
        heads={"projector": Head(("head.",), heads.dino_head)},
        beside=("fc.",),
        networks=(TORCH_RESNET, TORCH_VIT),
        published=(
            ("ResNet-50", "kNN", 67.5),
            ("ResNet-50", "linear", 75.3),
            ("ViT-S/16", "kNN", 74.5),
            ("ViT-S/16", "linear", 77.0),
            ("ViT-S/8", "kNN", 78.3),
            ("ViT-S/8", "linear", 79.7),
            ("ViT-B/16", "kNN", 76.1),
            ("ViT-B/16", "linear", 78.2),
            ("ViT-B/8", "kNN", 77.4),
            ("ViT-B/8", "linear", 80.1),
        ),
        paper="https://arxiv.org/abs/2104.14294",
    ),
    "supcon": Source(**_SUPCON, published=(("ResNet-50", "top-1", 79.1),)),
    "supcon_cifar10": Source(
        **_SUPCON,
        preprocessing=Preprocessing((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
        data="CIFAR-10, train",
        published=(("ResNet-50, of CIFAR-10", "linear", 96.0),),
    ),
    "supcon_cifar100": Source(
        **_SUPCON,
        preprocessing=Preprocessing((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
        data="CIFAR-100, train",
        published=(("ResNet-50, of CIFAR-100", "linear", 76.5),),
    ),
    "instdisc": Source(
        **_PYCONTRAST,
        method="instance discrimination",
        published=(("ResNet-50, 200 epochs", "linear", 59.5),),
        paper="https://arxiv.org/abs/1805.01978",
    ),
    "pirl": Source(
        **_PYCONTRAST,
        method="PIRL",
        published=(("ResNet-50, 200 epochs", "linear", 61.7),),
        paper="https://arxiv.org/abs/1912.01991",
    ),
    "infomin": Source(
        **_PYCONTRAST,
        method="InfoMin",
        published=(
            ("ResNet-50, 200 epochs", "linear", 70.1),
            ("ResNet-50, 800 epochs", "linear", 73.0),
        ),
        paper="https://arxiv.org/abs/2005.10243",
    ),
    "simclr_v1": Source(
        **_SIMCLR,
        published=(
            ("ResNet-50", "linear", 69.1),
            ("ResNet-50 2x", "linear", 74.2),
            ("ResNet-50 4x", "linear", 76.6),
        ),
        paper="https://arxiv.org/abs/2002.05709",
    ),
    "simclr_v2": Source(
        **_SIMCLR,
        published=(
            ("ResNet-50, no selective kernels", "linear", 71.7),
            ("ResNet-50, no selective kernels", "1 % fine-tuned", 57.9),
            ("ResNet-50, no selective kernels", "10 % fine-tuned", 68.4),
            ("ResNet-50, no selective kernels", "fine-tuned", 76.3),
            ("ResNet-50, selective kernels", "linear", 74.6),
            ("ResNet-152 3x, selective kernels", "linear", 79.8),
        ),
        paper="https://arxiv.org/abs/2006.10029",
    ),
    "byol": Source(
        method="BYOL",
        url="https://github.com/google-deepmind/deepmind-research/tree/master/byol",
        licence="Apache-2.0",
        states=("experiment_state",),
        encoders=(),  # `res_net50/~/`, whatever the depth: found by its end
        heads={
            "projector": Head(("projector/",), _haiku_head),
            "predictor": Head(("predictor/",), _haiku_head),
        },
        beside=("classifier/",),
        networks=(HAIKU_RESNET,),
        preprocessing=Preprocessing(_MEAN, _STD, padding="same"),
        published=(
            ("ResNet-50 1x", "linear", 74.4),
            ("ResNet-200 2x", "linear", 79.6),
        ),
        paper="https://arxiv.org/abs/2006.07733",
    ),
    "lightly": Source(
        method="of lightly, see the file",
        url="https://github.com/lightly-ai/lightly",
        licence="MIT",
        encoders=("student_backbone.", "query_backbone.", "backbone.", ""),
        heads={
            "projector": Head(("projection_head.",), _lightly_head),
            "predictor": Head(("prediction_head.",), _lightly_head),
        },
        beside=(
            *("teacher_", "key_", "momentum_", "target_", "student_", "query_"),
            *("backbone_momentum.", "projection_head_momentum.", "online_classifier."),
            *("criterion.", "memory_bank.", "queue", "prototypes.", "fc.", "loss."),
        ),
        networks=(TORCH_RESNET, TORCH_VIT),
        data="as the file says",
    ),
    "solo_learn": Source(
        **_SOLO_LEARN,
        preprocessing=Preprocessing(_MEAN, _STD, padding="solo_learn"),
        data="ImageNet or a part of it",
    ),
    "solo_learn_cifar10": Source(
        **_SOLO_LEARN,
        preprocessing=Preprocessing(
            (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616), padding="solo_learn"
        ),
        data="CIFAR-10, train",
    ),
    "solo_learn_cifar100": Source(
        **_SOLO_LEARN,
        preprocessing=Preprocessing(
            (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762), padding="solo_learn"
        ),
        data="CIFAR-100, train",
    ),
}

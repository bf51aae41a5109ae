"""The same train step as lightly's examples have it: channels_last, autocast.

Two passes, one for each view; SGD with momentum and weight decay. With `gpu` in the
task the network is compiled by `torch.compile`.
"""

import contextlib
import copy

import protocol
import torch

try:
    import torchvision
except RuntimeError:  # as in lightly_pipeline.py
    LIBRARY = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        LIBRARY.define(f"{name}(Tensor a, Tensor b, float iou_threshold) -> Tensor")
    import torchvision

import lightly
from lightly.loss import (
    BarlowTwinsLoss,
    NegativeCosineSimilarity,
    NTXentLoss,
    VICRegLoss,
)
from lightly.models.modules import (
    BYOLPredictionHead,
    BYOLProjectionHead,
    SimCLRProjectionHead,
)
from lightly.models.modules.heads import VICRegProjectionHead
from lightly.models.utils import deactivate_requires_grad, update_momentum
from torch import nn


class Network(nn.Module):
    """A ResNet and a head, whose first number is that of the features."""

    def __init__(self, task, head, *widths, **arguments):
        super().__init__()
        resnet = getattr(torchvision.models, f"resnet{task.get('depth', 18)}")()
        dim = resnet.fc.in_features
        resnet.fc = nn.Identity()
        if task.get("stem", "small") == "small":
            resnet.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
            resnet.maxpool = nn.Identity()
        self.backbone, self.head = resnet, head(dim, *widths, **arguments)

    def forward(self, x):
        return self.head(self.backbone(x))


class OneNetwork(nn.Module):
    """A loss of the embeddings of both views."""

    def __init__(self, network, loss):
        super().__init__()
        self.network, self.loss = network, loss

    def forward(self, view_1, view_2):
        return self.loss(self.network(view_1), self.network(view_2))


def simclr(task):
    network = Network(task, SimCLRProjectionHead, *task["head"])
    return OneNetwork(network, NTXentLoss(temperature=0.1))


def vicreg(task, loss=VICRegLoss):
    hidden, *_, units = task["head"]
    layers = {"num_layers": len(task["head"])}
    network = Network(task, VICRegProjectionHead, hidden, units, **layers)
    return OneNetwork(network, loss())


def barlow_twins(task):
    return vicreg(task, BarlowTwinsLoss)


class BYOL(nn.Module):
    def __init__(self, task):
        super().__init__()
        hidden, units = task["head"]
        self.network = Network(task, BYOLProjectionHead, hidden, units)
        self.predictor = BYOLPredictionHead(units, hidden, units)
        self.target = copy.deepcopy(self.network)
        deactivate_requires_grad(self.target)
        self.loss = NegativeCosineSimilarity()

    def forward(self, view_1, view_2):
        update_momentum(self.network, self.target, m=0.99)
        p_1, p_2 = (self.predictor(self.network(x)) for x in (view_1, view_2))
        with torch.no_grad():
            z_1, z_2 = (self.target(x) for x in (view_1, view_2))
        return 0.5 * (self.loss(p_1, z_2) + self.loss(p_2, z_1))


METHODS = {
    "SimCLR": simclr,
    "BYOL": BYOL,
    "VICReg": vicreg,
    "BarlowTwins": barlow_twins,
}


def batches(task):
    torch.manual_seed(0)
    device = "cuda" if task.get("gpu") and torch.cuda.is_available() else "cpu"
    model = METHODS[task["method"]](task).to(device, memory_format=torch.channels_last)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(parameters, 0.01, momentum=0.9, weight_decay=5e-4)
    shape = (task["batch_size"], 3, task["size"], task["size"])
    views = [torch.rand(shape, device=device) for _ in range(2)]
    views = [x.contiguous(memory_format=torch.channels_last) for x in views]
    half = task["precision"] == "mixed_bfloat16"
    precision = torch.autocast(device, torch.bfloat16) if half else None
    call = torch.compile(model) if task.get("gpu") else model
    while True:
        with precision or contextlib.nullcontext():
            loss = call(*views)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()  # what a GPU was told to do is done
        yield views


if __name__ == "__main__":
    versions = {"lightly": lightly.__version__, "torch": torch.__version__}
    protocol.serve(batches, versions)

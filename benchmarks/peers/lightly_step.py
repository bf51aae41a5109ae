"""The same train step as lightly's examples have it: channels_last, autocast.

Two passes, one for each view; SGD with momentum and weight decay.
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
from lightly.loss import NegativeCosineSimilarity, NTXentLoss, VICRegLoss
from lightly.models.modules import (
    BYOLPredictionHead,
    BYOLProjectionHead,
    SimCLRProjectionHead,
)
from lightly.models.modules.heads import VICRegProjectionHead
from lightly.models.utils import deactivate_requires_grad, update_momentum
from torch import nn


class Network(nn.Module):
    """A ResNet-18 with a small stem, and a head."""

    def __init__(self, head):
        super().__init__()
        resnet = torchvision.models.resnet18()
        resnet.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        resnet.maxpool = resnet.fc = nn.Identity()
        self.backbone, self.head = resnet, head

    def forward(self, x):
        return self.head(self.backbone(x))


class SimCLR(nn.Module):
    def __init__(self, task):
        super().__init__()
        self.network = Network(SimCLRProjectionHead(512, *task["head"]))
        self.loss = NTXentLoss(temperature=0.1)

    def forward(self, view_1, view_2):
        return self.loss(self.network(view_1), self.network(view_2))


class VICReg(nn.Module):
    def __init__(self, task):
        super().__init__()
        hidden, *_, units = task["head"]
        head = VICRegProjectionHead(512, hidden, units, num_layers=len(task["head"]))
        self.network, self.loss = Network(head), VICRegLoss()

    def forward(self, view_1, view_2):
        return self.loss(self.network(view_1), self.network(view_2))


class BYOL(nn.Module):
    def __init__(self, task):
        super().__init__()
        hidden, units = task["head"]
        self.network = Network(BYOLProjectionHead(512, hidden, units))
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


def batches(task):
    torch.manual_seed(0)
    methods = {"SimCLR": SimCLR, "BYOL": BYOL, "VICReg": VICReg}
    model = methods[task["method"]](task).to(memory_format=torch.channels_last)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(parameters, 0.01, momentum=0.9, weight_decay=5e-4)
    shape = (task["batch_size"], 3, task["size"], task["size"])
    views = [torch.rand(shape) for _ in range(2)]
    views = [x.contiguous(memory_format=torch.channels_last) for x in views]
    half = task["precision"] == "mixed_bfloat16"
    precision = torch.autocast("cpu", torch.bfloat16) if half else None
    while True:
        with precision or contextlib.nullcontext():
            loss = model(*views)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield views


if __name__ == "__main__":
    versions = {"lightly": lightly.__version__, "torch": torch.__version__}
    protocol.serve(batches, versions)

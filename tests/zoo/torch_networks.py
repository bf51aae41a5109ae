"""Small networks in PyTorch, with the names and shapes of official files.

Written from the papers and the shapes of the tensors. Widths are small: all sizes of a
file are inferred.
"""

import torch
from torch import nn


class Block(nn.Module):
    """A basic or a bottleneck block; `inner` widens the middle of the latter."""

    def __init__(self, channels, width, stride, bottleneck, inner, shortcut):
        super().__init__()
        self.shortcut_name = shortcut
        self.count = 3 if bottleneck else 2
        if bottleneck:
            middle, out = inner * width, 4 * width
            sizes = [(channels, middle, 1, 1), (middle, middle, 3, stride)]
            sizes.append((middle, out, 1, 1))
        else:
            out = width
            sizes = [(channels, out, 3, stride), (out, out, 3, 1)]
        for index, (a, b, kernel, step) in enumerate(sizes, start=1):
            conv = nn.Conv2d(a, b, kernel, step, kernel // 2, bias=False)
            setattr(self, f"conv{index}", conv)
            setattr(self, f"bn{index}", nn.BatchNorm2d(b))
        skip = nn.Sequential()
        if stride > 1 or channels != out:
            conv = nn.Conv2d(channels, out, 1, stride, bias=False)
            skip = nn.Sequential(conv, nn.BatchNorm2d(out))
        setattr(self, shortcut, skip)
        self.out = out

    def forward(self, x):
        y = x
        for index in range(1, self.count + 1):
            y = getattr(self, f"bn{index}")(getattr(self, f"conv{index}")(y))
            y = torch.relu(y) if index < self.count else y
        return torch.relu(y + getattr(self, self.shortcut_name)(x))


class ResNet(nn.Module):
    """Images in float, normalised, to features; `fc` is what the source puts there."""

    def __init__(
        self,
        blocks=(1, 1, 1, 1),
        width=4,
        bottleneck=True,
        inner=1,
        kernel=7,
        border=None,
        shortcut="downsample",
    ):
        super().__init__()
        border = kernel // 2 if border is None else border
        step = 2 if kernel == 7 else 1
        self.conv1 = nn.Conv2d(3, width, kernel, step, border, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.pooled = kernel == 7
        channels = width
        for stage, number in enumerate(blocks, start=1):
            made = []
            for block in range(number):
                stride = 2 if stage > 1 and block == 0 else 1
                wide = width * 2 ** (stage - 1)
                made.append(Block(channels, wide, stride, bottleneck, inner, shortcut))
                channels = made[-1].out
            setattr(self, f"layer{stage}", nn.Sequential(*made))
        self.dim = channels
        self.stages = len(blocks)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        if self.pooled:
            x = nn.functional.max_pool2d(x, 3, 2, 1)
        for stage in range(1, self.stages + 1):
            x = getattr(self, f"layer{stage}")(x)
        return x.mean((2, 3))


class Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x):
        batch, tokens, dim = x.shape
        parts = self.qkv(x).reshape(batch, tokens, 3, self.heads, -1)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-1, -2) / (dim // self.heads) ** 0.5).softmax(-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(batch, tokens, dim))


class Layer(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = nn.ModuleDict(
            {"fc1": nn.Linear(dim, 4 * dim), "fc2": nn.Linear(4 * dim, dim)}
        )

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        y = self.mlp["fc1"](self.norm2(x))
        return x + self.mlp["fc2"](nn.functional.gelu(y))


class ViT(nn.Module):
    def __init__(self, dim=24, heads=3, depth=2, patch=8, side=4):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + side * side, dim))
        conv = nn.Conv2d(3, dim, patch, patch)
        self.patch_embed = nn.ModuleDict({"proj": conv})
        self.blocks = nn.Sequential(*(Layer(dim, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.dim = dim

    def forward(self, x):
        x = self.patch_embed["proj"](x).flatten(2).transpose(1, 2)
        first = self.cls_token.expand(len(x), -1, -1)
        x = torch.cat([first, x], 1) + self.pos_embed
        return self.norm(self.blocks(x))[:, 0]


def mlp(*sizes, bias=True, norm=True, last_bias=True, last_norm=None):
    """Linear, batch norm, ReLU, ...; `last_norm` is whether that has gamma and beta."""
    layers = []
    for index, (a, b) in enumerate(zip(sizes, sizes[1:], strict=False)):
        last = index == len(sizes) - 2
        layers.append(nn.Linear(a, b, bias=last_bias if last else bias))
        if not last:
            layers += [nn.BatchNorm1d(b)] * norm + [nn.ReLU()]
        elif last_norm is not None:
            layers.append(nn.BatchNorm1d(b, affine=last_norm))
    return nn.Sequential(*layers)


def randomize(module, seed=0):
    """Give every weight and statistic a random value, and return it for inference."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(tensor, low, high):
        tensor.copy_(low + (high - low) * torch.rand(tensor.shape, generator=generator))

    with torch.no_grad():
        for name, value in [*module.named_parameters(), *module.named_buffers()]:
            if name.endswith("num_batches_tracked"):
                value.fill_(7)
            elif name.endswith("running_var"):
                uniform(value, 0.5, 2.0)
            elif value.ndim > 1:
                limit = (3 / value[0].numel()) ** 0.5
                uniform(value, -limit, limit)
            elif name.endswith("weight"):
                uniform(value, 0.5, 1.5)
            else:
                uniform(value, -0.3, 0.3)
    return module.eval()

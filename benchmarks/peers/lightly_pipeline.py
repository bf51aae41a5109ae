"""lightly's `SimCLRTransform` in a torch DataLoader, as its tutorials build it.

PIL images, worker processes that stay, default collation; without the normalisation
that is its default, because the other pipelines have none.
"""

import numpy as np
import protocol
import torch

try:
    import torchvision
except RuntimeError:
    # torchvision for CUDA beside torch for the CPU: its compiled operators, which no
    # transform uses, do not load, and their names must exist for the import.
    LIBRARY = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        LIBRARY.define(f"{name}(Tensor a, Tensor b, float iou_threshold) -> Tensor")
    import torchvision

import lightly
from lightly.data import LightlyDataset
from lightly.transforms import SimCLRTransform
from PIL import Image


class Arrays(torch.utils.data.Dataset):
    """Images of an array as torchvision's CIFAR10 gives them."""

    def __init__(self, images, transform):
        self.images = images
        self.transform = transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.transform(Image.fromarray(self.images[index])), 0


def batches(task):
    brightness, contrast, saturation, hue = task["jitter"]
    transform = SimCLRTransform(
        input_size=task["size"],
        cj_prob=task["jitter_probability"],
        cj_strength=task["strength"],
        cj_bright=brightness,
        cj_contrast=contrast,
        cj_sat=saturation,
        cj_hue=hue,
        min_scale=task["area"][0],
        random_gray_scale=task["gray_probability"],
        gaussian_blur=task["blur_probability"],
        sigmas=tuple(task["sigma"]),
        hf_prob=task["flip_probability"],
        normalize=None,
    )
    if task["source"] == "arrays":
        dataset = Arrays(np.load(task["path"]), transform)
    else:
        dataset = LightlyDataset(task["path"], transform)
    loader = torch.utils.data.DataLoader(
        dataset,
        batch_size=task["batch_size"],
        shuffle=True,
        drop_last=True,
        num_workers=task["workers"],
        persistent_workers=True,
    )
    while True:
        for views, *_ in loader:
            yield views


if __name__ == "__main__":
    import PIL

    versions = {
        "lightly": lightly.__version__,
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "pillow": PIL.__version__,
    }
    protocol.serve(batches, versions, protocol.describe)

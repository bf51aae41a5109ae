"""The papers' augmentation policies, each one layer: images -> tuple of views.

>>> policy = kc.augmentations.simclr(32, strength=0.5, blur=0.0)
>>> images = np.random.uniform(0, 255, (8, 32, 32, 3))
>>> view_1, view_2 = policy(images)
>>> print(policy)  # what it does, in full
view_1
  RandomResizedCrop(size=(32, 32), area=(0.08, 1), ...

Every random number is drawn for each image by itself. All policies work on images
with any number of channels. Of other numbers than three the operations that need
colour (saturation, hue, gray, RandAugment) are left out, with a warning unless it is
one; crops and flips, brightness, contrast, blur and solarisation treat every channel
alike. `size` is the side of the views, or `(height, width)`; an operation with
probability 0 does not appear in the policy. Write one of your own with
`kc.layers.Views`.
"""

from keras_cv.layers import RandAugment

from keras_contrastive.gallery import gallery
from keras_contrastive.layers.random_augmentation import check_probability
from keras_contrastive.layers.random_color_jitter import RandomColorJitter
from keras_contrastive.layers.random_gaussian_blur import RandomGaussianBlur
from keras_contrastive.layers.random_grayscale import RandomGrayscale
from keras_contrastive.layers.random_resized_crop import RandomResizedCrop
from keras_contrastive.layers.random_solarize import RandomSolarize
from keras_contrastive.layers.resize_and_center_crop import ResizeAndCenterCrop
from keras_contrastive.layers.views import Views

__all__ = [
    "amdim",
    "byol",
    "cmc",
    "dino",
    "cpc",
    "dim",
    "evaluation",
    "gallery",
    "infomin",
    "instance_discrimination",
    "lejepa",
    "moco_v1",
    "moco_v2",
    "multi_crop",
    "pirl",
    "sce",
    "simclr",
    "supcon",
    "swav",
]


def simclr(size, strength=1.0, blur=0.5, area=(0.08, 1.0), seed=None) -> Views:
    """Return the policy of SimCLR: two views of the same distribution.

    Crop and flip; colour jitter (0.8, 0.8, 0.8, 0.2) times `strength` with
    probability 0.8; gray 0.2; blur. For CIFAR the authors use `strength=0.5` and
    `blur=0.0`. They crop with bicubic interpolation, here it is bilinear.

    Args:
        size: Side of the views in pixels, or `(height, width)`.
        strength: Factor on the strength of the colour jitter, >= 0.
        blur: Probability of the Gaussian blur.
        area: Range of the crop's share of the image area.
        seed: Integer seed of the policy's own generator; see `kc.layers.Views`.

    Returns:
        A `kc.layers.Views` layer with two views.

    Raises:
        ValueError: If a probability, a strength or a range is impossible.

    Example:
    >>> view_1, view_2 = kc.augmentations.simclr(32)(np.full((4, 32, 32, 3), 9))

    Reference:
        Chen et al., 2020, appendix A (https://arxiv.org/abs/2002.05709);
        https://github.com/google-research/simclr.
    """
    branch = [RandomResizedCrop(size, area), *_color(strength), *_blur(blur)]
    return Views([branch, branch], seed=seed, name="simclr")


def supcon(size, rand_augment=None, area=(0.2, 1.0), seed=None) -> Views:
    """Return the policy of SupCon for CIFAR: two views of the same distribution.

    Crop and flip; colour jitter (0.4, 0.4, 0.4, 0.1) with probability 0.8; gray 0.2;
    no blur.

    Args:
        size: Side of the views in pixels, or `(height, width)`.
        rand_augment: A layer that takes the place of jitter and gray, such as
            `keras_cv.layers.RandAugment(value_range=(0, 255))`: the paper's best
            ImageNet results use learnt policies. It is slower than our layers, does
            not repeat for a given seed, and needs three channels.
        area: Range of the crop's share of the image area.
        seed: Integer seed of the policy's own generator; see `kc.layers.Views`.

    Returns:
        A `kc.layers.Views` layer with two views.

    Raises:
        ValueError: If a range is impossible.

    Example:
    >>> view_1, view_2 = kc.augmentations.supcon(32)(np.full((4, 32, 32, 3), 9))

    Reference:
        Khosla et al., 2020 (https://arxiv.org/abs/2004.11362);
        https://github.com/HobbitLong/SupContrast.
    """
    color = _color(0.5) if rand_augment is None else [rand_augment]
    branch = [RandomResizedCrop(size, area), *color]
    return Views([branch, branch], seed=seed, name="supcon")


def byol(
    size, blur=(1.0, 0.1), solarize=(0.0, 0.2), area=(0.08, 1.0), seed=None
) -> Views:
    """Return the policy of BYOL: two different views, view_1 always blurred.

    Crop and flip; colour jitter (0.4, 0.4, 0.2, 0.1) with probability 0.8, where
    brightness is added, not multiplied; gray 0.2; blur with probability 1.0 and 0.1;
    solarisation with probability 0.0 and 0.2. Small images are commonly not blurred:
    `blur=(0.0, 0.0)`.

    Args:
        size: Side of the views in pixels, or `(height, width)`.
        blur: Probability of the Gaussian blur for view_1 and view_2.
        solarize: Probability of the solarisation for view_1 and view_2.
        area: Range of the crop's share of the image area.
        seed: Integer seed of the policy's own generator; see `kc.layers.Views`.

    Returns:
        A `kc.layers.Views` layer with two views.

    Raises:
        ValueError: If a probability or a range is impossible.

    Example:
    >>> view_1, view_2 = kc.augmentations.byol(32)(np.full((4, 32, 32, 3), 9))

    Reference:
        Grill et al., 2020, appendix B (https://arxiv.org/abs/2006.07733);
        https://github.com/google-deepmind/deepmind-research/tree/master/byol.
    """
    color = [
        RandomColorJitter(0.4, 0.4, 0.2, 0.1, additive_brightness=True),
        RandomGrayscale(0.2),
    ]
    branches = [
        [RandomResizedCrop(size, area), *color, *_blur(blur[i]), *_solarize(p)]
        for i, p in enumerate(solarize)
    ]
    return Views(branches, seed=seed, name="byol")


def moco_v1(size, area=(0.2, 1.0), seed=None) -> Views:
    """Return the policy of MoCo v1: two views of the same distribution.

    Crop and flip; gray 0.2; then colour jitter (0.4, 0.4, 0.4, 0.4), always; no blur.

    Args:
        size: Side of the views in pixels, or `(height, width)`.
        area: Range of the crop's share of the image area.
        seed: Integer seed of the policy's own generator; see `kc.layers.Views`.

    Returns:
        A `kc.layers.Views` layer with two views.

    Raises:
        ValueError: If a range is impossible.

    Example:
    >>> view_1, view_2 = kc.augmentations.moco_v1(32)(np.full((4, 32, 32, 3), 9))

    Reference:
        He et al., 2020 (https://arxiv.org/abs/1911.05722);
        https://github.com/facebookresearch/moco.
    """
    branch = [RandomResizedCrop(size, area), *_first_colors()]
    return Views([branch, branch], seed=seed, name="moco_v1")


def instance_discrimination(size, area=(0.2, 1.0), seed=None) -> Views:
    """Return the policy of instance discrimination: one view, that of `moco_v1`.

    Args:
        size: Side of the view in pixels, or `(height, width)`.
        area: Range of the crop's share of the image area.
        seed: Integer seed of the policy's own generator; see `kc.layers.Views`.

    Returns:
        A `kc.layers.Views` layer with one view.

    Raises:
        ValueError: If a range is impossible.

    Example:
    >>> policy = kc.augmentations.instance_discrimination(32)
    >>> (view,) = policy(np.full((4, 32, 32, 3), 9))

    Reference:
        Wu et al., 2018 (https://arxiv.org/abs/1805.01978).
    """
    branch = [RandomResizedCrop(size, area), *_first_colors()]
    return Views([branch], seed=seed, name="instance_discrimination")


def cpc(size, area=(0.08, 1.0), seed=None) -> Views:
    """Return the policy of CPC: one view, cut into patches by the encoder.

    Crop and flip; gray 0.2, then colour jitter (0.4, 0.4, 0.4, 0.4), as in `moco_v1`.
    Version 2 changes each patch by itself and drops some of its colours; here all
    patches of an image share one change of colour.

    Args:
        size: Side of the view in pixels, or `(height, width)`.
        area: Range of the crop's share of the image area.
        seed: Integer seed of the policy's own generator; see `kc.layers.Views`.

    Returns:
        A `kc.layers.Views` layer with one view.

    Raises:
        ValueError: If a range is impossible.

    Example:
    >>> policy = kc.augmentations.cpc(32)
    >>> (view,) = policy(np.full((4, 32, 32, 3), 9))

    Reference:
        Henaff et al., 2019 (https://arxiv.org/abs/1905.09272).
    """
    branch = [RandomResizedCrop(size, area), *_first_colors()]
    return Views([branch], seed=seed, name="cpc")


def dim(size, area=(0.4, 1.0), seed=None) -> Views:
    """Return the policy of DIM: one view, crop and flip alone.

    The authors change no image of CIFAR, and flip those of STL-10.

    Args:
        size: Side of the view in pixels, or `(height, width)`.
        area: Range of the crop's share of the image area.
        seed: Integer seed of the policy's own generator; see `kc.layers.Views`.

    Returns:
        A `kc.layers.Views` layer with one view.

    Raises:
        ValueError: If a range is impossible.

    Example:
    >>> (view,) = kc.augmentations.dim(32)(np.full((4, 32, 32, 3), 9))

    Reference:
        Hjelm et al., 2019 (https://arxiv.org/abs/1808.06670);
        https://github.com/rdevon/DIM.
    """
    return Views([[RandomResizedCrop(size, area)]], seed=seed, name="dim")


def amdim(size, area=(0.3, 1.0), hue=0.2, seed=None) -> Views:
    """Return the policy of AMDIM: two views of the same distribution.

    Crop with an aspect ratio of 0.7 to 1.4 and flip; colour jitter (0.4, 0.4, 0.4, hue)
    with probability 0.8; gray 0.25. The authors flip both views of an image or none,
    here each is flipped by itself. They do not crop CIFAR but shift it, by up to 4
    pixels with probability 0.8, with its mirror image behind the border; a small
    change as that is `area=(0.75, 1.0)`. They crop with bicubic interpolation, here it
    is bilinear.

    Args:
        size: Side of the views in pixels, or `(height, width)`.
        area: Range of the crop's share of the image area.
        hue: Strength of the hue in the colour jitter: 0.2, and for ImageNet 0.1.
        seed: Integer seed of the policy's own generator; see `kc.layers.Views`.

    Returns:
        A `kc.layers.Views` layer with two views.

    Raises:
        ValueError: If a strength or a range is impossible.

    Example:
    >>> view_1, view_2 = kc.augmentations.amdim(32)(np.full((4, 32, 32, 3), 9))

    Reference:
        Bachman et al., 2019 (https://arxiv.org/abs/1906.00910);
        https://github.com/Philip-Bachman/amdim-public.
    """
    crop = RandomResizedCrop(size, area, aspect_ratio=(0.7, 1.4))
    color = [RandomColorJitter(0.4, 0.4, 0.4, hue), RandomGrayscale(0.25)]
    return Views([[crop, *color]] * 2, seed=seed, name="amdim")


def moco_v2(size, blur=0.5, area=(0.2, 1.0), seed=None) -> Views:
    """Return the policy of MoCo v2: two views of the same distribution.

    Crop and flip; colour jitter (0.4, 0.4, 0.4, 0.1) with probability 0.8; gray 0.2;
    blur 0.5. SimSiam uses it too, without blur for CIFAR.

    Args:
        size: Side of the views in pixels, or `(height, width)`.
        blur: Probability of the Gaussian blur.
        area: Range of the crop's share of the image area.
        seed: Integer seed of the policy's own generator; see `kc.layers.Views`.

    Returns:
        A `kc.layers.Views` layer with two views.

    Raises:
        ValueError: If a probability or a range is impossible.

    Example:
    >>> view_1, view_2 = kc.augmentations.moco_v2(32)(np.full((4, 32, 32, 3), 9))

    Reference:
        Chen et al., 2020 (https://arxiv.org/abs/2003.04297);
        https://github.com/facebookresearch/moco.
    """
    branch = [RandomResizedCrop(size, area), *_color(0.5), *_blur(blur)]
    return Views([branch, branch], seed=seed, name="moco_v2")


def sce(size, blur=0.5, area=(0.2, 1.0), seed=None) -> Views:
    """Return the policy of SCE for CIFAR: view_1 weak, view_2 strong.

    view_1, for the target: crop and flip, nothing else. view_2, for the online
    network: also colour jitter (0.4, 0.4, 0.4, 0.1) with probability 0.8, gray 0.2,
    blur 0.5. For ImageNet the authors use the policy of BYOL: `byol(224,
    area=(0.2, 1.0))`.

    Args:
        size: Side of the views in pixels, or `(height, width)`.
        blur: Probability of the Gaussian blur in view_2.
        area: Range of the crop's share of the image area.
        seed: Integer seed of the policy's own generator; see `kc.layers.Views`.

    Returns:
        A `kc.layers.Views` layer with two views.

    Raises:
        ValueError: If a probability or a range is impossible.

    Example:
    >>> weak, strong = kc.augmentations.sce(32)(np.full((4, 32, 32, 3), 9))

    Reference:
        Denize et al., 2021 (https://arxiv.org/abs/2111.14585).
    """
    crop = RandomResizedCrop(size, area)
    branches = [[crop], [crop, *_color(0.5), *_blur(blur)]]
    return Views(branches, seed=seed, name="sce")


def multi_crop(
    sizes=(224, 96),
    counts=(2, 6),
    areas=((0.14, 1.0), (0.05, 0.14)),
    strength=1.0,
    blur=0.5,
    seed=None,
) -> Views:
    """Return a multi-crop policy: some large views, then more small ones.

    The default is SwAV's: 2 views of 224 pixels and 6 of 96, with SimCLR's colours.
    The crops of SCE are

        multi_crop(
            sizes=(224, 192, 160, 128, 96),
            counts=(2, 1, 1, 1, 1),
            areas=((0.2, 1.0), (0.172, 0.86), (0.143, 0.715),
                   (0.114, 0.571), (0.086, 0.429)),
            strength=0.5,
        )

    Args:
        sizes: Side of the views of each group in pixels, or `(height, width)`.
        counts: Number of views in each group.
        areas: Range of the crop's share of the image area for each group.
        strength: Factor on SimCLR's colour jitter (0.8, 0.8, 0.8, 0.2).
        blur: Probability of the Gaussian blur.
        seed: Integer seed of the policy's own generator; see `kc.layers.Views`.

    Returns:
        A `kc.layers.Views` layer with `sum(counts)` views, in the order of `sizes`.

    Raises:
        ValueError: If the three lists differ in length, or if a probability, a
            strength or a range is impossible.

    Example:
    >>> policy = kc.augmentations.multi_crop(sizes=(32, 16), counts=(2, 4))
    >>> len(policy(np.full((4, 32, 32, 3), 9)))
    6

    Reference:
        Caron et al., SwAV, 2020 (https://arxiv.org/abs/2006.09882);
        Denize et al., SCE, 2021 (https://arxiv.org/abs/2111.14585).
    """
    if not len(sizes) == len(counts) == len(areas):
        raise ValueError(
            "`sizes`, `counts` and `areas` must have one entry for each group of "
            f"views. Received: sizes={sizes!r}, counts={counts!r}, areas={areas!r}"
        )
    color = [*_color(strength), *_blur(blur)]
    return _crops(sizes, counts, areas, color, seed=seed, name="multi_crop")


def dino(
    size,
    local_size=96,
    local_views=8,
    area=(0.4, 1.0),
    local_area=(0.05, 0.4),
    blur=(1.0, 0.1, 0.5),
    solarize=(0.0, 0.2),
    seed=None,
) -> Views:
    """Return the policy of DINO: two large views, then small ones.

    Crop and flip; colour jitter (0.4, 0.4, 0.2, 0.1) with probability 0.8; gray 0.2;
    blur with probability 1.0 and 0.1, small views 0.5; solarisation with probability
    0.2 in view_2. The authors take `area=(0.14, 1.0)` and `local_area=(0.05, 0.14)`
    for ResNets, and `area=(0.14, 1.0)` without small views, `local_views=0`.

    Args:
        size: Side of the large views in pixels, or `(height, width)`.
        local_size: Side of the small views; 96 beside large ones of 224.
        local_views: Number of small views.
        area: Range of the crop's share of the image area, for large views.
        local_area: The same for small views.
        blur: Probability of the Gaussian blur for view_1, view_2 and small views.
        solarize: Probability of the solarisation for view_1 and view_2.
        seed: Integer seed of the policy's own generator; see `kc.layers.Views`.

    Returns:
        A `kc.layers.Views` layer with `2 + local_views` views.

    Raises:
        ValueError: If a probability or a range is impossible.

    Example:
    >>> policy = kc.augmentations.dino(32, local_size=16, local_views=4)
    >>> large_1, large_2, *small = policy(np.full((4, 32, 32, 3), 9))
    >>> len(small)
    4

    Reference:
        Caron et al., 2021 (https://arxiv.org/abs/2104.14294);
        https://github.com/facebookresearch/dino.
    """
    color = [RandomColorJitter(0.4, 0.4, 0.2, 0.1), RandomGrayscale(0.2)]
    branches = [
        [RandomResizedCrop(size, area), *color, *_blur(blur[i]), *_solarize(p)]
        for i, p in enumerate(solarize)
    ]
    local = [RandomResizedCrop(local_size, local_area), *color, *_blur(blur[2])]
    return Views([*branches, *[local] * local_views], seed=seed, name="dino")


def lejepa(
    size,
    local_size=None,
    global_views=2,
    local_views=6,
    area=(0.3, 1.0),
    local_area=(0.05, 0.3),
    jitter=(0.4, 0.4, 0.2, 0.1),
    blur=0.5,
    solarize=0.2,
    seed=None,
) -> Views:
    """Return the policy of LeJEPA and VISReg: global views, then smaller local ones.

    Crop and flip; colour jitter with probability 0.8; gray 0.2; blur; solarisation.
    Global and local views differ in their crops alone. For small data sets both use
    four global views with `area=(0.08, 1.0)` and `jitter=(0.8, 0.8, 0.8, 0.2)`.

    Args:
        size: Side of the global views in pixels, or `(height, width)`.
        local_size: The same for the local views; by default 98 / 224 of `size`.
        global_views: Number of global views.
        local_views: Number of local views.
        area: Range of a global crop's share of the image area.
        local_area: The same for the local views.
        jitter: Strength of brightness, contrast, saturation and hue.
        blur: Probability of the Gaussian blur.
        solarize: Probability of the solarisation.
        seed: Integer seed of the policy's own generator; see `kc.layers.Views`.

    Returns:
        A `kc.layers.Views` layer: the global views, then the local ones.

    Raises:
        ValueError: If a probability, a strength or a range is impossible.

    Example:
    >>> views = kc.augmentations.lejepa(32)(np.full((4, 32, 32, 3), 9))
    >>> [view.shape[1] for view in views]
    [32, 32, 14, 14, 14, 14, 14, 14]

    Reference:
        Balestriero and LeCun, 2025 (https://arxiv.org/abs/2511.08544);
        https://github.com/rbalestr-lab/lejepa; https://github.com/HaiyuWu/visreg.
    """
    color = [
        RandomColorJitter(*jitter),
        RandomGrayscale(0.2),
        *_blur(blur),
        *_solarize(solarize),
    ]
    sizes = size, local_size or _share(size, 98 / 224)
    counts, areas = (global_views, local_views), (area, local_area)
    return _crops(sizes, counts, areas, color, seed=seed, name="lejepa")


def swav(
    size,
    local_size=None,
    local_views=6,
    area=(0.14, 1.0),
    local_area=(0.05, 0.14),
    blur=0.5,
    seed=None,
) -> Views:
    """Return the policy of SwAV: two large views, then small ones.

    Crop and flip; colour jitter (0.8, 0.8, 0.8, 0.2) with probability 0.8; gray 0.2;
    blur. Without small views, `local_views=0`, the authors take `area=(0.08, 1.0)`,
    which is `simclr`.

    Args:
        size: Side of the large views in pixels, or `(height, width)`.
        local_size: The same for the small views; by default 96 / 224 of `size`.
        local_views: Number of small views.
        area: Range of a large crop's share of the image area.
        local_area: The same for the small views.
        blur: Probability of the Gaussian blur.
        seed: Integer seed of the policy's own generator; see `kc.layers.Views`.

    Returns:
        A `kc.layers.Views` layer with `2 + local_views` views.

    Raises:
        ValueError: If a probability or a range is impossible.

    Example:
    >>> views = kc.augmentations.swav(28, local_views=2)(np.full((4, 28, 28, 3), 9))
    >>> [view.shape[1] for view in views]
    [28, 28, 12, 12]

    Reference:
        Caron et al., 2020 (https://arxiv.org/abs/2006.09882);
        https://github.com/facebookresearch/swav.
    """
    sizes = size, local_size or _share(size, 96 / 224)
    counts, areas, color = (2, local_views), (area, local_area), _color(1.0)
    return _crops(sizes, counts, areas, [*color, *_blur(blur)], seed=seed, name="swav")


def cmc(size, strength=0.5, area=(0.2, 1.0), seed=None) -> Views:
    """Return the policy of CMC: one view of each image, in colour.

    Crop and flip; colour jitter (0.8, 0.8, 0.8, 0.2) times `strength` with probability
    0.8. No image becomes gray: the model splits each into lightness and colour.

    Args:
        size: Side of the view in pixels, or `(height, width)`.
        strength: Factor on the strength of the colour jitter, >= 0; 0 leaves it out.
        area: Range of the crop's share of the image area.
        seed: Integer seed of the policy's own generator; see `kc.layers.Views`.

    Returns:
        A `kc.layers.Views` layer with one view.

    Raises:
        ValueError: If a strength or a range is impossible.

    Example:
    >>> (view,) = kc.augmentations.cmc(32)(np.full((4, 32, 32, 3), 9))

    Reference:
        Tian et al., 2020 (https://arxiv.org/abs/1906.05849);
        https://github.com/HobbitLong/PyContrast.
    """
    jitter = _color(strength)[:1] if strength else []
    return Views([[RandomResizedCrop(size, area), *jitter]], seed=seed, name="cmc")


def pirl(
    size, jigsaw_size=None, area=(0.2, 1.0), jigsaw_area=(0.6, 1.0), seed=None
) -> Views:
    """Return the policy of PIRL: a view, and a larger one for the jigsaw puzzle.

    Both are cropped and flipped; gray 0.2, colour jitter of 0.4 each, always. The
    authors jitter the patches one by one, here it is the view that they are cut from.

    Args:
        size: Side of the view in pixels, or `(height, width)`.
        jigsaw_size: The same for the puzzle; by default 255 / 224 of `size`.
        area: Range of the crop's share of the image area.
        jigsaw_area: The same for the puzzle.
        seed: Integer seed of the policy's own generator; see `kc.layers.Views`.

    Returns:
        A `kc.layers.Views` layer with two views.

    Raises:
        ValueError: If a range is impossible.

    Example:
    >>> image, puzzle = kc.augmentations.pirl(32)(np.full((4, 32, 32, 3), 9))
    >>> puzzle.shape
    TensorShape([4, 36, 36, 3])

    Reference:
        Misra and van der Maaten, 2020 (https://arxiv.org/abs/1912.01991);
        https://github.com/HobbitLong/PyContrast.
    """
    sizes = size, jigsaw_size or _share(size, 255 / 224)
    areas = area, jigsaw_area
    return _crops(sizes, (1, 1), areas, _first_colors(), seed=seed, name="pirl")


def infomin(
    size,
    jigsaw_size=None,
    jigsaw_views=0,
    blur=0.5,
    area=(0.2, 1.0),
    jigsaw_area=(0.6, 1.0),
    rand_augment=None,
    seed=None,
) -> Views:
    """Return the policy of InfoMin: two strong views, and one for a jigsaw puzzle.

    Crop and flip; colour jitter (0.8, 0.8, 0.8, 0.2) with probability 0.8; blur;
    RandAugment of two operations; gray 0.2. The authors found that views should share
    as little information as the task allows.

    Args:
        size: Side of the views in pixels, or `(height, width)`.
        jigsaw_size: The same for the puzzle; by default 255 / 224 of `size`.
        jigsaw_views: Number of views for puzzles: 1 for `kc.MoCo(jigsaw_weight=0.5)`.
        blur: Probability of the Gaussian blur.
        area: Range of the crop's share of the image area.
        jigsaw_area: The same for the puzzle.
        rand_augment: A layer; by default keras-cv's RandAugment with two operations of
            magnitude 1.0 +- 0.05. It draws from a generator of its own, so its views do
            not repeat for a given seed, it is slower than our layers, and it needs
            three channels. To leave it out give `keras.layers.Identity()`.
        seed: Integer seed of the policy's own generator; see `kc.layers.Views`.

    Returns:
        A `kc.layers.Views` layer with two views, or with more.

    Raises:
        ValueError: If a probability or a range is impossible.

    Example:
    >>> view_1, view_2 = kc.augmentations.infomin(32)(np.full((4, 32, 32, 3), 9))

    Reference:
        Tian et al., 2020, section 4.2 (https://arxiv.org/abs/2005.10243);
        https://github.com/HobbitLong/PyContrast.
    """
    if rand_augment is None:
        rand_augment = RandAugment((0, 255), 2, magnitude=1.0, magnitude_stddev=0.05)
    jitter, gray = _color(1.0)
    color = [jitter, *_blur(blur), rand_augment, gray]
    sizes = size, jigsaw_size or _share(size, 255 / 224)
    counts, areas = (2, jigsaw_views), (area, jigsaw_area)
    return _crops(sizes, counts, areas, color, seed=seed, name="infomin")


def evaluation(size, crop_fraction=1.0) -> ResizeAndCenterCrop:
    """Return the layer that prepares images for evaluation: images -> images.

    Images that have `size` pass unchanged; of others the largest centred part with the
    aspect ratio of `size` is resized, as in loaders and serving. Nothing is random.

    Args:
        size: Side of the result in pixels, or `(height, width)`.
        crop_fraction: Share of the sides of that part which is kept; 0.875 is the
            224 / 256 of ImageNet.

    Returns:
        A `kc.layers.ResizeAndCenterCrop` layer.

    Raises:
        ValueError: If `size` or `crop_fraction` is impossible.

    Example:
    >>> kc.augmentations.evaluation(32)(np.zeros((4, 50, 40, 3), "uint8")).shape
    TensorShape([4, 32, 32, 3])
    """
    return ResizeAndCenterCrop(size, crop_fraction, name="evaluation")


def _crops(sizes, counts, areas, color, **kwargs):
    """Groups of views that differ in their crops alone."""
    branches = []
    for size, count, area in zip(sizes, counts, areas, strict=True):
        branches += [[RandomResizedCrop(size, area), *color]] * count
    return Views(branches, **kwargs)


def _share(size, share):
    """A share of an image's side, or of both."""
    if isinstance(size, int):
        return round(size * share)
    return tuple(round(side * share) for side in size)


def _first_colors():
    jitter = RandomColorJitter(0.4, 0.4, 0.4, 0.4, probability=1.0)
    return [RandomGrayscale(0.2), jitter]


def _color(strength):
    s = 0.8 * strength
    return [RandomColorJitter(s, s, s, 0.2 * strength), RandomGrayscale(0.2)]


def _blur(probability):
    if check_probability(probability, "blur") == 0:
        return []
    return [RandomGaussianBlur(probability=probability)]


def _solarize(probability):
    if check_probability(probability, "solarize") == 0:
        return []
    return [RandomSolarize(probability=probability)]

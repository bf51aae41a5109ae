"""An encoder judged without labels."""

import numpy as np

from keras_contrastive.checks import check_count
from keras_contrastive.data import views_from_arrays
from keras_contrastive.data.array_checks import checked_images
from keras_contrastive.encoder_checks import check_encoder
from keras_contrastive.evaluation.features import extract_features
from keras_contrastive.evaluation.geometry import (
    alignment,
    effective_rank,
    lidar,
    normalized,
    rankme,
    uniformity,
)
from keras_contrastive.evaluation.judgement import Judgement
from keras_contrastive.image_io import resize_and_center_crop
from keras_contrastive.k_means import k_means


def judge(
    encoder,
    images,
    policy,
    num_images: int = 2_000,
    num_views: int = 10,
    num_clusters: int = 10,
    seed: int = 0,
) -> Judgement:
    """Measure what tells good features from bad ones without any label.

    The ranks, the uniformity, the clusters and the spread are those of the images
    themselves; LiDAR and the alignment ask what a view changes. All grow or fall with
    the number of images and of features, so compare encoders of one feature size, on
    the same images, by the same policy.

    Args:
        encoder: A functional `keras.Model` from images to features `(batch, dim)`, or a
            `ContrastiveModel`, whose `encoder` is used.
        images: Array `(n, height, width, channels)` in [0, 255]. Images of another size
            than the encoder's are cut and resized as in evaluation.
        policy: A layer of `kc.augmentations` whose views the encoder takes. The one
            that a network was trained with favours it: take one for all.
        num_images: At most so many images, drawn at random. LiDAR wants more than
            features.
        num_views: Views of each image for LiDAR, 2 or more; of the policy's first size,
            its views of that size in turn.
        num_clusters: K of the clusters.
        seed: Of images, views and clusters: the same seed, the same numbers.

    Returns:
        A `Judgement`. Times: a forward pass of `num_images * (num_views + 1)` images.

    Raises:
        ImportError: scikit-learn is missing.
        TypeError: `encoder` is no model, or `policy` is no augmentation.
        ValueError: Images of a wrong shape or range, fewer of them than clusters,
            views that the encoder does not take, a count below 1, or one view.

    Example:
    >>> encoder = kc.from_preset("simclr_resnet10_fashion_mnist")
    >>> (images, _), _ = kc.data.load_sample()
    >>> policy = kc.augmentations.simclr(28, blur=0.0)
    >>> found = kc.evaluation.judge(encoder, images, policy, num_images=64, num_views=2)
    >>> found.num_images, found.dim
    (64, 192)

    References:
        - [Garrido et al., 2023 (RankMe)](https://arxiv.org/abs/2210.02885)
        - [Thilak et al., 2024 (LiDAR)](https://arxiv.org/abs/2312.04000)
        - [Wang and Isola, 2020](https://arxiv.org/abs/2005.10242)
        - [Rousseeuw, 1987](https://doi.org/10.1016/0377-0427(87)90125-7), silhouettes
    """
    encoder = getattr(encoder, "encoder", encoder)
    check_encoder(encoder)
    for name, value in (
        ("num_images", num_images),
        ("num_views", num_views),
        ("num_clusters", num_clusters),
    ):
        check_count(name, value)
    if num_views < 2:
        raise ValueError(f"`num_views` must be 2 or more. Received: {num_views}")
    if policy is None:
        raise TypeError(
            "`policy` must make views, as keras_contrastive.augmentations.simclr(size) "
            "does. Received: None"
        )
    images = checked_images(images, None)
    rows = np.random.default_rng(seed).permutation(len(images))[:num_images]
    images = images[np.sort(rows)]
    if not 1 < num_clusters < len(images):
        raise ValueError(
            "`num_clusters` must be 2 or more, and fewer than the images. Received: "
            f"num_clusters={num_clusters}, {len(images)} images"
        )
    features = extract_features(encoder, _fitted(images, encoder)).astype("float64")
    views = _features_of_views(encoder, images, policy, num_views, seed)
    unit = normalized(features)
    return Judgement(
        effective_rank=effective_rank(features),
        rankme=rankme(features),
        lidar=lidar(views),
        alignment=alignment(views[:, 0], views[:, 1]),
        uniformity=uniformity(features),
        silhouette=_silhouette(unit, num_clusters, seed),
        spread=float(unit.std(axis=0).mean() * np.sqrt(unit.shape[1])),
        num_images=len(images),
        num_views=num_views,
        num_clusters=num_clusters,
        dim=features.shape[1],
    )


def _fitted(images, encoder):
    size = tuple(encoder.inputs[0].shape[1:3])
    return images if None in size else np.asarray(resize_and_center_crop(images, size))


def _features_of_views(encoder, images, policy, num_views, seed):
    """`(n, num_views, dim)`: in each pass one view, of other random numbers."""
    batches = views_from_arrays(
        images,
        augmentation=policy,
        batch_size=min(256, len(images)),
        shuffle=False,
        drop_remainder=False,
        seed=seed,
    )
    specs = batches.element_spec[0]
    alike = sum(spec.shape[1:] == specs[0].shape[1:] for spec in specs)
    passes = [
        extract_features(encoder, batches.map(lambda views, i=i: views[i % alike]))
        for i in range(num_views)
    ]
    return np.stack(passes, axis=1)


def _silhouette(unit, num_clusters, seed):
    from sklearn.metrics import silhouette_score

    if np.ptp(unit, axis=0).max() < 1e-6:
        return 0.0  # one point has no clusters
    _, clusters, _ = k_means(unit, num_clusters, seed)
    return float(silhouette_score(unit, clusters))

import keras
import numpy as np
import pytest

import keras_contrastive as kc
from keras_contrastive import evaluation


@pytest.fixture(scope="module")
def photos():
    """Forty images of 6 x 6 pixels in four groups that look alike."""
    rng = np.random.default_rng(0)
    groups = rng.integers(30, 220, (4, 6, 6, 3)).repeat(10, axis=0)
    return np.clip(groups + rng.normal(0, 10, groups.shape), 0, 255).astype("uint8")


@pytest.fixture(scope="module")
def policy():
    crop = [kc.layers.RandomResizedCrop(4)]
    return kc.layers.Views([crop, crop])


def pixels(size=4):
    return keras.Sequential([keras.Input((size, size, 3)), keras.layers.Flatten()])


def constant():
    layers = [keras.Input((4, 4, 3)), keras.layers.Rescaling(0.0, 1.0)]
    return keras.Sequential([*layers, keras.layers.Flatten()])


def test_numbers_are_those_of_the_functions(photos, policy):
    found = evaluation.judge(pixels(), photos, policy, num_views=4, num_clusters=4)
    middle = kc.augmentations.evaluation(4)(photos)
    features = np.reshape(middle, (40, -1))
    assert found.effective_rank == pytest.approx(evaluation.effective_rank(features))
    assert found.rankme == pytest.approx(evaluation.rankme(features))
    assert found.uniformity == pytest.approx(evaluation.uniformity(features), rel=1e-6)
    batches = kc.data.views_from_arrays(
        photos, augmentation=policy, batch_size=40, shuffle=False, seed=0
    )
    views = [next(iter(batches))[0] for _ in range(4)]  # of four epochs
    views = np.stack([np.reshape(v[i % 2], (40, -1)) for i, v in enumerate(views)], 1)
    assert found.lidar == pytest.approx(evaluation.lidar(views), rel=1e-6)
    by_hand = evaluation.alignment(views[:, 0], views[:, 1])
    assert found.alignment == pytest.approx(by_hand, rel=1e-6)
    assert found.silhouette > 0.5  # the four groups
    assert (found.num_images, found.num_views, found.dim) == (40, 4, 48)
    assert len(str(found).splitlines()) == 8


def test_collapse_shows(photos, policy):
    found = evaluation.judge(constant(), photos, policy, num_views=2)
    assert (found.spread, found.silhouette, found.lidar) == pytest.approx((0, 0, 0))
    assert found.effective_rank == pytest.approx(1) and found.uniformity == 0


def test_a_sample_of_the_images_and_one_seed(photos, policy):
    options = {"num_images": 20, "num_views": 2, "num_clusters": 3}
    model = kc.SimCLR(pixels(), kc.layers.ProjectionHead(4, hidden_units=8))
    found = evaluation.judge(model, photos, policy, **options)
    assert found.num_images == 20
    assert evaluation.judge(model.encoder, photos, policy, **options) == found
    assert evaluation.judge(model, photos, policy, **options, seed=1) != found


def test_views_of_one_size_take_turns(photos):
    """Of multi-crop the first size counts, and a policy may make one view."""
    large, small = [[kc.layers.RandomResizedCrop(size)] for size in (4, 3)]
    for branches in ([large, large, small], [large]):
        policy = kc.layers.Views(branches)
        found = evaluation.judge(pixels(), photos, policy, num_views=2)
        assert np.isfinite(found.lidar)


def test_bad_input(photos, policy):
    for options, match in (
        ({"num_views": 1}, "`num_views` must be 2 or more. Received: 1"),
        ({"num_images": 0}, "`num_images` must be a positive integer"),
        ({"num_clusters": 40}, "fewer than the images. Received: num_clusters=40, 40"),
    ):
        with pytest.raises(ValueError, match=match):
            evaluation.judge(pixels(), photos, policy, **options)
    with pytest.raises(TypeError, match="`policy` must make views.*Received: None"):
        evaluation.judge(pixels(), photos, None)
    with pytest.raises(ValueError, match="expects images of shape.*Received"):
        evaluation.judge(pixels(), photos, kc.augmentations.dim(5))
    with pytest.raises(ValueError, match="must have shape"):
        evaluation.judge(pixels(), photos[0], policy)

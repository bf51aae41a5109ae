import keras
import keras_cv
import numpy as np
import pytest
import tensorflow as tf

from keras_contrastive import augmentations
from keras_contrastive.layers import random_augmentation
from keras_contrastive.layers.views import Views

POLICIES = {
    "simclr": augmentations.simclr,
    "supcon": augmentations.supcon,
    "byol": augmentations.byol,
    "moco_v2": augmentations.moco_v2,
    "sce": augmentations.sce,
}


def images_of(channels=3, batch=4):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (batch, 20, 20, channels)).astype("uint8")


def operations(branch):
    """{layer name: config} of one branch."""
    return {type(layer).__name__: layer.get_config() for layer in branch}


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("channels", [1, 3])
def test_two_views_in_range(name, channels):
    policy = POLICIES[name](20)
    assert isinstance(policy, Views) and policy.name == name
    views = policy(images_of(channels))
    assert [view.shape for view in views] == [(4, 20, 20, channels)] * 2
    for view in views:
        assert 0 <= np.min(view) <= np.max(view) <= 255


def test_every_policy_takes_every_number_of_channels(monkeypatch):
    monkeypatch.setattr(random_augmentation, "_told", set())
    others = {"evaluation", "gallery", "multi_crop"}
    few = {"local_views": 0}
    small = {"dino": few, "swav": few, "lejepa": few}
    with pytest.warns(UserWarning, match="what needs red, green and blue") as told:
        for name in {*augmentations.__all__} - others:
            policy = getattr(augmentations, name)(12, **small.get(name, {}))
            views = policy(images_of(5, 2), seed=(0, 1))
            assert all(view.shape[-1] == 5 for view in views), name
            assert all(0 <= np.min(v) <= np.max(v) <= 255 for v in views), name
    assert len(told) == 1  # not for every policy
    assert augmentations.infomin(12)(images_of(1, 2))[0].shape == (2, 12, 12, 1)
    with pytest.raises(ValueError, match="uint16. Pass kc.data.to_255"):
        augmentations.simclr(12)(images_of().astype("uint16"))


@pytest.mark.parametrize("name", ["byol", "sce"])
def test_the_views_of_a_seed_do_not_depend_on_parallelism(name):
    policy = POLICIES[name](20)
    images = tf.constant(images_of())

    def stream(parallel):
        dataset = tf.data.Dataset.range(6)
        dataset = dataset.map(lambda i: policy(images, seed=tf.stack([0, i])), parallel)
        return np.array([np.stack(views) for views in dataset])

    serial, parallel = stream(None), stream(4)
    np.testing.assert_array_equal(serial, parallel)
    assert len(np.unique(serial.reshape(12, -1), axis=0)) == 12


def test_simclr_in_full():
    policy = augmentations.simclr(20, strength=0.5, blur=0.5)
    first, second = policy.branches
    assert operations(first) == operations(second)
    ops = operations(first)
    assert list(ops) == [
        "RandomResizedCrop",
        "RandomColorJitter",
        "RandomGrayscale",
        "RandomGaussianBlur",
    ]
    assert ops["RandomResizedCrop"]["area"] == (0.08, 1.0)
    assert ops["RandomResizedCrop"]["flip_probability"] == 0.5
    jitter = ops["RandomColorJitter"]
    strengths = [jitter[k] for k in ("brightness", "contrast", "saturation", "hue")]
    assert strengths == [0.4, 0.4, 0.4, 0.1]
    assert jitter["probability"] == 0.8
    assert ops["RandomGrayscale"]["probability"] == 0.2
    assert ops["RandomGaussianBlur"]["probability"] == 0.5
    assert "Blur" not in str(augmentations.simclr(20, blur=0.0))


def test_byol_always_blurs_view_1_and_solarises_view_2():
    first, second = map(operations, augmentations.byol(20).branches)
    assert first["RandomGaussianBlur"]["probability"] == 1.0
    assert second["RandomGaussianBlur"]["probability"] == 0.1
    assert "RandomSolarize" not in first
    assert second["RandomSolarize"]["probability"] == 0.2
    assert first["RandomColorJitter"]["additive_brightness"]
    assert first["RandomColorJitter"]["saturation"] == 0.2
    assert "Blur" not in str(augmentations.byol(20, blur=(0.0, 0.0)))


def test_the_weak_view_of_sce_comes_first():
    weak, strong = map(operations, augmentations.sce(20).branches)
    assert list(weak) == ["RandomResizedCrop"]
    assert strong["RandomResizedCrop"]["area"] == (0.2, 1.0)
    assert strong["RandomColorJitter"]["hue"] == 0.1
    assert strong["RandomGaussianBlur"]["probability"] == 0.5


def test_supcon_has_no_blur_and_takes_rand_augment():
    assert "Blur" not in str(augmentations.supcon(20))
    layer = keras_cv.layers.RandAugment(value_range=(0, 255))
    policy = augmentations.supcon(20, rand_augment=layer)
    views = policy(images_of(batch=2))
    assert [view.shape for view in views] == [(2, 20, 20, 3)] * 2
    assert "magnitude=0.5" in str(policy) and "Jitter" not in str(policy)
    copy = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(policy)
    )
    assert str(copy) == str(policy)


@pytest.mark.parametrize("policy", [augmentations.lejepa, augmentations.swav])
def test_small_views_of_images_that_are_not_square(policy):
    views = policy((56, 28), local_views=1)(np.full((1, 60, 60, 3), 9))
    share = {"lejepa": 98, "swav": 96}[policy.__name__]
    small = (round(56 * share / 224), round(28 * share / 224))
    assert [view.shape[1:3] for view in views] == [(56, 28), (56, 28), small]
    assert len(policy((56, 28), local_views=0).branches) == 2


def test_infomin_in_full():
    policy = augmentations.infomin(20, jigsaw_views=1)
    views = policy(images_of())
    assert [view.shape[1:3] for view in views] == [(20, 20), (20, 20), (23, 23)]
    names = list(operations(policy.branches[0]))
    assert names == [
        "RandomResizedCrop",
        "RandomColorJitter",
        "RandomGaussianBlur",
        "RandAugment",
        "RandomGrayscale",
    ]
    plain = augmentations.infomin(20, rand_augment=keras.layers.Identity())
    assert len(plain.branches) == 2 and "Identity" in operations(plain.branches[0])


def test_multi_crop():
    areas = ((0.14, 1.0), (0.05, 0.14))
    policy = augmentations.multi_crop((20, 12), (2, 3), areas)
    views = policy(images_of())
    assert [view.shape[1] for view in views] == [20, 20, 12, 12, 12]
    assert policy.branches[0][0].area == areas[0]
    assert policy.branches[4][0].area == areas[1]
    assert len(augmentations.multi_crop().branches) == 8
    with pytest.raises(ValueError, match=r"one entry for each group.*counts=\(2,\)"):
        augmentations.multi_crop((20, 12), (2,), areas)


def test_evaluation_is_one_tensor():
    layer = augmentations.evaluation(20)
    np.testing.assert_array_equal(layer(images_of()), images_of())
    assert augmentations.evaluation(16)(images_of()).shape == (4, 16, 16, 3)


@pytest.mark.parametrize(
    "make",
    [
        lambda: augmentations.simclr(20, blur=1.5),
        lambda: augmentations.byol(20, blur=(1.0, -0.1)),
        lambda: augmentations.byol(20, solarize=(0.0, 20)),
        lambda: augmentations.sce(20, blur=2),
    ],
)
def test_impossible_probabilities(make):
    with pytest.raises(ValueError, match=r"must be in \[0, 1\]. Received: (blur|sol)"):
        make()


def test_negative_strength():
    with pytest.raises(ValueError, match="Received: brightness=-0.8"):
        augmentations.simclr(20, strength=-1)


def test_dino_in_full():
    policy = augmentations.dino(20, local_size=8, local_views=3)
    first, second, *local = map(operations, policy.branches)
    assert len(local) == 3 and local[0] == local[1] == local[2]
    for ops, size, area, blur in (
        (first, (20, 20), (0.4, 1.0), 1.0),
        (second, (20, 20), (0.4, 1.0), 0.1),
        (local[0], (8, 8), (0.05, 0.4), 0.5),
    ):
        crop, jitter = ops["RandomResizedCrop"], ops["RandomColorJitter"]
        assert (tuple(crop["size"]), crop["area"]) == (size, area)
        strengths = [jitter[k] for k in ("brightness", "contrast", "saturation", "hue")]
        assert strengths == [0.4, 0.4, 0.2, 0.1] and not jitter["additive_brightness"]
        assert ops["RandomGaussianBlur"]["probability"] == blur
    assert second["RandomSolarize"]["probability"] == 0.2
    assert "RandomSolarize" not in {**first, **local[0]}
    views = policy(images_of())
    assert [view.shape[1] for view in views] == [20, 20, 8, 8, 8]
    assert np.abs(views[2] - views[3]).max() > 1

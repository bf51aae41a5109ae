import numpy as np
import pytest
import tensorflow as tf

from keras_contrastive import augmentations

PNG = b"\x89PNG\r\n"


def images_of(channels=3):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (5, 20, 20, channels)).astype("uint8")


@pytest.mark.parametrize("channels", [1, 3])
def test_images_with_a_policy(tmp_path, channels):
    policy = augmentations.sce(20)
    path = augmentations.gallery(
        images_of(channels), policy, tmp_path / "a.png", rows=3
    )
    assert path.read_bytes().startswith(PNG)


def test_datasets(tmp_path):
    policy = augmentations.sce(16)
    images = tf.data.Dataset.from_tensor_slices((images_of(), np.arange(5)))
    pair = (images_of(), images_of())
    views = tf.data.Dataset.from_tensors((pair, np.arange(5)))
    unlabelled = tf.data.Dataset.from_tensors((pair,))
    drawn = [
        augmentations.gallery(images, policy, tmp_path / "a.png", rows=2),
        augmentations.gallery(images.batch(2), policy, tmp_path / "b.png", rows=3),
        augmentations.gallery(views, path=tmp_path / "c.png"),
        augmentations.gallery(unlabelled, path=tmp_path / "d.png", rows=2),
    ]
    assert all(path.read_bytes().startswith(PNG) for path in drawn)


def test_a_full_disk_keeps_the_old_picture(tmp_path, room_for):
    (tmp_path / "a.png").write_bytes(b"old")
    with room_for(100), pytest.raises(OSError, match="a.png' needs .*Free space"):
        augmentations.gallery(images_of(), augmentations.sce(20), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_errors(tmp_path):
    with pytest.raises(ValueError, match="Images need a policy"):
        augmentations.gallery(images_of(), path=tmp_path / "a.png")
    with pytest.raises(ValueError, match="nothing to draw"):
        augmentations.gallery(
            images_of()[:0], augmentations.sce(20), tmp_path / "a.png"
        )

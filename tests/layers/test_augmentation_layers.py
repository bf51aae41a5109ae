"""What holds for every augmentation layer."""

import json

import keras
import keras_cv
import numpy as np
import pytest
import tensorflow as tf

from keras_contrastive.layers import random_augmentation
from keras_contrastive.layers.random_apply import RandomApply
from keras_contrastive.layers.random_augmentation import RandomAugmentation
from keras_contrastive.layers.random_color_jitter import RandomColorJitter
from keras_contrastive.layers.random_gaussian_blur import RandomGaussianBlur
from keras_contrastive.layers.random_grayscale import RandomGrayscale
from keras_contrastive.layers.random_resized_crop import RandomResizedCrop
from keras_contrastive.layers.random_solarize import RandomSolarize

SEED = (3, 4)
LAYERS = {
    "crop": lambda: RandomResizedCrop(20),
    "jitter": lambda: RandomColorJitter(),
    "additive": lambda: RandomColorJitter(0.4, 0.4, 0.2, 0.1, 0.7, True),
    "blur": lambda: RandomGaussianBlur(),
    "gray": lambda: RandomGrayscale(0.5),
    "solarize": lambda: RandomSolarize(probability=0.5),
    "apply": lambda: RandomApply(RandomColorJitter(), 0.5),
}


@pytest.fixture(params=LAYERS)
def layer(request):
    return LAYERS[request.param]()


def images_of(channels=3, dtype="uint8", batch=6):
    rng = np.random.default_rng(0)
    return tf.constant(rng.integers(0, 256, (batch, 20, 20, channels)), dtype)


def graph(layer, jit_compile=False):
    return tf.function(lambda x, s: layer.transform(x, s), jit_compile=jit_compile)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float16"])
def test_shape_dtype_and_range(layer, channels, dtype):
    images = images_of(channels, dtype)
    for out in (layer.transform(images, SEED), layer(images), layer(images.numpy())):
        assert out.dtype == "float32"
        assert out.shape == images.shape
        assert 0 <= np.min(out) <= np.max(out) <= 255


def test_all_white_and_black_images_stay_in_range(layer):
    for value in (0.0, 255.0):
        out = layer.transform(tf.fill((16, 20, 20, 3), value), SEED)
        assert 0 <= np.min(out) <= np.max(out) <= 255


def test_a_single_image_is_a_batch_of_one(layer):
    assert layer(images_of()[0]).shape == (20, 20, 3)


def test_the_seed_decides(layer):
    images = images_of(batch=16)
    first, again = layer.transform(images, SEED), layer.transform(images, SEED)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, layer.transform(images, (3, 5)))


def test_every_image_has_its_own_draw(layer):
    same = tf.repeat(images_of(batch=1), 32, axis=0)
    out = layer.transform(same, SEED).numpy().reshape(32, -1)
    assert len(np.unique(out, axis=0)) > 1


def test_uint8_and_float_agree(layer):
    np.testing.assert_allclose(
        layer.transform(images_of(dtype="uint8"), SEED),
        layer.transform(images_of(dtype="float32"), SEED),
        atol=1e-3,
    )


@pytest.mark.parametrize("channels", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_eager_graph_data_and_jit_agree(layer, channels):
    images = images_of(channels)
    expected = layer.transform(images, SEED)
    np.testing.assert_allclose(graph(layer)(images, SEED), expected, atol=1e-2)
    jit = graph(layer, jit_compile=True)(images, SEED)
    np.testing.assert_allclose(jit, expected, atol=1e-2)
    dataset = tf.data.Dataset.from_tensors(images).map(lambda x: graph(layer)(x, SEED))
    np.testing.assert_allclose(next(iter(dataset)), expected, atol=1e-2)


def test_image_shapes_known_only_at_run_time(layer):
    if isinstance(layer, RandomGaussianBlur):
        layer = RandomGaussianBlur(kernel_size=3)
    images = images_of()
    spec = tf.TensorSpec((None, None, None, 3), "uint8")
    run = tf.function(lambda x: layer.transform(x, SEED), input_signature=[spec])
    np.testing.assert_allclose(run(images), layer.transform(images, SEED), atol=1e-2)


def test_parallel_maps_give_the_same_stream(layer):
    images = images_of()

    def stream(parallel):
        dataset = tf.data.Dataset.range(8).map(
            lambda i: layer.transform(images, tf.stack([7, i])),
            num_parallel_calls=parallel,
        )
        return np.stack(list(dataset))

    np.testing.assert_array_equal(stream(None), stream(4))


def test_its_own_generator_never_repeats_in_a_parallel_map(layer):
    images = images_of(batch=16)
    dataset = tf.data.Dataset.range(16).map(lambda _: layer(images), 8)
    first, second = (np.stack(list(dataset)).reshape(16, -1) for _ in range(2))
    assert len(np.unique(np.concatenate([first, second]), axis=0)) == 32


def test_the_layer_seed_fixes_its_calls():
    for seed in (0, 5):
        first, second = (RandomColorJitter(seed=seed) for _ in range(2))
        np.testing.assert_array_equal(first(images_of()), second(images_of()))


def test_set_random_seed_fixes_layers_without_a_seed(layer):
    config = layer.get_config()
    outputs = []
    for _ in range(2):
        keras.utils.set_random_seed(11)
        outputs.append(type(layer).from_config(config)(images_of()))
    np.testing.assert_array_equal(*outputs)


def test_config_round_trip(layer):
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    assert config["registered_name"] == f"keras_contrastive>{type(layer).__name__}"
    copy = keras.saving.deserialize_keras_object(config)
    assert copy.get_config() == layer.get_config()
    np.testing.assert_array_equal(
        copy.transform(images_of(), SEED), layer.transform(images_of(), SEED)
    )


def test_composes_with_keras_cv_and_keras(layer):
    flip = keras_cv.layers.RandomFlip()
    augmenter = keras_cv.layers.Augmenter([flip, layer])
    sequential = keras.Sequential([keras.Input((20, 20, 3)), layer, flip])
    dataset = tf.data.Dataset.from_tensors(images_of())
    for out in (
        augmenter(images_of()),
        sequential(images_of(dtype="float32")),
        next(iter(dataset.map(augmenter))),
    ):
        assert out.shape == (6, 20, 20, 3)


def test_dictionaries_keep_their_labels(layer):
    labels = tf.range(6, dtype="float32")
    out = layer({"images": images_of(), "labels": labels})
    assert out["images"].shape == (6, 20, 20, 3)
    np.testing.assert_array_equal(out["labels"], labels)


def test_float32_under_a_mixed_policy():
    keras.config.set_dtype_policy("mixed_float16")
    for make in LAYERS.values():
        assert make()(images_of()).dtype == "float32"


@pytest.mark.parametrize(
    "jit_compile", [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_work_inside_a_compiled_model(jit_compile):
    layers = [make() for make in LAYERS.values()]
    model = keras.Sequential([keras.Input((20, 20, 3)), *layers])
    model.compile(jit_compile=jit_compile)
    assert model.predict(images_of().numpy(), verbose=0).shape == (6, 20, 20, 3)


@pytest.mark.parametrize(
    "make",
    [
        lambda p: RandomResizedCrop(8, flip_probability=p),
        lambda p: RandomColorJitter(probability=p),
        lambda p: RandomGaussianBlur(probability=p),
        lambda p: RandomGrayscale(p),
        lambda p: RandomSolarize(probability=p),
        lambda p: RandomApply(RandomGrayscale(), p),
    ],
)
@pytest.mark.parametrize("value", [-0.1, 1.5, 80, float("nan")])
def test_impossible_probabilities(make, value):
    with pytest.raises(ValueError, match=r"in \[0, 1\]. Received: .*robability="):
        make(value)


def test_without_colours_each_channel_is_changed_alike(monkeypatch):
    """Saturation, hue and gray are left out, and this is said once."""
    monkeypatch.setattr(random_augmentation, "_told", set())
    jitter, gray = RandomColorJitter(probability=1.0), RandomGrayscale(1.0)
    for channels in (2, 13):
        images = images_of(channels)
        with pytest.warns(UserWarning, match=f"^Images of {channels} channels") as told:
            jittered = [jitter.transform(images, SEED) for _ in range(2)][0]
            np.testing.assert_array_equal(gray.transform(images, SEED), images)
        assert len(told) == 1 and "(saturation, hue, gray" in str(told[0].message)
        # One channel of them is changed as an image of this one alone.
        for one in (0, channels - 1):
            alone = jitter.transform(images[..., one : one + 1], SEED)
            np.testing.assert_allclose(jittered[..., one], alone[..., 0], atol=1e-3)
    unknown = tf.function(gray.transform).get_concrete_function
    with pytest.raises(ValueError, match="must know how many channels"):
        unknown(tf.TensorSpec((2, 8, 8, None)), SEED)


def test_subclasses_must_draw():
    with pytest.raises(NotImplementedError, match="must implement `draw`"):
        RandomAugmentation().transform(images_of(), SEED)

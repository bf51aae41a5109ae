import keras
import numpy as np
import pytest

import keras_contrastive as kc
from keras_contrastive.encoder_checks import check_encoder, unsynchronized_batch_norms
from keras_contrastive.encoders import (
    feature_maps,
    from_application,
    of_patches,
    resnet,
)
from keras_contrastive.layers.sync_batch_normalization import SyncBatchNormalization
from keras_contrastive.zoo import encoder_config


def images(n=2, size=32, channels=3):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (n, size, size, channels)).astype("uint8")


def trainable_params(model):
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


@pytest.mark.parametrize(
    "depth, params, dim",
    [
        (18, 11_176_512, 512),
        (34, 21_284_672, 512),
        (50, 23_508_032, 2048),
        (101, 42_500_160, 2048),
    ],
)
def test_imagenet_resnet_has_torchvisions_size(depth, params, dim):
    model = resnet(depth, stem="imagenet", input_shape=(None, None, 3))
    assert trainable_params(model) == params
    assert model.output_shape == (None, dim)


def test_imagenet_resnet_has_torchvisions_feature_maps():
    model = resnet(18, 8, stem="imagenet", input_shape=(65, 65, 3))
    sides = [
        model.get_layer(name).output.shape[1]
        for name in (
            "stem_relu",
            "stem_pool",
            "stage2_block1_relu2",
            "stage4_block2_relu2",
        )
    ]
    # floor((n + 2 pad - kernel) / 2) + 1 each time, from 65
    assert sides == [33, 17, 9, 3]


@pytest.mark.parametrize("depth", [18, 50])
def test_matches_torchvision(depth):
    torch = pytest.importorskip("torch")
    torchvision = pytest.importorskip("torchvision")
    theirs = getattr(torchvision.models, f"resnet{depth}")(weights=None).eval()
    theirs.fc = torch.nn.Identity()
    ours = resnet(depth, stem="imagenet", input_shape=(65, 65, 3))
    parts = {"stem_conv": theirs.conv1, "stem_bn": theirs.bn1}
    for stage in range(1, 5):
        for block, module in enumerate(getattr(theirs, f"layer{stage}"), start=1):
            prefix = f"stage{stage}_block{block}"
            for i in (1, 2, 3) if depth == 50 else (1, 2):
                parts[f"{prefix}_conv{i}"] = getattr(module, f"conv{i}")
                parts[f"{prefix}_bn{i}"] = getattr(module, f"bn{i}")
            if module.downsample is not None:
                parts[f"{prefix}_shortcut_conv"] = module.downsample[0]
                parts[f"{prefix}_shortcut_bn"] = module.downsample[1]
    for name, module in parts.items():
        state = {k: v.numpy() for k, v in module.state_dict().items()}
        if "conv" in name:
            weights = [state["weight"].transpose(2, 3, 1, 0)]
        else:
            keys = ("weight", "bias", "running_mean", "running_var")
            weights = [state[key] for key in keys]
        ours.get_layer(name).set_weights(weights)
    x = images(size=65)
    with torch.no_grad():
        expected = theirs(torch.tensor(x.transpose(0, 3, 1, 2) / 255.0).float()).numpy()
    assert np.abs(ours(x) - expected).max() <= 1e-4 * np.abs(expected).max()


def numpy_conv(x, kernel, stride):
    """Convolution of (h, w, c) with zeros of kernel // 2 on all four sides."""
    size = kernel.shape[0]
    pad = size // 2
    x = np.pad(x, ((pad, pad), (pad, pad), (0, 0)))
    side = (x.shape[0] - size) // stride + 1
    out = np.zeros((side, side, kernel.shape[-1]))
    for i in range(side):
        for j in range(side):
            patch = x[i * stride : i * stride + size, j * stride : j * stride + size]
            out[i, j] = np.tensordot(patch, kernel, 3)
    return out


@pytest.mark.parametrize("size", [8, 9])
def test_strided_block_against_numpy(size):
    model = resnet(18, 4, input_shape=(size, size, 3))
    block = keras.Model(
        model.get_layer("stage1_block2_relu2").output,
        model.get_layer("stage2_block1_relu2").output,
    )
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, size, size, 4)).astype("float32")
    kernel = {
        name: model.get_layer(f"stage2_block1_{name}").get_weights()[0]
        for name in ("conv1", "conv2", "shortcut_conv")
    }
    norm = 1 / np.sqrt(1 + 1e-5)  # a fresh batch norm in inference mode
    hidden = np.maximum(numpy_conv(x[0], kernel["conv1"], 2) * norm, 0)
    out = numpy_conv(hidden, kernel["conv2"], 1) * norm
    shortcut = numpy_conv(x[0], kernel["shortcut_conv"], 2) * norm
    expected = np.maximum(out + shortcut, 0)
    np.testing.assert_allclose(block(x)[0], expected, rtol=1e-4, atol=1e-5)


def test_bottleneck_strides_its_3x3_convolution():
    model = resnet(50, 4)
    assert model.get_layer("stage2_block1_conv1").strides == (1, 1)
    assert model.get_layer("stage2_block1_conv2").strides == (2, 2)


def test_small_stem_keeps_the_resolution():
    model = resnet(10, 4)
    assert model.get_layer("stem_relu").output.shape == (None, 32, 32, 4)
    assert all("stem_pool" not in layer.name for layer in model.layers)


def test_batch_norm_settings():
    norms = [
        layer
        for layer in resnet(18, 4).layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert len(norms) == 20
    for layer in norms:
        settings = (layer.momentum, layer.epsilon, layer.synchronized)
        assert settings == (0.9, 1e-5, True)


@pytest.mark.parametrize("width, channels", [(1, 1), (7, 3), (20, 4)])
def test_any_width_and_channels(width, channels):
    model = resnet(10, width, input_shape=(16, 16, channels))
    assert model(images(size=16, channels=channels)).shape == (2, 8 * width)


def test_another_norm_stands_where_batch_norm_stood():
    model = resnet(10, 4, norm=keras.layers.LayerNormalization)
    plain = resnet(10, 4)
    assert [x.name for x in model.layers] == [x.name for x in plain.layers]
    names = {x.name for x in plain.layers if isinstance(x, SyncBatchNormalization)}
    layer_norms = [x for x in model.layers if x.name in names]
    assert {type(x) for x in layer_norms} == {keras.layers.LayerNormalization}
    # An image's features do not depend on the others of the batch.
    x = images(4).astype("float32")
    alone = model(x[:1], training=True)
    np.testing.assert_allclose(model(x, training=True)[:1], alone, rtol=1e-4)
    zero = resnet(10, 4, norm=keras.layers.LayerNormalization, zero_init_residual=True)
    assert not np.any(zero.get_layer("stage1_block1_bn2").gamma)


def test_scaling_is_inside_and_integers_are_accepted():
    model = resnet(10, 4)
    scaled = keras.Model(model.input, model.get_layer("scaling").output)
    np.testing.assert_allclose(scaled(images()), images() / 255, rtol=1e-6)
    np.testing.assert_array_equal(model(images()), model(images().astype("float32")))


def test_zero_init_residual_makes_blocks_the_identity():
    model = resnet(18, 4, zero_init_residual=True)
    block = keras.Model(
        model.get_layer("stem_relu").output,
        model.get_layer("stage1_block2_relu2").output,
    )
    x = np.abs(np.random.default_rng(0).normal(size=(1, 32, 32, 4))).astype("float32")
    np.testing.assert_array_equal(block(x), x)
    plain = resnet(18, 4).get_layer("stage1_block2_bn2")
    assert np.all(plain.gamma.numpy() == 1)


def test_initial_weights_are_he_normal_by_fan_out():
    kernel = resnet(18, 64).get_layer("stage4_block2_conv2").get_weights()[0]
    assert kernel.std() == pytest.approx(np.sqrt(2 / (9 * 512)), rel=0.01)


def test_save_and_load(tmp_path):
    model = resnet(10, 4)
    model.save(tmp_path / "encoder.keras")
    loaded = keras.models.load_model(tmp_path / "encoder.keras")
    np.testing.assert_array_equal(loaded(images()), model(images()))


def test_mixed_precision_gives_float32_features():
    keras.config.set_dtype_policy("mixed_float16")
    model = resnet(10, 4)
    assert model.get_layer("stem_conv").compute_dtype == "float16"
    features = model(images())
    assert features.dtype == "float32"
    assert np.isfinite(features).all()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"depth": 20}, r"`depth` must be one of \[10, 18.*Received: depth=20"),
        ({"stem": "cifar"}, "`stem` must be one of.*Received: stem='cifar'"),
        ({"width": 0}, "`width` must be a positive int. Received: width=0"),
        ({"input_shape": (32, 32)}, "must be .height, width, channels. without"),
        ({"norm": keras.layers.LayerNormalization()}, "`norm` must make a layer for"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        resnet(**arguments)


def small_cnn(*tail, name="cnn"):
    body = [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3)]
    return keras.Sequential([*body, *tail], name=name)


APPLICATIONS = keras.applications


# The models' names are what keras.applications gives them.
@pytest.mark.parametrize(
    "name, family",
    [
        ("densenet121", APPLICATIONS.densenet),
        ("inception_resnet_v2", APPLICATIONS.inception_resnet_v2),
        ("inception_v3", APPLICATIONS.inception_v3),
        ("mobilenet_1.00_96", APPLICATIONS.mobilenet),
        ("mobilenetv2_1.00_96", APPLICATIONS.mobilenet_v2),
        ("nasnet_mobile", APPLICATIONS.nasnet),
        ("resnet50", APPLICATIONS.resnet),
        ("resnet152v2", APPLICATIONS.resnet_v2),
        ("vgg16", APPLICATIONS.vgg16),
        ("vgg19", APPLICATIONS.vgg19),
        ("xception", APPLICATIONS.xception),
    ],
)
def test_application_preprocessing_is_inside(name, family):
    model = small_cnn(name=name)
    encoder = from_application(model)
    x = images(size=8)
    pixels = family.preprocess_input(x.astype("float32"))
    np.testing.assert_allclose(
        keras.Model(encoder.input, encoder.get_layer("scaling").output)(x),
        pixels,
        rtol=1e-5,
        atol=1e-5,
    )
    expected = np.mean(model(pixels), axis=(1, 2))
    np.testing.assert_allclose(encoder(x), expected, rtol=1e-4, atol=1e-4)


def test_an_application_with_preprocessing_gets_the_images_as_they_are():
    model = APPLICATIONS.MobileNetV3Small(
        include_top=False, weights=None, input_shape=(32, 32, 3)
    )
    encoder = from_application(model)
    assert encoder.output_shape == (None, 576)
    assert model.input_shape == (None, 32, 32, 3)
    assert [type(layer).__name__ for layer in encoder.layers] == [
        "InputLayer",
        "Functional",
        "GlobalAveragePooling2D",
    ]


def test_application_is_saved_and_loaded(tmp_path):
    model = APPLICATIONS.VGG16(include_top=False, weights=None, input_shape=(32, 32, 3))
    encoder = from_application(model)
    encoder.save(tmp_path / "encoder.keras")
    loaded = keras.models.load_model(tmp_path / "encoder.keras")
    np.testing.assert_array_equal(loaded(images()), encoder(images()))


def test_other_models_and_own_preprocessing():
    model = small_cnn()
    x = images(size=8)
    with pytest.warns(UserWarning, match="gets its pixels in .0, 255.: 'cnn'"):
        plain = from_application(model)
    np.testing.assert_allclose(
        plain(x), np.mean(model(x.astype("float32")), axis=(1, 2)), rtol=1e-5
    )
    scaled = from_application(model, preprocessing=keras.layers.Rescaling(1 / 255))
    np.testing.assert_allclose(
        scaled(x), np.mean(model(x / 255.0), axis=(1, 2)), rtol=1e-4, atol=1e-6
    )
    flat = small_cnn(keras.layers.Flatten())
    identity = keras.layers.Identity()  # no warning
    assert from_application(flat, identity).output_shape == (None, 6 * 6 * 4)


def test_a_model_that_scales_by_itself_is_not_scaled_twice():
    model = resnet(50, 4)  # named like the application that wants "caffe" pixels
    np.testing.assert_allclose(from_application(model)(images()), model(images()))


def test_from_application_refuses():
    with pytest.raises(TypeError, match="must be a keras.Model.*'resnet50'"):
        from_application("resnet50")
    softmax = small_cnn(
        keras.layers.Flatten(), keras.layers.Dense(5, activation="softmax")
    )
    with pytest.raises(ValueError, match="include_top=False.*softmax"):
        from_application(softmax)
    with pytest.raises(ValueError, match="must be a built functional"):
        from_application(keras.Sequential([keras.layers.Dense(3)]))
    vector = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)])
    with pytest.raises(ValueError, match=r"one input .*\(None, 5\)"):
        from_application(vector)
    bare = APPLICATIONS.MobileNetV3Small(
        include_top=False,
        weights=None,
        input_shape=(32, 32, 3),
        include_preprocessing=False,
    )
    with pytest.raises(ValueError, match="include_preprocessing=False"):
        from_application(bare)


def test_check_encoder_accepts_and_returns_dim():
    assert check_encoder(resnet(10, 4)) == 32
    assert check_encoder(small_cnn(keras.layers.GlobalAveragePooling2D())) == 4


def test_check_encoder_refuses():
    with pytest.raises(TypeError, match="Received: encoder='resnet18'"):
        check_encoder("resnet18")
    with pytest.raises(ValueError, match="GlobalAveragePooling2D.*6, 6, 4"):
        check_encoder(small_cnn())
    with pytest.raises(ValueError, match="known input shape.*no defined inputs"):
        check_encoder(keras.Sequential([keras.layers.Dense(3)]))
    a, b = keras.Input((3,)), keras.Input((3,))
    with pytest.raises(ValueError, match="2 input.s. and 1 output"):
        check_encoder(keras.Model([a, b], keras.layers.Add()([a, b])))
    with pytest.raises(ValueError, match="1 input.s. and 2 output"):
        check_encoder(keras.Model(a, [a, keras.layers.Dense(2)(a)]))
    x = keras.Input((None, None, 3))
    with pytest.raises(ValueError, match="known number of features"):
        check_encoder(keras.Model(x, keras.layers.Flatten()(x)))


def test_unsynchronized_batch_norms_are_listed():
    assert unsynchronized_batch_norms(resnet(10, 4)) == []
    model = small_cnn(keras.layers.BatchNormalization(name="norm"))
    encoder = from_application(model, keras.layers.Identity())
    assert unsynchronized_batch_norms(encoder) == ["cnn/norm"]


def transformer():
    """Tokens of 8 x 8 images, the first one standing for the class."""
    x = keras.Input((8, 8, 3))
    tokens = keras.layers.Conv2D(6, 4, 4)(x)
    tokens = keras.layers.Reshape((4, 6))(tokens)
    tokens = keras.layers.ZeroPadding1D((1, 0))(tokens)
    tokens = keras.layers.MultiHeadAttention(2, 3)(tokens, tokens)
    return keras.Model(x, keras.layers.Dense(6)(tokens), name="vit")


@pytest.mark.parametrize("pooling", ["mean", "class_token"])
def test_tokens_are_pooled(tmp_path, pooling):
    model = transformer()
    encoder = from_application(model, keras.layers.Rescaling(1 / 255), pooling=pooling)
    x = images(size=8)
    tokens = model(x / 255.0).numpy()
    expected = tokens.mean(1) if pooling == "mean" else tokens[:, 0]
    np.testing.assert_allclose(encoder(x), expected, rtol=1e-5, atol=1e-6)
    assert check_encoder(encoder) == 6
    encoder.save(tmp_path / "encoder.keras")
    loaded = keras.models.load_model(tmp_path / "encoder.keras")
    np.testing.assert_array_equal(loaded(x), encoder(x))
    again = encoder_config.from_config(encoder_config.to_config(encoder))
    again.set_weights(encoder.get_weights())
    np.testing.assert_array_equal(again(x), encoder(x))


def test_pooling_must_fit_the_output():
    identity = keras.layers.Identity()
    with pytest.raises(ValueError, match=r"'mean' or 'class_token' .*\(None, 5, 6\)"):
        from_application(transformer(), identity)
    with pytest.raises(ValueError, match="None or 'mean' .*pooling='class_token'"):
        from_application(small_cnn(), identity, pooling="class_token")
    with pytest.raises(ValueError, match="for each token.*pooling='class_token'"):
        check_encoder(transformer())


def test_other_numbers_of_channels():
    channels = 13
    x = images(size=16, channels=channels)
    encoder = resnet(10, 4, input_shape=(16, 16, channels))
    crops = [kc.layers.RandomResizedCrop(16), kc.layers.RandomGaussianBlur()]
    crops.append(kc.layers.RandomSolarize())
    views = kc.data.views_from_arrays(
        x, augmentation=kc.layers.Views([crops] * 2), batch_size=2
    )
    model = kc.SimCLR(encoder)
    model.compile(keras.optimizers.SGD(0.1))
    model.fit(views, verbose=0)
    assert kc.evaluation.extract_features(encoder, x).shape == (2, 32)
    assert kc.augmentations.evaluation(8)(x).shape == (2, 8, 8, channels)
    with pytest.raises(ValueError, match="3 channels, red, green and blue.*, 13"):
        kc.encoders.lightness_and_color(lambda s: encoder, (16, 16, channels))


def test_an_application_of_13_channels_needs_its_preprocessing():
    model = APPLICATIONS.MobileNetV2(
        include_top=False, weights=None, input_shape=(32, 32, 13), alpha=0.35
    )
    assert from_application(model).input_shape == (None, 32, 32, 13)
    inputs = keras.Input((8, 8, 13))
    caffe = keras.Model(inputs, keras.layers.Conv2D(4, 3)(inputs), name="resnet50")
    with pytest.raises(ValueError, match="3 channels .RGB.*'resnet50' with 13"):
        from_application(caffe)
    assert from_application(caffe, keras.layers.Rescaling(1 / 255))


@pytest.mark.parametrize("dtype", ["uint16", "int32", "float32"])
def test_sixteen_bits_are_divided_by_257(dtype):
    x = (images().astype(dtype)) * np.array(257, dtype)
    options = {"augmentation": None, "batch_size": len(x), "shuffle": False}
    if dtype != "uint16":
        with pytest.raises(
            ValueError, match=r"become 0 and 255, .*to_255\(x, value_ra"
        ):
            kc.data.views_from_arrays(x, **options)
        options["value_range"] = (0, 65535)
    ((view,),) = next(iter(kc.data.views_from_arrays(x, **options)))
    np.testing.assert_array_equal(view, images())


def patch_encoder(size=(4, 4), channels=3):
    """A convolution that knows where in its patch a pixel is."""
    inputs = keras.Input((*size, channels))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(5, 3, padding="same", activation="tanh")(x)
    return keras.Model(inputs, keras.layers.Flatten()(x), name="patch")


@pytest.mark.parametrize("size", [(4, 4), (3, 5)])
def test_of_patches_gives_the_features_of_each_patch_and_their_mean(size, tmp_path):
    patch = patch_encoder(size)
    encoder = of_patches(patch, 2, (9, 8, 3))
    assert encoder.name == "patch_of_patches"
    assert encoder.count_params() == patch.count_params()
    x = images(2, size=9)[:, :, :8]
    maps = feature_maps(encoder, ["grid", "features"])(x)
    rows, columns = [(a - b) // 2 + 1 for a, b in zip((9, 8), size, strict=True)]
    assert maps["grid"].shape[:3] == (2, rows, columns)
    for r, c in np.ndindex(rows, columns):
        cut = x[:, 2 * r : 2 * r + size[0], 2 * c : 2 * c + size[1]]
        np.testing.assert_allclose(maps["grid"][:, r, c], patch(cut), atol=1e-6)
    mean = np.mean(maps["grid"], axis=(1, 2))
    np.testing.assert_allclose(maps["features"], mean, atol=1e-6)
    encoder.save(tmp_path / "encoder.keras")
    loaded = keras.models.load_model(tmp_path / "encoder.keras")
    np.testing.assert_array_equal(loaded(x), encoder(x))


def test_of_patches_is_in_presets_and_float32_in_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    encoder = of_patches(patch_encoder(), 2, (8, 8, 3))
    assert encoder.get_layer("patch").compute_dtype == "float16"
    assert encoder.get_layer("patches").compute_dtype == "float32"
    assert encoder(images(size=8)).dtype == "float32"
    config = encoder_config.to_config(encoder)
    assert encoder_config.from_config(config).output_shape == encoder.output_shape


@pytest.mark.parametrize(
    "patch, stride, shape, message",
    [
        ((4, 4), 0, (8, 8, 3), "`stride` must be a positive integer.*stride=0"),
        ((4, 4), 2, (8, 3, 3), r"hold a patch of 4 x 4.*input_shape=\(8, 3, 3\)"),
        ((4, 4), 2, (None, 8, 3), "hold a patch of 4 x 4.*larger images"),
        ((4, 4), 2, (8, 8), "must be .height, width, channels."),
        ((4, 4), 2, (8, 8, 1), "channels of `patch_encoder`, 3.*encoder for 1"),
    ],
)
def test_of_patches_refuses(patch, stride, shape, message):
    with pytest.raises(ValueError, match=message):
        of_patches(patch_encoder(patch), stride, shape)
    if stride == 0:
        for_any = resnet(10, 4, input_shape=(None, None, 3))
        with pytest.raises(ValueError, match="patches of one size.*None"):
            of_patches(for_any, 2, (8, 8, 3))

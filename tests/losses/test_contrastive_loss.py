"""What holds for every loss."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from loss_checks import assert_close, on_replicas, value_and_gradients
from slow_cases import by_name

from keras_contrastive.losses import (
    AlignUniformLoss,
    AMDIMLoss,
    BarlowTwinsLoss,
    BYOLLoss,
    ContrastiveLoss,
    CPCLoss,
    DCLLoss,
    DIMLoss,
    DINOLoss,
    DistillationLoss,
    ExemplarLoss,
    InfoNCELoss,
    LeJEPALoss,
    MMCLLoss,
    NCELoss,
    NegativeCosineLoss,
    NTXentLoss,
    ProtoNCELoss,
    SCELoss,
    SupConLoss,
    SwAVLoss,
    VICRegLoss,
    VISRegLoss,
)


def embeddings(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def pair(n):
    return embeddings(n, 6), embeddings(n, 6, seed=1)


def labelled(n):
    return np.arange(n) % 3, embeddings(n, 2, 6)


def unlabelled(n):
    return None, embeddings(n, 3, 6)


def with_queue(n):
    keys, queries = pair(n)
    return (keys, embeddings(7, 6, seed=2)), queries


def with_batch_keys(n):
    keys, queries = pair(n)
    return (keys, None), queries


def crops(n):
    center = np.linspace(-1, 1, 6, dtype="float32")
    teacher, student = embeddings(n, 2, 6), embeddings(n, 4, 6, seed=1)
    return (teacher, center, np.float32(0.05)), student


def balanced_crops(n):
    (teacher, _, temperature), student = crops(n)
    return (teacher, None, temperature), student


def clustered(n):
    prototypes = embeddings(9, 6, seed=1)
    prototypes /= np.linalg.norm(prototypes, axis=1, keepdims=True)
    concentrations = np.linspace(0.2, 0.5, 9, dtype="float32")
    negatives = np.array([5, 7, -1], "int32")  # the last is left out
    return (
        (np.arange(n, dtype="int32") % 4, prototypes, concentrations, negatives),
        embeddings(n, 6),
    )


def grid(n):
    return embeddings(n, 3, 2, 6), embeddings(n, 2, 2, 6, seed=1)


def summaries_and_places(n):
    return embeddings(n, 6), embeddings(n, 4, 6, seed=1)


def places_and_summaries(n):
    return summaries_and_places(n)[::-1]


def coded(n):
    codes = np.exp(embeddings(n, 6, seed=1))
    return codes / codes.sum(axis=1, keepdims=True), embeddings(n, 6)


def scores(n):
    return np.float32(20.0), embeddings(n, 6)


def sliced(n):
    directions = embeddings(6, 7, seed=4)
    return directions / np.linalg.norm(directions, axis=0), embeddings(n, 3, 6)


LOSSES = {
    "nt_xent": (NTXentLoss, {"temperature": 0.2}, pair),
    "supcon": (SupConLoss, {"temperature": 0.2, "base_temperature": 0.1}, labelled),
    "exemplar": (ExemplarLoss, {"temperature": 0.2}, labelled),
    "supcon_unlabelled": (SupConLoss, {"temperature": 0.5}, unlabelled),
    "byol": (BYOLLoss, {}, pair),
    "sce_queue": (SCELoss, {"temperature": 0.2}, with_queue),
    "sce_zero": (SCELoss, {"self_logit": "zero", "coefficient": 0.3}, with_queue),
    "sce_keys": (SCELoss, {"target_temperature": 0.1}, with_batch_keys),
    "info_nce_queue": (InfoNCELoss, {"temperature": 0.2}, with_queue),
    "info_nce_keys": (InfoNCELoss, {"temperature": 0.5}, with_batch_keys),
    "nce": (NCELoss, {"num_examples": 30}, scores),
    "barlow_twins": (BarlowTwinsLoss, {}, pair),
    "dino": (DINOLoss, {"student_temperature": 0.2}, crops),
    "dino_sinkhorn": (DINOLoss, {}, balanced_crops),
    "proto_nce": (ProtoNCELoss, {}, clustered),
    "cpc_all": (CPCLoss, {}, grid),
    "cpc_step": (CPCLoss, {"candidates": "step"}, grid),
    "dim_jsd": (DIMLoss, {}, summaries_and_places),
    "dim_infonce": (DIMLoss, {"estimator": "infonce"}, summaries_and_places),
    "amdim": (AMDIMLoss, {"clip": 3.0}, places_and_summaries),
    "swav": (SwAVLoss, {"temperature": 0.2}, coded),
    "vicreg": (VICRegLoss, {"covariance": 0.5}, pair),
    "align_uniform": (AlignUniformLoss, {"alpha": 1, "uniform_weight": 0.5}, pair),
    "negative_cosine": (NegativeCosineLoss, {}, pair),
    "distillation": (DistillationLoss, {"temperature": 0.5}, pair),
    "dcl": (DCLLoss, {"temperature": 0.2, "weighted": True}, pair),
    "mmcl": (MMCLLoss, {"sigma": 0.5}, pair),
    "mmcl_steps": (MMCLLoss, {"sigma": 2.0, "upper": 3.0, "steps": 50}, pair),
    "lejepa": (LeJEPALoss, {"weight": 0.3}, sliced),
    "visreg": (VISRegLoss, {}, sliced),
}
SHARED = {
    "sce_queue": (1,),
    "sce_zero": (1,),
    "info_nce_queue": (1,),
    "nce": (0,),
    "dino": (1, 2),
    "dino_sinkhorn": (2,),
    "proto_nce": (1, 2, 3),
    "lejepa": (0,),
    "visreg": (0,),
}
NOT_NORMALISED = (
    *("nce", "barlow_twins", "vicreg", "dino", "dino_sinkhorn", "swav"),
    *("proto_nce", "cpc_all", "cpc_step", "dim_jsd", "dim_infonce", "amdim"),
    *("lejepa", "visreg", "distillation"),
)
WHOLE_BATCH = ("barlow_twins", "vicreg", "align_uniform", "lejepa", "visreg")
SIGNED = ("dcl", "negative_cosine", "align_uniform", "mmcl", "mmcl_steps", "dim_jsd")
# Several images in a batch, at least.
SEVERAL = (
    "vicreg",
    "align_uniform",
    "mmcl",
    "mmcl_steps",
    "dim_jsd",
    "dim_infonce",
    "amdim",
)
every_loss = pytest.mark.parametrize("name", LOSSES)
# Each differs from another in an argument.
VARIANTS = (
    *("supcon_unlabelled", "sce_zero", "sce_keys", "info_nce_keys", "dino_sinkhorn"),
    *("cpc_step", "dim_infonce", "mmcl_steps"),
)
each_loss = by_name(LOSSES, slow=lambda name: name in VARIANTS)


def make(name, n=8, **kwargs):
    cls, arguments, inputs = LOSSES[name]
    return (cls(**arguments, **kwargs), *inputs(n))


@every_loss
@pytest.mark.parametrize("n", [1, 2, 5])
def test_one_finite_float32_value_per_example_and_their_mean(name, n):
    loss, targets, predictions = make(name, n, reduction="none")
    if n == 1 and name in SEVERAL:
        pytest.skip("refused, as its own tests show")
    values = loss(targets, predictions)
    assert values.shape == (() if name in WHOLE_BATCH else (n,))
    assert values.dtype == "float32"
    assert np.isfinite(values).all()
    assert name in SIGNED or (values.numpy() >= 0).all()
    mean, targets, predictions = make(name, n)
    assert mean(targets, predictions).shape == ()
    np.testing.assert_allclose(mean(targets, predictions), np.mean(values), rtol=1e-6)
    if name in WHOLE_BATCH:
        with pytest.raises(ValueError, match="no value per example.*sample_weight"):
            mean(targets, predictions, sample_weight=np.ones(n))
        return
    weights = np.arange(n, dtype="float32")
    np.testing.assert_allclose(
        mean(targets, predictions, sample_weight=weights),
        np.mean(values * weights),
        rtol=1e-6,
    )


@every_loss
def test_examples_may_come_in_any_order(name):
    loss, targets, predictions = make(name, reduction="none")
    order = np.random.default_rng(3).permutation(8)
    shuffled = tf.nest.map_structure(
        lambda x: x[order] if np.shape(x)[:1] == (8,) else x, (targets, predictions)
    )
    expected = loss(targets, predictions).numpy()
    expected = expected if name in WHOLE_BATCH else expected[order]
    np.testing.assert_allclose(loss(*shuffled), expected, rtol=1e-5)


@each_loss
@pytest.mark.parametrize("replicas", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_replicas_give_value_and_gradients_of_one(name, replicas, strategy_of):
    loss, targets, predictions = make(name)
    value, gradients = value_and_gradients(loss, targets, predictions)
    sizes, shared = (8 // replicas,) * replicas, SHARED.get(name, ())
    values, parts = on_replicas(
        strategy_of(replicas), loss, targets, predictions, sizes, shared
    )
    np.testing.assert_allclose(sum(values), value, rtol=1e-5)
    for expected, part in zip(gradients, parts, strict=True):
        if expected.shape[:1] == (sum(sizes),):
            assert_close(np.concatenate(part), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "name", ["nt_xent", "dcl", "supcon", "sce_keys", "info_nce_keys"]
)
def test_replicas_with_uneven_batches(name, strategy_of):
    loss, targets, predictions = make(name, reduction="none")
    expected = loss(targets, predictions)
    loss, targets, predictions = make(name, reduction="sum")
    _, gradients = value_and_gradients(loss, targets, predictions)
    sizes = (5, 3)
    values, parts = on_replicas(strategy_of(2), loss, targets, predictions, sizes)
    np.testing.assert_allclose(
        values, [sum(expected[:5]), sum(expected[5:])], rtol=1e-5
    )
    for whole, part in zip(gradients, parts, strict=True):
        assert_close(np.concatenate(part), whole, rtol=1e-5)


@each_loss
def test_compiled_equals_eager(name):
    loss, targets, predictions = make(name)
    value, gradients = value_and_gradients(loss, targets, predictions)
    compiled = tf.function(
        lambda t, p: value_and_gradients(loss, t, p), jit_compile=True
    )
    as_tensors = tf.nest.map_structure(
        lambda x: None if x is None else tf.constant(x), (targets, predictions)
    )
    compiled_value, compiled_gradients = compiled(*as_tensors)
    np.testing.assert_allclose(compiled_value, value, rtol=1e-5)
    for actual, expected in zip(compiled_gradients, gradients, strict=True):
        assert_close(actual, expected, rtol=1e-5)


@every_loss
def test_batch_of_unknown_size(name):
    loss, targets, predictions = make(name)

    flat = [x for x in tf.nest.flatten((targets, predictions)) if x is not None]

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, *x.shape[1:]] if x.shape else [], x.dtype)
            for x in flat
        ]
    )
    def dynamic(*tensors):
        tensors = iter(tensors)
        return loss(
            *tf.nest.map_structure(
                lambda x: None if x is None else next(tensors), (targets, predictions)
            )
        )

    np.testing.assert_allclose(dynamic(*flat), loss(targets, predictions), rtol=1e-5)


@every_loss
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("norm", [1e-8, 1e-6, 1e-3, 1.0, 1e4])
def test_finite_whatever_the_norm_and_dtype(name, dtype, norm):
    loss, targets, predictions = make(name)

    def scale(x):
        if np.ndim(x) < 2 or not np.issubdtype(x.dtype, np.floating):
            return x
        x = norm * x / np.linalg.norm(x, axis=-1, keepdims=True)
        return tf.cast(tf.constant(x), dtype)

    scaled = tf.nest.map_structure(scale, (targets, predictions))
    value, gradients = value_and_gradients(loss, *scaled)
    assert value.dtype == "float32" and np.isfinite(value)
    for gradient in gradients:
        assert len(gradient.shape) < 2 or gradient.dtype == dtype  # scaled above
        assert np.isfinite(tf.cast(gradient, "float32")).all()
    if (
        dtype == "float32" and name not in NOT_NORMALISED
    ):  # and then the length does not matter
        np.testing.assert_allclose(value, loss(targets, predictions), rtol=1e-4)


@every_loss
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_gradients_of_a_model_in_mixed_precision(name, policy):
    keras.config.set_dtype_policy(policy)
    loss, targets, predictions = make(name)
    head = keras.layers.Dense(6)
    head.build(predictions.shape)
    with tf.GradientTape() as tape:
        output = head(predictions)
        value = loss(targets, output)
    assert output.dtype == policy.removeprefix("mixed_") and value.dtype == "float32"
    for gradient in tape.gradient(value, head.trainable_variables):
        assert np.isfinite(gradient).all() and np.any(gradient)


@every_loss
def test_config_round_trip(name):
    loss, targets, predictions = make(name)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(loss)))
    assert config["registered_name"] == f"keras_contrastive>{type(loss).__name__}"
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(loss) and again.get_config() == loss.get_config()
    assert again(targets, predictions) == loss(targets, predictions)


def test_targets_reach_call_untouched():
    class Spy(ContrastiveLoss):
        def call(self, targets, predictions):
            self.seen = targets
            return predictions

    spy, targets = Spy(), (np.array([2**60 + 1]), None, {"text": "kept"})
    assert spy(targets, tf.constant([3.0, 5.0])) == 4.0
    assert spy.seen is targets


@pytest.mark.parametrize(
    "value", [0, 1e-38, -0.1, float("nan"), float("inf"), "0.1", None]
)
@pytest.mark.parametrize(
    ("cls", "name"),
    [
        (NTXentLoss, "temperature"),
        (DCLLoss, "temperature"),
        (SupConLoss, "temperature"),
        (SupConLoss, "base_temperature"),
        (SCELoss, "temperature"),
        (SCELoss, "target_temperature"),
        (InfoNCELoss, "temperature"),
        (DINOLoss, "student_temperature"),
        (DistillationLoss, "temperature"),
        (SwAVLoss, "temperature"),
    ],
)
def test_temperatures_are_numbers_that_float32_can_divide_by(cls, name, value):
    if name == "base_temperature" and value is None:
        pytest.skip("None is its default")
    with pytest.raises(
        ValueError, match=f"`{name}` must be a finite number >= 1e-06.*Received: "
    ):
        cls(**{name: value})


@pytest.mark.parametrize(
    ("loss", "first", "second"),
    [
        (NTXentLoss(), "z_1", "z_2"),
        (DCLLoss(), "z_1", "z_2"),
        (BYOLLoss(), "target", "prediction"),
        (NegativeCosineLoss(), "target", "prediction"),
        (SCELoss(), "keys", "queries"),
        (InfoNCELoss(), "keys", "queries"),
        (BarlowTwinsLoss(), "z_1", "z_2"),
        (VICRegLoss(), "z_1", "z_2"),
        (AlignUniformLoss(), "x", "y"),
        (MMCLLoss(1.0), "x", "z"),
    ],
)
def test_two_matrices_of_one_shape(loss, first, second):
    def call(a, b):
        return loss((a, None), b) if first == "keys" else loss(a, b)

    good = np.ones((4, 3))
    with pytest.raises(ValueError, match=rf"`{first}` must have shape \(batch, dim\)"):
        call(np.ones((4, 2, 3)), good)
    with pytest.raises(ValueError, match=rf"`{second}` must have shape .*\(4,\)"):
        call(good, np.ones(4))
    for other in ((5, 3), (4, 2)):
        with pytest.raises(ValueError, match="the same shape. Received"):
            call(good, np.ones(other))

import golden_values
import numpy as np
import pytest
import tensorflow as tf
from loss_checks import assert_close, on_replicas, value_and_gradients

from keras_contrastive.layers import RunningMean
from keras_contrastive.losses import DINOLoss
from keras_contrastive.losses.dino_loss import teacher_distribution

GOLDEN = golden_values.load("dino")
TRACE = GOLDEN.pop("t00_trace")


def softmax(x):
    x = np.exp(x - x.max())
    return x / x.sum()


def examples_first(golden):
    """Teacher and student outputs as (batch, crops, units)."""
    return (
        golden[key].swapaxes(0, 1).astype("float32") for key in ("teacher", "student")
    )


def naive(teacher, center, teacher_temperature, student, student_temperature):
    """The paper's loss, pair by pair."""
    losses = []
    for t, s in zip(teacher, student, strict=True):
        pairs = [
            -softmax((t[a] - center) / teacher_temperature)
            @ np.log(softmax(s[b] / student_temperature))
            for a in range(2)
            for b in range(len(s))
            if a != b
        ]
        losses.append(np.mean(pairs))
    return np.array(losses)


@pytest.mark.parametrize("case", GOLDEN)
def test_authors_values_and_gradients(case):
    golden, hp = GOLDEN[case], GOLDEN[case]["hp"]
    teacher, student = examples_first(golden)
    center = golden["center_before"].astype("float32")  # (1, units)
    loss = DINOLoss(hp["student_temp"])
    targets = (teacher, center, hp["teacher_temp"])
    value, (*to_targets, to_student) = value_and_gradients(loss, targets, student)
    np.testing.assert_allclose(value, golden["loss"], rtol=3e-5)
    assert_close(to_student.numpy().swapaxes(0, 1), golden["grad_student"], rtol=5e-4)
    assert not any(np.any(gradient) for gradient in to_targets)
    p = teacher_distribution(teacher, center, hp["teacher_temp"])
    np.testing.assert_allclose(
        p.numpy().swapaxes(0, 1), golden["teacher_probs"], rtol=1e-3, atol=1e-6
    )
    mean = RunningMean(teacher.shape[-1], hp["center_momentum"])
    mean.set_weights([center[0]])
    mean.update(teacher.reshape(-1, teacher.shape[-1]))
    np.testing.assert_allclose(mean.value, golden["center_after"][0], atol=1e-6)


def test_loss_and_centre_follow_the_authors_step_by_step():
    hp = TRACE["hp"]
    loss, units = DINOLoss(hp["student_temp"]), hp["K"]
    center = RunningMean(units, hp["center_momentum"])
    center.set_weights([TRACE["center_before"][0]])
    for step, temperature in enumerate(TRACE["teacher_temp"]):
        golden = {key: TRACE[key][step] for key in ("teacher", "student")}
        teacher, student = examples_first(golden)
        targets = (teacher, center.value, tf.constant(temperature, "float32"))
        value, gradients = value_and_gradients(loss, targets, student)
        np.testing.assert_allclose(value, TRACE["loss"][step], rtol=3e-5)
        gradient = gradients[-1].numpy().swapaxes(0, 1)
        assert_close(gradient, TRACE["grad_student"][step], rtol=5e-4)
        center.update(teacher.reshape(-1, units))
        np.testing.assert_allclose(center.value, TRACE["center_after"][step], atol=1e-6)


@pytest.mark.parametrize("case", GOLDEN)
def test_without_a_centre_the_authors_of_dinov2_balance(case):
    golden = GOLDEN[case]
    teacher, student = examples_first(golden)
    temperature = golden["hp"].get("sk_temp", 0.07)
    p = teacher_distribution(teacher, None, temperature).numpy()
    expected = golden["teacher_probs_sinkhorn"]
    np.testing.assert_allclose(p.swapaxes(0, 1), expected, rtol=2e-3, atol=1e-6)
    loss = DINOLoss(golden["hp"]["student_temp"], reduction="none")
    logs = np.log(expected + 1e-300).swapaxes(0, 1)
    expected = naive(logs, 0.0, 1.0, student, golden["hp"]["student_temp"])
    np.testing.assert_allclose(
        loss((teacher, None, 0.07), student), expected, rtol=1e-4
    )


def test_balancing_is_that_of_the_global_batch(strategy_of):
    rng = np.random.default_rng(0)
    teacher, student = rng.normal(size=(8, 2, 5)), rng.normal(size=(8, 3, 5))
    teacher, student = teacher.astype("float32"), student.astype("float32")
    loss = DINOLoss(reduction="none")
    targets = (teacher, None, np.float32(0.3))
    values, _ = on_replicas(strategy_of(2), loss, targets, student, (5, 3), shared=(2,))
    np.testing.assert_allclose(np.concatenate(values), loss(targets, student), 1e-5)
    p = teacher_distribution(teacher, None, 10.0)  # far from sharp: nearly converged
    np.testing.assert_allclose(np.mean(p, axis=(0, 1)), 1 / 5, rtol=1e-4)


@pytest.mark.parametrize("temperatures", [(0.01, 0.01), (0.04, 0.1), (1.0, 2.0)])
@pytest.mark.parametrize(("n", "crops"), [(1, 2), (3, 5)])
def test_naive_loop(n, crops, temperatures):
    rng = np.random.default_rng(0)
    teacher, student = rng.normal(size=(n, 2, 7)), rng.normal(size=(n, crops, 7))
    center = rng.normal(size=7)
    expected = naive(teacher, center, temperatures[0], student, temperatures[1])
    loss = DINOLoss(temperatures[1], reduction="none")
    actual = loss((teacher, center, temperatures[0]), student)
    np.testing.assert_allclose(actual, expected, rtol=3e-5)


def test_closed_forms():
    loss, units = DINOLoss(0.5), 6
    same = np.full((4, 3, units), 2.0)
    # A collapsed student says nothing, whatever the teacher says.
    rng = np.random.default_rng(0)
    teacher = rng.normal(size=(4, 2, units))
    for center in (np.zeros(units), None):
        value = loss((teacher, center, 0.04), same)
        np.testing.assert_allclose(value, np.log(units), rtol=1e-5)
    # The centre takes away what all have in common, and so does Sinkhorn-Knopp.
    common = rng.normal(size=units)
    student = rng.normal(size=(4, 3, units))
    expected = loss((teacher, np.zeros(units), 0.2), student)
    shifted = loss((teacher + common, common, 0.2), student)
    np.testing.assert_allclose(shifted, expected, rtol=1e-5)
    expected = loss((teacher, None, 0.2), student)
    shifted = loss((teacher + common, None, 0.2), student)
    np.testing.assert_allclose(shifted, expected, rtol=1e-4)
    # One sure unit, and a student that agrees or is sure of another.
    sure = 9 * np.eye(units)[[[0, 0]]]
    np.testing.assert_allclose(loss((sure, np.zeros(units), 0.1), sure), 0, atol=1e-6)
    other = 9 * np.eye(units)[[[1, 1]]]
    value = loss((sure, np.zeros(units), 0.1), other)
    np.testing.assert_allclose(value, 9 / 0.5, rtol=1e-5)


def test_bad_targets():
    t, s, loss = np.ones((4, 2, 3)), np.ones((4, 5, 3)), DINOLoss()
    center = np.zeros(3)
    with pytest.raises(ValueError, match=r"\(teacher, center, teacher_temp.*ndarray"):
        loss(t, s)
    with pytest.raises(ValueError, match=r"`teacher` must have shape \(batch, 2, un"):
        loss((t[:, 0], center, 0.04), s)
    with pytest.raises(ValueError, match=r"seen 2 crops.*\(4, 5, 3\).*the two large"):
        loss((s, center, 0.04), s)
    with pytest.raises(ValueError, match=r"seen 2 crops.*\(4, 1, 3\)"):
        loss((t, center, 0.04), s[:, :1])
    with pytest.raises(ValueError, match="`teacher` and `student`.*same batch and un"):
        loss((t, center, 0.04), s[:3])
    with pytest.raises(ValueError, match=r"`center` and `teacher`.*same units.*\(6,"):
        loss((t, np.zeros(6), 0.04), s)
    with pytest.raises(ValueError, match="`teacher_temperature` must be.*=0"):
        loss((t, center, 0), s)

import golden_values
import numpy as np
import pytest
import tensorflow as tf
from loss_checks import assert_close, value_and_gradients

from keras_contrastive.losses import DistillationLoss

GOLDEN = golden_values.load("distillation")
CASES = [case for case in GOLDEN if case.startswith("d")]


@pytest.mark.parametrize("dtype, rtol", [("float32", 2e-5), ("float16", 3e-3)])
@pytest.mark.parametrize("case", CASES)
def test_authors_values_and_gradients(case, dtype, rtol):
    golden = GOLDEN[case]
    temperature = golden["hp"]["temperature"]
    if dtype == "float16" and temperature < 1:
        rtol = 2e-2  # which magnifies how float16 rounds the logits
    teacher, student = (golden[key].astype(dtype) for key in ("teacher", "student"))
    loss = DistillationLoss(temperature)
    value, (to_teacher, to_student) = value_and_gradients(loss, teacher, student)
    np.testing.assert_allclose(value, golden["kd"], rtol=rtol)
    assert_close(tf.cast(to_student, "float64"), golden["grad_kd"], rtol=5 * rtol)
    assert not np.any(to_teacher)


def test_naive_loop():
    teacher, student = np.random.default_rng(0).normal(0, 3, (2, 5, 4))
    expected = [
        -sum(
            np.exp(t[k] / 2)
            / np.exp(t / 2).sum()
            * np.log(np.exp(s[k] / 2) / np.exp(s / 2).sum())
            for k in range(4)
        )
        for t, s in zip(teacher, student, strict=True)
    ]
    values = DistillationLoss(2.0, reduction="none")(teacher, student)
    np.testing.assert_allclose(values, expected, rtol=1e-5)


def test_closed_forms():
    teacher = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
    loss = DistillationLoss(0.5)
    # The teacher's own logits, moved by any constant, have the lowest value.
    entropy, (_, gradient) = value_and_gradients(loss, teacher, teacher + 7)
    np.testing.assert_allclose(gradient, 0, atol=1e-7)
    assert loss(teacher, teacher[::-1]) > entropy
    # A teacher that is certain: the cross-entropy of its class.
    sure = 1000.0 * np.eye(4, dtype="float32")
    values = DistillationLoss(1.0, reduction="none")(sure, np.zeros((4, 4)))
    np.testing.assert_allclose(values, np.log(4), rtol=1e-6)
    # A student that is certain of another class is as wrong as its logit is large.
    value = DistillationLoss()(sure[:1], sure[1:2])
    np.testing.assert_allclose(value, 1000.0)


def test_logits_of_the_same_classes():
    loss, good = DistillationLoss(), np.ones((4, 3))
    words = r"`teacher_logits` must have shape \(batch, classes\).*\(4, 2, 3\)"
    with pytest.raises(ValueError, match=words):
        loss(np.ones((4, 2, 3)), good)
    for other in ((5, 3), (4, 2)):
        words = "`teacher_logits` and `student_logits` must have the same shape"
        with pytest.raises(ValueError, match=words):
            loss(good, np.ones(other))

"""The loss of DINO, self-distillation without labels."""

from numbers import Real

import keras
from keras import ops

from keras_contrastive.losses.contrastive_loss import (
    ContrastiveLoss,
    check_equal,
    check_shape,
    check_temperature,
)
from keras_contrastive.losses.sinkhorn import sinkhorn


@keras.saving.register_keras_serializable(package="keras_contrastive")
class DINOLoss(ContrastiveLoss):
    """Cross-entropy between what the teacher and the student say of different crops.

    The teacher sees two large crops of an image, the student these two and any number
    of others. With outputs `t`, `s` of K units, the centre `c` and temperatures `t_t`
    and `t_s`

        p_a = softmax((t_a - c) / t_t),    q_b = softmax(s_b / t_s)
        l_i = -1 / (2C - 2) sum_a sum_{b != a} p_a log q_b,    a = 1, 2,  b = 1 ... C

    (equation 3 of the paper, over its `2C - 2` pairs). Centring keeps one unit from
    winning everywhere, a low `t_t` keeps all from being equal. Without a centre the
    teacher's outputs of the global batch are balanced by three rounds of
    Sinkhorn-Knopp instead, as in DINOv2. Outputs are not normalised here. No gradient
    reaches the teacher.

    DINOv2's code sums over the pairs and adds terms of other losses; this is the
    paper's, and its code's, mean.

    Args:
        student_temperature: `t_s`, positive. Defaults to 0.1.
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.

    Call arguments:
        targets: Tuple `(teacher, center, teacher_temperature)`: outputs for the two
            large crops, `(batch, 2, units)`; the centre, `(units,)` or `(1, units)`,
            or `None` for Sinkhorn-Knopp; `t_t`, a positive number or scalar tensor.
        predictions: The student's outputs for all crops, `(batch, crops, units)`, the
            teacher's two first and in the same order.

    Raises:
        ValueError: If a temperature is not positive, there are fewer than two crops,
            or the shapes do not fit.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.losses import DINOLoss
        >>> rng = np.random.default_rng(0)
        >>> teacher, student = rng.normal(size=(4, 2, 16)), rng.normal(size=(4, 6, 16))
        >>> loss = DINOLoss(student_temperature=0.1)
        >>> centred = loss((teacher, np.zeros(16), 0.04), student)
        >>> balanced = loss((teacher, None, 0.04), student)

    Reference:
        [Emerging Properties in Self-Supervised Vision Transformers](
        https://arxiv.org/abs/2104.14294) (Caron et al., 2021), section 3.1;
        https://github.com/facebookresearch/dino and, for Sinkhorn-Knopp,
        https://github.com/facebookresearch/dinov2.
    """

    def __init__(
        self,
        student_temperature=0.1,
        reduction="sum_over_batch_size",
        name="dino_loss",
    ):
        super().__init__(reduction=reduction, name=name)
        self.student_temperature = check_temperature(
            "student_temperature", student_temperature
        )

    def call(self, targets, predictions):
        """Return the mean cross-entropy of the pairs for each example, `(batch,)`."""
        teacher, center, temperature, student = _checked(targets, predictions)
        p = ops.stop_gradient(teacher_distribution(teacher, center, temperature))
        log_q = ops.log_softmax(
            ops.cast(student, "float32") / self.student_temperature, axis=-1
        )
        pairs = -ops.einsum("nak,nbk->nab", p, log_q)  # (batch, 2, crops)
        crops = student.shape[1]
        different = 1.0 - ops.eye(2, crops, dtype="float32")
        return ops.sum(pairs * different, axis=(1, 2)) / (2 * crops - 2)

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "student_temperature": self.student_temperature,
        }


def teacher_distribution(teacher, center, temperature):
    """Return the teacher's probabilities, centred or balanced, and sharpened.

    Args:
        teacher: Outputs `(batch, crops, units)`.
        center: The centre, `(units,)`, or None for Sinkhorn-Knopp.
        temperature: Positive number or scalar tensor.

    Returns:
        Float32 tensor `(batch, crops, units)`; the last axis sums to 1.
    """
    teacher = ops.cast(teacher, "float32")
    if center is not None:
        return ops.softmax((teacher - center) / temperature, axis=-1)
    rows = ops.reshape(teacher, (-1, teacher.shape[-1]))
    return ops.reshape(sinkhorn(rows, temperature), ops.shape(teacher))


def _checked(targets, student):
    if not isinstance(targets, tuple | list) or len(targets) != 3:
        raise ValueError(
            "The first argument must be the tuple (teacher, center, "
            f"teacher_temperature). Received: {type(targets).__name__}. Pass None as "
            "the centre to balance by Sinkhorn-Knopp."
        )
    teacher, center, temperature = targets
    remedy = "Stack the outputs for the crops along axis 1, the two large ones first."
    teacher = check_shape("teacher", teacher, ("batch", "2", "units"), remedy)
    student = check_shape("student", student, ("batch", "crops", "units"), remedy)
    if teacher.shape[1] != 2 or (student.shape[1] or 0) < 2:
        raise ValueError(
            "The teacher must have seen 2 crops, and the student these and any others. "
            f"Received: teacher.shape={tuple(teacher.shape)}, "
            f"student.shape={tuple(student.shape)}. {remedy}"
        )
    axes = teacher.shape[0], teacher.shape[2]
    check_equal(
        "batch and units",
        remedy,
        teacher=axes,
        student=(student.shape[0], student.shape[2]),
    )
    if center is not None:
        center = ops.reshape(ops.cast(center, "float32"), (-1,))
        check_equal("units", remedy, center=center.shape, teacher=teacher.shape[2:])
    if isinstance(temperature, Real):
        check_temperature("teacher_temperature", temperature)
    return teacher, center, ops.cast(temperature, "float32"), student

"""The distillation loss of SimCLR version 2."""

import keras
from keras import ops

from keras_contrastive.losses.contrastive_loss import (
    ContrastiveLoss,
    check_equal,
    check_shape,
    check_temperature,
    to_float32,
)


@keras.saving.register_keras_serializable(package="keras_contrastive")
class DistillationLoss(ContrastiveLoss):
    """Cross-entropy between what a teacher and a student say of an image.

    With logits `t` and `s` of K classes and the temperature `tau` (equation 2 of the
    paper):

        l_i = -sum_k softmax(t_i / tau)_k log softmax(s_i / tau)_k

    At least the entropy of the teacher's distribution, which is reached where the
    student has the teacher's. A high `tau` teaches how classes resemble each other, a
    low one the most likely class. No gradient reaches the teacher.

    There is no factor `tau**2`, as in the paper; the authors' notebook has it, and so
    has Hinton et al., 2015, where it keeps the gradients of all temperatures alike.

    Args:
        temperature: `tau`, positive, of both. Defaults to 1.
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.

    Call arguments:
        targets: The teacher's logits, `(batch, classes)`, of any float dtype.
        predictions: The student's logits, `(batch, classes)`.

    Raises:
        ValueError: If the temperature is not positive, or the two are not matrices of
            one shape.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.losses import DistillationLoss
        >>> teacher, student = np.array([[0.0, 0.0]]), np.array([[3.0, 3.0]])
        >>> float(DistillationLoss(temperature=2.0)(teacher, student))  # log 2
        0.6931471824645996

    Reference:
        [Big Self-Supervised Models are Strong Semi-Supervised Learners](
        https://arxiv.org/abs/2006.10029) (Chen et al., 2020), equation 2;
        https://github.com/google-research/simclr.
    """

    def __init__(
        self,
        temperature=1.0,
        reduction="sum_over_batch_size",
        name="distillation_loss",
    ):
        super().__init__(reduction=reduction, name=name)
        self.temperature = check_temperature("temperature", temperature)

    def call(self, targets, predictions):
        """Return the cross-entropy for each example, `(batch,)`."""
        remedy = "Pass the logits of teacher and student for the same classes."
        axes = ("batch", "classes")
        teacher = check_shape("teacher_logits", targets, axes, remedy)
        student = check_shape("student_logits", predictions, axes, remedy)
        shapes = {"teacher_logits": teacher.shape, "student_logits": student.shape}
        check_equal("shape", remedy, **shapes)
        p = ops.softmax(to_float32(teacher) / self.temperature, axis=-1)
        log_q = ops.log_softmax(to_float32(student) / self.temperature, axis=-1)
        return -ops.sum(ops.stop_gradient(p) * log_q, axis=-1)

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "temperature": self.temperature}

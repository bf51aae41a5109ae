"""Distillation: a student learns what a teacher says of images (Chen et al., 2020)."""

import dataclasses

import keras
from keras import ops

from keras_contrastive.checks import check_share
from keras_contrastive.encoder_checks import check_encoder
from keras_contrastive.losses.distillation_loss import DistillationLoss
from keras_contrastive.methods.batch import Needs
from keras_contrastive.methods.contrastive_model import ContrastiveModel


@keras.saving.register_keras_serializable(package="keras_contrastive")
class Distillation(ContrastiveModel):
    """A student learns what a trained teacher says of images, labelled or not.

    The third step of SimCLR version 2, after pre-training and fine-tuning: the teacher
    is the fine-tuned classifier, the student a smaller network, or a new one of the
    teacher's size (self-distillation). With logits t and s, temperature tau, weight w,

    `loss = (1 - w) CE(label, s) - w sum_k softmax(t / tau)_k log softmax(s / tau)_k`

    (equations 2 and 3). Both terms are means over the batch; the first one is 0 for an
    example without a label, -1. With w = 1, the default, no labels are needed.

    The teacher is any `keras.Model` from images to logits. It is in inference mode and
    never trained, and is saved with the model. The student is called `encoder` too, as
    that of every method: it is what `model(images)`, `predict` and `export` run.

    A teacher that gives features, such as a pre-trained encoder, is distilled without
    labels by another loss: the student, with a projector to the teacher's width, learns
    the direction of its features.

        model = kc.Distillation(teacher, student, projector=keras.layers.Dense(512))
        model.compile(optimizer, loss=kc.losses.NegativeCosineLoss())

    Args:
        teacher: `keras.Model`, images in [0, 255] to logits `(batch, classes)`.
        student: Functional `keras.Model`, images to logits, such as
            `kc.evaluation.build_classifier` makes it; or an encoder, images to
            features, with a `projector`.
        temperature: tau > 0; 1 by default. The default loss has it, and no other.
        weight: w in [0, 1]. Below 1 the dataset must have labels.
        projector: Layer, what the student gives to as many numbers as the teacher's;
            by default there is none.
        num_classes, augmentation, concatenate_views: See `ContrastiveModel`. One view
            of each image is enough; of several the mean is taken.

    `agreement` is the share of images of which both say the same class.

    Raises:
        TypeError: If teacher or student is not a `keras.Model`.
        ValueError: If the teacher does not take the student's images, the two do not
            give equally many numbers or have weights in common, one of them ends with a
            softmax, or a temperature or weight is out of range.

    Example:
        views = kc.data.views_from_arrays(
            images, augmentation=kc.layers.Views([[kc.layers.RandomResizedCrop(32)]])
        )
        small = kc.encoders.resnet(depth=10, width=16)
        model = kc.Distillation(teacher, kc.evaluation.build_classifier(small, 10))
        model.compile(keras.optimizers.AdamW(1e-3))
        model.fit(views, epochs=100)
        small_classifier = model.student

    Reference: Big Self-Supervised Models are Strong Semi-Supervised Learners (2020),
    https://arxiv.org/abs/2006.10029, section 2. Its equations are sums over the data.
    """

    needs = Needs(min_views=1, max_views=None, unlabelled=True)

    def __init__(
        self,
        teacher: keras.Model,
        student: keras.Model,
        temperature: float = 1.0,
        weight: float = 1.0,
        projector: keras.layers.Layer | None = None,
        **kwargs,
    ):
        _check_student(student)
        projector = projector or keras.layers.Identity(dtype="float32", name="logits")
        super().__init__(student, projector, **kwargs)
        _check_teacher(teacher, student, self.embedding_dim)
        self.teacher = teacher
        self.paper_loss = DistillationLoss(temperature)
        self.weight = check_share("weight", weight)
        self.needs = dataclasses.replace(self.needs, labels=self.weight < 1)
        self.cross_entropy = keras.losses.SparseCategoricalCrossentropy(
            from_logits=True
        )
        self.track("agreement")

    @property
    def student(self) -> keras.Model:
        """The network that is trained, without the projector."""
        return self.encoder

    @property
    def known_classes(self) -> int | None:
        """Number of classes that labels may have: as many as there are logits."""
        return self.embedding_dim if self.needs.labels else super().known_classes

    def apart(self):
        """The teacher, too, is none of the optimizer's."""
        return [*super().apart(), self.teacher]

    def default_loss(self):
        """Return equation 2 at the model's temperature."""
        return self.paper_loss

    def forward(self, batch, training):
        """What student and teacher say of all views, as one batch."""
        features, said = self.online(batch.views, training)

        def teacher(images):
            return (self.teacher(images, training=False),)

        (taught,) = self._of_each(teacher, batch.views, learns=False)
        student, target = ops.concatenate(said), ops.concatenate(taught)
        same = ops.equal(ops.argmax(student, axis=-1), ops.argmax(target, axis=-1))
        return {
            "features": features,
            "anchor": student,
            "positive": ops.stop_gradient(target),
            "agreement": ops.mean(ops.cast(same, "float32")),
        }

    def contrastive_loss(self, outputs, batch):
        """Return the mean of equation 3, or of equation 2 if there are no labels."""
        loss = self.loss(outputs["positive"], outputs["anchor"])
        if not self.needs.labels:
            return loss
        labels = ops.tile(ops.cast(batch.labels, "int32"), [len(batch.views)])
        known = ops.cast(labels >= 0, "float32")
        logits = ops.cast(outputs["anchor"], "float32")
        hard = self.cross_entropy(ops.maximum(labels, 0), logits, sample_weight=known)
        return (1 - self.weight) * hard + self.weight * loss

    def get_config(self):
        """Return the constructor's arguments."""
        config = super().get_config()
        student, _ = config.pop("encoder"), config.pop("predictor")
        return {
            **config,
            "teacher": keras.saving.serialize_keras_object(self.teacher),
            "student": student,
            "temperature": self.paper_loss.temperature,
            "weight": self.weight,
        }


def _check_student(student):
    """Raise an error unless the student is a network as every method trains it."""
    try:
        check_encoder(student)
    except (TypeError, ValueError) as error:
        raise type(error)(f"Of the student: {error}") from None
    _check_no_softmax("student", student)


def _check_teacher(teacher, student, width):
    """Raise an error unless the teacher gives `width` numbers for student's images."""
    if not isinstance(teacher, keras.Model):
        raise TypeError(
            "`teacher` must be a keras.Model from images to logits (batch, classes), "
            "for example one of keras_contrastive.evaluation.build_classifier. "
            f"Received: teacher={teacher!r} (of type {type(teacher).__name__})."
        )
    _check_no_softmax("teacher", teacher)
    images = keras.KerasTensor(student.input_shape, "float32")
    try:
        outputs = teacher(images, training=False)
    except Exception as error:
        raise ValueError(
            "`teacher` must take the student's images, of shape "
            f"{tuple(images.shape)}. Received: teacher={teacher.name!r}, which raises "
            f"{type(error).__name__}: {error} Put a layer before it that makes its "
            "images of these, such as keras.layers.Resizing."
        ) from error
    shapes = [tuple(x.shape) for x in keras.tree.flatten(outputs)]
    if [shape[1:] for shape in shapes] != [(width,)]:
        raise ValueError(
            "`teacher` and student must give equally many numbers for an image, (batch,"
            f" classes). Received: teacher={teacher.name!r} with {shapes}, a student "
            f"with {width}. Build the student's classifier for the teacher's classes; "
            "for a teacher that gives features, pass `projector`, a layer to their "
            "width."
        )
    shared = {id(v) for v in teacher.variables} & {id(v) for v in student.variables}
    if shared:
        raise ValueError(
            "The teacher must stay as it is while the student learns. Received: a "
            f"teacher and a student that share {len(shared)} variables. Pass a copy, "
            "such as keras.models.clone_model makes it; set_weights keeps its weights."
        )


def _check_no_softmax(name, model):
    layers = getattr(model, "layers", None)
    if layers and getattr(layers[-1], "activation", None) is keras.activations.softmax:
        raise ValueError(
            f"The {name} must give logits, not probabilities. Received: "
            f"{name}={model.name!r}, whose last layer {layers[-1].name!r} is a softmax."
            " Build it without one: keras.applications with classifier_activation=None."
        )

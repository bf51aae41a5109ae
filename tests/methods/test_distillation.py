"""What distillation has beside what every method has."""

import golden_values
import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import arrays, dataset, head, norm_of, sgd, tiny_encoder, weights_of

import keras_contrastive as kc

GOLDEN = golden_values.load("distillation")
(V_1, V_2), LABELS = arrays(16)


def distillation(**kwargs):
    model = kc.Distillation(tiny_encoder(), tiny_encoder(), **kwargs)
    model.compile(sgd(), run_eagerly=True)
    return model


def loss_of(model, teacher, student, labels=None):
    outputs = {"positive": teacher, "anchor": student}
    return model.contrastive_loss(outputs, kc.Batch((None,), labels))


@pytest.mark.parametrize("case", [case for case in GOLDEN if case.startswith("d")])
def test_authors_values_and_gradients(case):
    golden, hp = GOLDEN[case], GOLDEN[case]["hp"]
    teacher = golden["teacher"].astype("float32")
    student = tf.Variable(golden["student"].astype("float32"))
    networks = [tiny_encoder(width=student.shape[1]) for _ in range(2)]
    model = kc.Distillation(*networks, hp["temperature"], hp["alpha"])
    model.compile(sgd())
    with tf.GradientTape() as tape:
        value = loss_of(model, teacher, student, golden["labels"])
    np.testing.assert_allclose(value, golden["weighted"], rtol=2e-5)
    gradient, expected = tape.gradient(value, student), golden["grad_weighted"]
    np.testing.assert_allclose(gradient, expected, atol=1e-4 * np.abs(expected).max())


def test_an_example_without_a_label_has_the_distillation_term_alone():
    model = distillation(temperature=2.0, weight=0.25)
    teacher, student = np.random.default_rng(0).normal(size=(2, 4, 6)).astype("float32")
    labels = np.array([3, -1, 0, -1])
    kd = kc.losses.DistillationLoss(2.0, reduction="none")(teacher, student).numpy()
    log_q = student - np.log(np.exp(student).sum(axis=1, keepdims=True))
    hard = -np.array([log_q[0, 3], 0, log_q[2, 0], 0])
    value = loss_of(model, teacher, student, labels)
    np.testing.assert_allclose(value, np.mean(0.75 * hard + 0.25 * kd), rtol=1e-5)
    nothing = loss_of(model, teacher, student, labels * 0 - 1)
    np.testing.assert_allclose(nothing, np.mean(0.25 * kd), rtol=1e-6)


def test_student_learns_what_the_teacher_says_of_one_view_without_labels():
    """Of a teacher that is no functional model, and whose weights stay."""

    class Teacher(keras.Model):
        def __init__(self):
            super().__init__()
            self.network, self.dropout = tiny_encoder(), keras.layers.Dropout(0.5)

        def call(self, images, training=False):
            features = self.network(images, training=training)
            return 5 * self.dropout(features, training=training)

    teacher = Teacher()
    student = tiny_encoder()
    model = kc.Distillation(teacher, student)
    model.compile(keras.optimizers.Adam(0.02), jit_compile=False, steps_per_execution=2)
    before = weights_of(teacher)
    moving = norm_of(student).moving_mean.numpy()
    assert not {v.path for v in teacher.variables} & {
        v.path for v in model.trainable_variables
    }
    data = tf.data.Dataset.from_tensor_slices(((V_1,),)).batch(8)
    history = model.fit(data, epochs=20, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert history["agreement"][-1] > max(history["agreement"][0], 0.6)
    for a, b in zip(before, weights_of(teacher), strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.any(norm_of(student).moving_mean.numpy() != moving)
    assert model.student is student
    np.testing.assert_array_equal(model(V_1), student(V_1))


def test_features_of_a_wider_encoder_by_their_direction():
    teacher, student = tiny_encoder(width=9), tiny_encoder()
    model = kc.Distillation(teacher, student, projector=keras.layers.Dense(9))
    model.compile(keras.optimizers.Adam(0.02), loss=kc.losses.NegativeCosineLoss())
    model.run_eagerly = True
    said = model.projector(student(V_1, training=True))
    cosines = tf.keras.losses.cosine_similarity(teacher(V_1), said)
    value = model.test_on_batch((V_1,), return_dict=True)["loss"]
    np.testing.assert_allclose(value, np.mean(cosines), rtol=1e-5)
    history = model.fit(dataset(), epochs=2, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]


def softmax_classifier():
    return keras.Sequential([tiny_encoder(), keras.layers.Dense(6, "softmax")])


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda t: (lambda x: x, t), TypeError, "`teacher` must be a keras.Model"),
        (lambda t: (t, head()), TypeError, "Of the student: .*keras.Model"),
        (
            lambda t: (tiny_encoder(16), t),
            ValueError,
            "take the student's images.*8, 8",
        ),
        (lambda t: (tiny_encoder(width=5), t), ValueError, "5.*a student with 6"),
        (lambda t: (t, t), ValueError, "share 5 variables.*clone_model"),
        (lambda t: (softmax_classifier(), t), ValueError, "teacher must give logits"),
        (lambda t: (t, softmax_classifier()), ValueError, "student must give logits"),
    ],
)
def test_networks_that_do_not_fit(make, error, words):
    with pytest.raises(error, match=words):
        kc.Distillation(*make(tiny_encoder()))


def test_arguments_and_data_that_do_not_fit():
    for arguments in ({"temperature": 0.0}, {"weight": 1.5}, {"weight": -0.1}):
        with pytest.raises(ValueError, match=f"`{next(iter(arguments))}` must be"):
            distillation(**arguments)
    with pytest.raises(ValueError, match="`optimizer`"):
        kc.Distillation(tiny_encoder(), tiny_encoder()).compile()
    model = distillation(weight=0.5)
    views = tf.data.Dataset.from_tensor_slices(((V_1,),)).batch(8)
    with pytest.raises(ValueError, match="learns from labels.*weight=1.0"):
        model.fit(views, verbose=0)
    with pytest.raises(ValueError, match="below num_classes=6.*larger"):
        model.fit((V_1,), LABELS + 3, batch_size=8, verbose=0)
    assert model.fit((V_1,), LABELS - 1, batch_size=8, verbose=0).history["loss"]

"""Distillation: a small encoder learns the features of a large one, without labels.

    python examples/distillation.py  # a few minutes on 2 cores
    python examples/distillation.py --epochs=1 --images=1000

The teacher is a preset; `examples/semi_supervised.py` distils a classifier. Writes a
preset, the folder that `kc.from_preset` loads.
"""

import keras
from absl import app, flags

import keras_contrastive as kc

_TEACHER = flags.DEFINE_string(
    "teacher", "sce_resnet10_fashion_mnist", "A preset: name, folder or URL."
)
_EPOCHS = flags.DEFINE_integer("epochs", 10, "Length of the run.")
_IMAGES = flags.DEFINE_integer("images", 10_000, "Training images used.")
_OUTPUT = flags.DEFINE_string("output", "runs/distillation", "Folder of the preset.")


def main(argv):
    """Train, measure, save."""
    keras.utils.set_random_seed(0)
    (x, y), (x_test, y_test) = kc.data.load_sample()
    x, y = x[: _IMAGES.value], y[: _IMAGES.value]

    # One view of each image, and teacher and student see the same.
    crop = kc.layers.RandomResizedCrop(28, area=(0.3, 1.0))
    views = kc.data.views_from_arrays(
        x, augmentation=kc.layers.Views([[crop]]), batch_size=128, seed=0
    )
    teacher = kc.from_preset(_TEACHER.value)
    encoder = kc.encoders.resnet(depth=10, width=16, input_shape=(28, 28, 1))
    # The projector brings the student's features to the width of the teacher's; it is
    # not part of what is kept.
    projector = keras.layers.Dense(teacher.output_shape[-1])
    model = kc.Distillation(teacher, encoder, projector=projector)
    model.compile(
        kc.optimizers.AdamW(
            kc.optimizers.WarmupCosine(3e-3, warmup_epochs=1), weight_decay=0.05
        ),
        loss=kc.losses.NegativeCosineLoss(),
    )
    model.fit(views, epochs=_EPOCHS.value, verbose=2)

    for name, network in (("teacher", teacher), ("student", encoder)):
        features, test_features = (
            kc.evaluation.extract_features(network, images) for images in (x, x_test)
        )
        accuracy = kc.evaluation.knn_accuracy(features, y, test_features, y_test, k=20)
        parameters = network.count_params()
        print(f"{name}, {parameters:,} parameters: kNN accuracy {accuracy:.1%}")
    preset = kc.save_to_preset(
        encoder, _OUTPUT.value, {"method": "Distillation"}, overwrite=True
    )
    print(f"kc.from_preset({str(preset)!r}) loads the encoder")


if __name__ == "__main__":
    app.run(main)

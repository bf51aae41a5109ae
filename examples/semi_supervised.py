"""From images of which 1 % have labels to a small classifier: SimCLR version 2.

    python examples/semi_supervised.py
    python examples/semi_supervised.py --dataset=cifar10_jpeg --epochs=13 \
        --steps=500 --distil_epochs=5 --learning_rates=0.003 --precision=mixed_bfloat16

The second line took about 40 minutes of CPU on a Xeon of 2 cores that others used, too,
and gave, in % of the 10,000 test images: from scratch 38.8, fine-tuned from the feature
53.1, mid-head 53.8, self-distilled 52.8; the small network from scratch 37.8, distilled
47.3. One seed; five epochs are short for a distillation.

1. SimCLR with a head of three layers learns from all images, without labels.
2. The encoder is fine-tuned on the few labels: from its features, and from the first
   layer of the head. The same network from scratch shows what that was worth.
3. Self-distillation: what comes of it teaches a network of its own size on all images.
4. Distillation: that one teaches a network of a third of the size, without labels too.
5. The small network becomes an int8 TF-Lite file.

Each stage is kept in --output, so that the same command goes on where it was stopped.
Writes a Keras classifier of each stage, result.json and student_int8.tflite.
"""

import json
import pathlib
import sys

import keras
import numpy as np
from absl import app, flags, logging

import keras_contrastive as kc
from keras_contrastive.files import write_json, write_model

_DATASET = flags.DEFINE_string(
    "dataset", "sample", "`sample`, or a name of TensorFlow Datasets."
)
_LABELS = flags.DEFINE_float("labels", 0.01, "Share of the images that have a label.")
_DEPTH = flags.DEFINE_integer("depth", 10, "Layers of the ResNet.")
_WIDTH = flags.DEFINE_integer("width", 16, "Channels of its first stage.")
_STUDENT = flags.DEFINE_integer("student_width", 9, "The same, of the small network.")
_CROP = flags.DEFINE_integer("crop", 20, "Pixels of the views.")
_BATCH = flags.DEFINE_integer("batch_size", 128, "Images per step.")
_EPOCHS = flags.DEFINE_integer("epochs", 30, "Of pre-training.")
_DISTILLED = flags.DEFINE_integer("distil_epochs", 15, "Of each distillation.")
_RATES = flags.DEFINE_list(
    "learning_rates", ["0.001", "0.003", "0.01"], "Of fine-tuning, to choose from."
)
_STEPS = flags.DEFINE_integer("steps", 1000, "Least steps of each fine-tuning.")
_TEMPERATURE = flags.DEFINE_float("temperature", 1.0, "Of the distillations.")
_PRECISION = flags.DEFINE_string(
    "precision", "float32", "mixed_bfloat16 is faster on CPUs and GPUs that have it."
)
_SEED = flags.DEFINE_integer("seed", 0, "Of weights, views and labels.")
_OUTPUT = flags.DEFINE_string("output", "runs/semi_supervised", "Folder to write to.")
_SETTINGS = (
    *(_DATASET, _LABELS, _DEPTH, _WIDTH, _STUDENT, _CROP, _BATCH, _EPOCHS),
    *(_DISTILLED, _RATES, _STEPS, _TEMPERATURE, _PRECISION, _SEED),
)


def main(argv):
    """Pre-train, fine-tune, distil twice, convert."""
    logging.set_verbosity(logging.WARNING)
    keras.utils.set_random_seed(_SEED.value)
    keras.config.set_dtype_policy(_PRECISION.value)
    (x, y), (x_test, y_test) = load(_DATASET.value)
    stages = Stages(pathlib.Path(_OUTPUT.value), x_test, y_test)
    num_classes, channels = int(y.max()) + 1, x.shape[-1]

    # 1. All images, no labels. The head has three layers, as wide as the features.
    encoder = new_encoder(_WIDTH.value, channels)
    dim = encoder.output_shape[-1]
    head = kc.layers.ProjectionHead(
        128, (dim, dim), output_norm=True, output_scale=True, name="projector"
    )
    model = kc.SimCLR(encoder, head, temperature=0.2)
    model.compile(
        kc.optimizers.CoupledSGD(
            kc.optimizers.WarmupCosine(0.6, warmup_epochs=1), weight_decay=1e-4
        )
    )
    policy = kc.augmentations.simclr(
        _CROP.value, strength=0.5, area=(0.2, 1.0), blur=0.0
    )
    model.fit(
        views(x, policy),
        epochs=_EPOCHS.value,
        verbose=2,
        callbacks=[kc.callbacks.Checkpoint(stages.folder / "simclr.weights.h5")],
    )

    # 2. The labels that there are: fine-tuning, and the same network without step 1.
    chosen = kc.evaluation.class_balanced_subset(
        y, max(num_classes, round(_LABELS.value * len(y))), _SEED.value
    )
    labelled = x[chosen], y[chosen]
    protocol = kc.evaluation.FineTuning(
        learning_rates=tuple(map(float, _RATES.value)), steps=_STEPS.value
    )
    print(f"{len(chosen):,} of {len(x):,} images have a label.")

    def tuned(network, **options):
        return protocol.fit(network, *labelled, seed=_SEED.value, **options)

    small = new_encoder(_STUDENT.value, channels)
    stages.run("small network, from scratch", lambda: tuned(small, from_scratch=True))
    stages.run("from scratch", lambda: tuned(encoder, from_scratch=True))
    stages.run("fine-tuned from the feature", lambda: tuned(model))
    teacher = stages.run("fine-tuned mid-head", lambda: tuned(model, head_layers=1))

    # 3. and 4. The same images again, now with what the teacher says of them.
    def distilled(teacher, student):
        distillation = kc.Distillation(teacher, student, _TEMPERATURE.value)
        distillation.compile(
            kc.optimizers.AdamW(
                kc.optimizers.WarmupCosine(
                    3e-3, warmup_epochs=1, scaling=kc.optimizers.no_scaling
                )
            )
        )
        crop = kc.layers.RandomResizedCrop(_CROP.value, area=(0.3, 1.0))
        distillation.fit(
            views(x, kc.layers.Views([[crop]])), epochs=_DISTILLED.value, verbose=2
        )
        return student

    twin = kc.evaluation.build_classifier(model, num_classes, head_layers=1)
    teacher = stages.run("self-distilled", lambda: distilled(teacher, twin))
    student = kc.evaluation.build_classifier(small, num_classes)
    student = stages.run("distilled, small", lambda: distilled(teacher, student))
    stages.save()

    # 5. To a phone: images of one size, and eight bits.
    images = keras.Input(x.shape[1:], name="images")
    path = kc.export.to_tflite(
        keras.Model(images, student(images), name="student"),
        stages.folder / "student_int8.tflite",
        "int8",
        representative_images=x[:200],
    )
    print(f"{path}: {path.stat().st_size / 1024:.0f} KiB")


def load(name):
    """Return (images, labels) to train and to test."""
    if name == "sample":
        return kc.data.load_sample()
    parts = []
    for split in ("train", "test"):
        batches = zip(
            *kc.data.images_from_tfds(name, split).as_numpy_iterator(), strict=True
        )
        parts.append([np.concatenate(part) for part in batches])
    return parts


def new_encoder(width, channels):
    """Return a new ResNet for images of any size."""
    return kc.encoders.resnet(_DEPTH.value, width, input_shape=(None, None, channels))


def views(images, policy):
    """Return batches of views, without labels."""
    return kc.data.views_from_arrays(
        images, augmentation=policy, batch_size=_BATCH.value, seed=_SEED.value
    )


class Stages:
    """The classifiers of a run in their folder, and what each is worth.

    Args:
        folder: Where they are kept; of another run it is refused.
        images: To test on.
        labels: Of these images.
    """

    def __init__(self, folder, images, labels):
        self.folder, self.test, self.rows = folder, (images, labels), []
        folder.mkdir(parents=True, exist_ok=True)
        settings = {flag.name: flag.value for flag in _SETTINGS}
        file = folder / "settings.json"
        if file.exists() and json.loads(file.read_text()) != settings:
            sys.exit(
                f"{folder} holds a run with the flags {file.read_text()} Go on with "
                "these, or take another --output."
            )
        write_json(file, settings)

    def run(self, name, train):
        """Return the classifier of a stage, trained unless it is there already."""
        path = self.folder / f"{name.replace(', ', '_').replace(' ', '_')}.keras"
        if path.exists():
            classifier = keras.models.load_model(path)
        else:
            classifier = train()
            write_model(path, classifier)
        images, labels = self.test
        logits = kc.evaluation.extract_features(classifier, images)
        accuracy = float(np.mean(logits.argmax(axis=1) == labels))
        before = self.rows[-1]["accuracy"] if self.rows else accuracy
        parameters = classifier.count_params()
        print(
            f"{name:28} {100 * accuracy:5.1f} %, {100 * (accuracy - before):+5.1f} "
            f"against the line above, {parameters:,} parameters"
        )
        self.rows.append(
            {"stage": name, "accuracy": accuracy, "parameters": parameters}
        )
        return classifier

    def save(self):
        """Write result.json."""
        write_json(self.folder / "result.json", {"stages": self.rows})


if __name__ == "__main__":
    app.run(main)

"""A classifier from 100 labels: fine-tune a pre-trained encoder, in minutes.

    python examples/fine_tune_from_zoo.py

The bundled Fashion-MNIST sample has 10,000 training images. Say that someone has looked
at 1 % of them, ten of each class. Training a network on these 100 images alone gives a
poor classifier; starting from an encoder that has seen images without labels gives a
better one. Writes runs/fine_tuned/classifier.keras.
"""

import pathlib

import keras
from absl import app, flags, logging

import keras_contrastive as kc
from keras_contrastive.files import write_model

_PRESET = flags.DEFINE_string(
    "preset",
    "sce_resnet10_fashion_mnist",
    "For 28x28 gray images: a name of kc.list_presets(), a folder, a URL, or a .keras "
    "file such as runs/quickstart/encoder.keras.",
)
_LABELS = flags.DEFINE_integer("labels", 100, "Labelled images, of 10,000.")
_STEPS = flags.DEFINE_integer("steps", 1000, "Steps of each training.")
_SEED = flags.DEFINE_integer("seed", 0, "Which images have labels.")
_OUTPUT = flags.DEFINE_string("output", "runs/fine_tuned", "Folder to write to.")


def main(argv):
    """Load, fine-tune, compare, keep."""
    logging.set_verbosity(logging.WARNING)
    output = pathlib.Path(_OUTPUT.value)
    output.mkdir(parents=True, exist_ok=True)

    # 1. An encoder: images in [0, 255] to features. Scaling is a layer inside it.
    if _PRESET.value.endswith(".keras"):
        encoder = keras.models.load_model(_PRESET.value)
    else:
        encoder = kc.from_preset(_PRESET.value)

    # 2. The few images that have labels.
    (images, labels), test = kc.data.load_sample()
    chosen = kc.evaluation.class_balanced_subset(labels, _LABELS.value, _SEED.value)
    images, labels = images[chosen], labels[chosen]

    # 3. Fine-tune a copy of the encoder with a linear classifier on it. The learning
    # rate is chosen on a held-out fifth of the labels: this trains four times.
    protocol = kc.evaluation.FineTuning(steps=_STEPS.value)
    print(f"Fine-tuning {_PRESET.value} on {len(labels)} labels ...")
    classifier = protocol.fit(encoder, images, labels, seed=_SEED.value)

    # 4. Was it worth it? The same network and protocol, from new random weights.
    print("Training the same network from scratch ...")
    scratch = protocol.fit(encoder, images, labels, from_scratch=True, seed=_SEED.value)
    for name, model in (("fine-tuned", classifier), ("from scratch", scratch)):
        accuracy = model.evaluate(*test, verbose=0, return_dict=True)["accuracy"]
        print(f"{name:13}{100 * accuracy:5.1f} % of {len(test[1]):,} test images")

    # 5. Keep it: a Keras model like any other, from images to logits.
    path = output / "classifier.keras"
    write_model(path, classifier)
    loaded = keras.models.load_model(path)
    names = kc.data.sample_class_names
    predicted = loaded.predict(test[0][:3], verbose=0).argmax(axis=1)
    print(f"{path} says: {', '.join(names[i] for i in predicted)}")


if __name__ == "__main__":
    app.run(main)

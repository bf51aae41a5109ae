"""From a folder of photographs to a served classifier: the whole road, to be copied.

    python examples/own_photos.py --photos=photos/

`photos/` holds images of any size; some of them lie in class folders (`photos/cat/...`,
`photos/dog/...`), and those give the labels. All images pre-train an encoder, labels
unseen. What cannot be read is left out and named. Writes to --output: encoder.keras,
classifier.keras, result.json, and SavedModels of both for TensorFlow Serving, which
take the bytes of files.
"""

import pathlib

import numpy as np
import tensorflow as tf
from absl import app, flags, logging

import keras_contrastive as kc
from keras_contrastive.files import write_model

_PHOTOS = flags.DEFINE_string("photos", None, "Folder of photographs.", required=True)
_SIZE = flags.DEFINE_integer("size", 96, "Pixels of the encoder's input.")
_DEPTH = flags.DEFINE_integer("depth", 18, "Layers of the ResNet.")
_WIDTH = flags.DEFINE_integer("width", 64, "Channels of its first stage.")
_EPOCHS = flags.DEFINE_integer("epochs", 100, "Of pre-training.")
_BATCH = flags.DEFINE_integer("batch_size", 128, "Of pre-training.")
_STEPS = flags.DEFINE_integer("steps", 1000, "Least steps of fine-tuning.")
_OUTPUT = flags.DEFINE_string("output", "runs/own_photos", "Folder to write to.")


def main(argv):
    """Pre-train, evaluate, fine-tune, export, serve."""
    logging.set_verbosity(logging.WARNING)
    output, size = pathlib.Path(_OUTPUT.value), _SIZE.value
    output.mkdir(parents=True, exist_ok=True)

    # 1. Pre-train on every photograph. Interrupted, the same command goes on.
    encoder = kc.encoders.resnet(
        _DEPTH.value, _WIDTH.value, input_shape=(size, size, 3)
    )
    recipe = kc.recipes.SIMCLR_IMAGENET
    views = kc.data.views_from_directory(
        _PHOTOS.value,
        augmentation=recipe.policy(size),
        batch_size=_BATCH.value,
        labels=False,
    )
    model = recipe.model(encoder)
    checkpoint = kc.callbacks.Checkpoint(output / "checkpoint.weights.h5")
    model.fit(views, epochs=_EPOCHS.value, verbose=2, callbacks=[checkpoint])
    write_model(output / "encoder.keras", encoder)

    # 2. What are the features worth? A fifth of each class folder is held out.
    photos = kc.data.images_from_directory(
        _PHOTOS.value, image_size=size, on_error="skip"
    )
    if photos.class_names is None:
        raise app.UsageError(f"{_PHOTOS.value} has no class folders to evaluate with.")
    features, labels = kc.evaluation.extract_features(encoder, photos)
    train, test = kc.evaluation.split_by_class(labels)
    result = kc.evaluation.evaluate_features(
        features[train], labels[train], features[test], labels[test], photos.class_names
    )
    print(result)
    result.save(output / "result.json")

    # 3. Fine-tune, and keep the better classifier.
    images = np.concatenate([x for x, _ in photos.as_numpy_iterator()])
    tuned = kc.evaluation.FineTuning(steps=_STEPS.value).fit(
        encoder, images[train], labels[train], class_names=photos.class_names
    )
    accuracy = np.mean(
        tuned.predict(images[test], verbose=0).argmax(axis=1) == labels[test]
    )
    print(f"fine-tuned {accuracy:.1%}, linear {result.accuracy:.1%}")
    linear = result.build_classifier(encoder)
    classifier = tuned if accuracy > result.accuracy else linear
    write_model(output / "classifier.keras", classifier)

    # 4. Export both, compared with the Keras models on your photographs, and serve.
    kc.export.to_saved_model(encoder, output / "serving/encoder", images=images[:64])
    folder = kc.export.to_saved_model(
        classifier, output / "serving/classifier", images=images[:64]
    )
    served = tf.saved_model.load(str(folder)).signatures["serve_bytes"]
    files = [photos.file_paths[i] for i in test[:: 1 + len(test) // 8]]
    answer = served(image_bytes=tf.constant([open(x, "rb").read() for x in files]))
    for file, name in zip(files, answer["class_names"].numpy(), strict=True):
        print(f"{file}: {name.decode()}")


if __name__ == "__main__":
    app.run(main)

"""Exemplar: the views of an image attract, the images of other classes repel.

    python examples/exemplar.py  # a few minutes on 2 cores
    python examples/exemplar.py --epochs=1 --images=1000

Writes a preset, the folder that `kc.from_preset` loads.
"""

import keras
from absl import app, flags

import keras_contrastive as kc

_EPOCHS = flags.DEFINE_integer("epochs", 10, "Length of the run.")
_IMAGES = flags.DEFINE_integer("images", 10_000, "Training images used.")
_OUTPUT = flags.DEFINE_string("output", "runs/exemplar", "Folder of the preset.")


def main(argv):
    """Train, measure, save."""
    keras.utils.set_random_seed(0)
    (x, y), (x_test, y_test) = kc.data.load_sample()
    x, y = x[: _IMAGES.value], y[: _IMAGES.value]

    # The labels go along with the views: they say which images do not repel.
    recipe = kc.recipes.EXEMPLAR_SMALL
    views = kc.data.views_from_arrays(
        x, y, augmentation=recipe.policy(28), batch_size=128, seed=0
    )
    encoder = kc.encoders.resnet(depth=10, width=16, input_shape=(28, 28, 1))
    model = recipe.model(encoder)
    model.fit(views, epochs=_EPOCHS.value, verbose=2)

    # Features are what the encoder gives, before the projector: only it is kept.
    features, test_features = (
        kc.evaluation.extract_features(encoder, images) for images in (x, x_test)
    )
    accuracy = kc.evaluation.knn_accuracy(features, y, test_features, y_test, k=20)
    print(f"kNN accuracy {accuracy:.1%}")
    preset = kc.save_to_preset(
        encoder, _OUTPUT.value, {"method": "Exemplar"}, overwrite=True
    )
    print(f"kc.from_preset({str(preset)!r}) loads the encoder")


if __name__ == "__main__":
    app.run(main)

"""CMC: parts of an image find each other. Here they are its upper and lower half.

Colour images are split into lightness and colour: `kc.encoders.lightness_and_color` in
place of `halves`. The bundled ones are gray.

    python examples/cmc.py  # a few minutes on 2 cores
    python examples/cmc.py --epochs=1 --images=1000

Writes a preset, the folder that `kc.from_preset` loads.
"""

import keras
from absl import app, flags

import keras_contrastive as kc

_EPOCHS = flags.DEFINE_integer("epochs", 10, "Length of the run.")
_IMAGES = flags.DEFINE_integer("images", 10_000, "Training images used.")
_OUTPUT = flags.DEFINE_string("output", "runs/cmc", "Folder of the preset.")


def main(argv):
    """Train, measure, save."""
    keras.utils.set_random_seed(0)
    (x, y), (x_test, y_test) = kc.data.load_sample()
    x, y = x[: _IMAGES.value], y[: _IMAGES.value]

    # One view of each image, and its number: the row of the banks that is its own.
    recipe = kc.recipes.CMC_SMALL
    views = kc.data.views_from_arrays(
        x, augmentation=recipe.policy(28), batch_size=128, seed=0, with_ids=True
    )
    encoder = halves()
    model = recipe.model(
        encoder, parts=("upper", "lower"), num_examples=len(x), num_negatives=1024
    )
    model.fit(views, epochs=_EPOCHS.value, verbose=2)

    # Features are what the encoder gives, before the projector: only it is kept.
    features, test_features = (
        kc.evaluation.extract_features(encoder, images) for images in (x, x_test)
    )
    accuracy = kc.evaluation.knn_accuracy(features, y, test_features, y_test, k=20)
    print(f"kNN accuracy {accuracy:.1%}")
    preset = kc.save_to_preset(
        encoder, _OUTPUT.value, {"method": "CMC"}, overwrite=True
    )
    print(f"kc.from_preset({str(preset)!r}) loads the encoder")


def halves():
    """Return one encoder of two, side by side."""
    parts = {}
    for name, rows in (("upper", slice(0, 14)), ("lower", slice(14, 28))):
        images = keras.Input((28, 28, 1))
        half = kc.encoders.resnet(depth=10, width=16, input_shape=(14, 28, 1))
        parts[name] = keras.Model(images, half(images[:, rows]))
    return kc.encoders.side_by_side(parts)


if __name__ == "__main__":
    app.run(main)

"""DIM: an image tells the places of its own feature map from those of others.

    python examples/dim.py  # a few minutes on 2 cores
    python examples/dim.py --epochs=1 --images=1000

Writes a preset, the folder that `kc.from_preset` loads.
"""

import keras
from absl import app, flags

import keras_contrastive as kc

_EPOCHS = flags.DEFINE_integer("epochs", 10, "Length of the run.")
_IMAGES = flags.DEFINE_integer("images", 10_000, "Training images used.")
_OUTPUT = flags.DEFINE_string("output", "runs/dim", "Folder of the preset.")


def main(argv):
    """Train, measure, save."""
    keras.utils.set_random_seed(0)
    (x, y), (x_test, y_test) = kc.data.load_sample()
    x, y = x[: _IMAGES.value], y[: _IMAGES.value]

    recipe = kc.recipes.DIM_SMALL
    views = kc.data.views_from_arrays(
        x, augmentation=recipe.policy(28), batch_size=128, seed=0
    )
    encoder = kc.encoders.resnet(depth=10, width=16, input_shape=(28, 28, 1))
    # The map of "conv4" has 7 x 7 places. A short run: narrower heads.
    model = recipe.model(encoder, projector=kc.layers.ResidualHead(256))
    model.fit(views, epochs=_EPOCHS.value, verbose=2)

    # Features are what the encoder gives, before the projector: only it is kept.
    features, test_features = (
        kc.evaluation.extract_features(encoder, images) for images in (x, x_test)
    )
    accuracy = kc.evaluation.knn_accuracy(features, y, test_features, y_test, k=20)
    print(f"kNN accuracy {accuracy:.1%}")
    preset = kc.save_to_preset(
        encoder, _OUTPUT.value, {"method": "DIM"}, overwrite=True
    )
    print(f"kc.from_preset({str(preset)!r}) loads the encoder")


if __name__ == "__main__":
    app.run(main)

"""CPC: the patches of an image predict the patches below them.

    python examples/cpc.py  # a few minutes on 2 cores
    python examples/cpc.py --epochs=1 --images=1000

Writes a preset, the folder that `kc.from_preset` loads.
"""

import keras
from absl import app, flags

import keras_contrastive as kc

_EPOCHS = flags.DEFINE_integer("epochs", 10, "Length of the run.")
_IMAGES = flags.DEFINE_integer("images", 10_000, "Training images used.")
_OUTPUT = flags.DEFINE_string("output", "runs/cpc", "Folder of the preset.")


def main(argv):
    """Train, measure, save."""
    keras.utils.set_random_seed(0)
    (x, y), (x_test, y_test) = kc.data.load_sample()
    x, y = x[: _IMAGES.value], y[: _IMAGES.value]

    # One view of each image; its crops are large, as half of it predicts the other.
    recipe = kc.recipes.CPC_SMALL
    views = kc.data.views_from_arrays(
        x, augmentation=recipe.policy(28, area=(0.5, 1.0)), batch_size=128, seed=0
    )
    # Batch norm would tell the network which patches come from one image.
    patches = kc.encoders.resnet(
        depth=10, width=8, input_shape=(8, 8, 1), norm=keras.layers.LayerNormalization
    )
    encoder = kc.encoders.of_patches(patches, stride=4, input_shape=(28, 28, 1))
    context = kc.layers.CausalConvolutions(units=64, depth=3)
    model = recipe.model(encoder, context=context)
    model.fit(views, epochs=_EPOCHS.value, verbose=2)

    # Features are what the encoder gives, the mean over the patches: only it is kept.
    features, test_features = (
        kc.evaluation.extract_features(encoder, images) for images in (x, x_test)
    )
    accuracy = kc.evaluation.knn_accuracy(features, y, test_features, y_test, k=20)
    print(f"kNN accuracy {accuracy:.1%}")
    preset = kc.save_to_preset(
        encoder, _OUTPUT.value, {"method": "CPC"}, overwrite=True
    )
    print(f"kc.from_preset({str(preset)!r}) loads the encoder")


if __name__ == "__main__":
    app.run(main)

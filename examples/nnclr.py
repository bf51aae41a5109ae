"""NNCLR: the nearest neighbour of one view, in a queue, finds the other view.

    python examples/nnclr.py  # a few minutes on 2 cores
    python examples/nnclr.py --epochs=1 --images=1000

Writes a preset, the folder that `kc.from_preset` loads.
"""

import keras
from absl import app, flags

import keras_contrastive as kc

_EPOCHS = flags.DEFINE_integer("epochs", 10, "Length of the run.")
_IMAGES = flags.DEFINE_integer("images", 10_000, "Training images used.")
_OUTPUT = flags.DEFINE_string("output", "runs/nnclr", "Folder of the preset.")


def main(argv):
    """Train, measure, save."""
    keras.utils.set_random_seed(0)
    (x, y), (x_test, y_test) = kc.data.load_sample()
    x, y = x[: _IMAGES.value], y[: _IMAGES.value]

    recipe = kc.recipes.NNCLR_SMALL
    policy = recipe.policy(28)
    views = kc.data.views_from_arrays(x, augmentation=policy, batch_size=128, seed=0)
    encoder = kc.encoders.resnet(depth=10, width=16, input_shape=(28, 28, 1))
    # A support set of a fifth of the images; the recipe's 65,536 is for more of them.
    model = recipe.model(encoder, queue_size=2048)
    model.fit(views, epochs=_EPOCHS.value, verbose=2)

    # Features are what the encoder gives, before the projector: only it is kept.
    features, test_features = (
        kc.evaluation.extract_features(encoder, images) for images in (x, x_test)
    )
    accuracy = kc.evaluation.knn_accuracy(features, y, test_features, y_test, k=20)
    print(f"kNN accuracy {accuracy:.1%}")
    preset = kc.save_to_preset(
        encoder, _OUTPUT.value, {"method": "NNCLR"}, overwrite=True
    )
    print(f"kc.from_preset({str(preset)!r}) loads the encoder")


if __name__ == "__main__":
    app.run(main)

"""MoCo: a query finds its key among keys of earlier batches, or of its own (version 3).

    python examples/moco.py  # a few minutes on 2 cores
    python examples/moco.py --version=3
    python examples/moco.py --epochs=1 --images=1000

Writes a preset, the folder that `kc.from_preset` loads.
"""

import keras
from absl import app, flags

import keras_contrastive as kc

_EPOCHS = flags.DEFINE_integer("epochs", 10, "Length of the run.")
_IMAGES = flags.DEFINE_integer("images", 10_000, "Training images used.")
_VERSION = flags.DEFINE_integer("version", 2, "Version of MoCo: 2 or 3.")
_OUTPUT = flags.DEFINE_string("output", "runs/moco", "Folder of the preset.")


def main(argv):
    """Train, measure, save."""
    keras.utils.set_random_seed(0)
    (x, y), (x_test, y_test) = kc.data.load_sample()
    x, y = x[: _IMAGES.value], y[: _IMAGES.value]

    encoder = kc.encoders.resnet(depth=10, width=16, input_shape=(28, 28, 1))
    if _VERSION.value == 2:
        policy = kc.recipes.MOCO_SMALL.policy(28, blur=0.0)  # images are small
        # A queue of a fifth of the images; the recipe's 32,768 is for more of them.
        model = kc.recipes.MOCO_SMALL.model(encoder, queue_size=2048)
    else:
        policy = kc.recipes.MOCO_V3_SMALL.policy(28)
        model = kc.recipes.MOCO_V3_SMALL.model(encoder)
    views = kc.data.views_from_arrays(x, augmentation=policy, batch_size=128, seed=0)
    model.fit(views, epochs=_EPOCHS.value, verbose=2)

    # Features are what the encoder gives, before the projector: only it is kept.
    features, test_features = (
        kc.evaluation.extract_features(encoder, images) for images in (x, x_test)
    )
    accuracy = kc.evaluation.knn_accuracy(features, y, test_features, y_test, k=20)
    print(f"kNN accuracy {accuracy:.1%}")
    preset = kc.save_to_preset(
        encoder, _OUTPUT.value, {"method": "MoCo"}, overwrite=True
    )
    print(f"kc.from_preset({str(preset)!r}) loads the encoder")


if __name__ == "__main__":
    app.run(main)

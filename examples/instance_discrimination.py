"""Instance discrimination: every image is a class, with a vector in a memory bank.

    python examples/instance_discrimination.py  # a few minutes on 2 cores
    python examples/instance_discrimination.py --epochs=1 --images=1000

Writes a preset, the folder that `kc.from_preset` loads.
"""

import keras
from absl import app, flags

import keras_contrastive as kc

_EPOCHS = flags.DEFINE_integer("epochs", 10, "Length of the run.")
_IMAGES = flags.DEFINE_integer("images", 10_000, "Training images used.")
_OUTPUT = flags.DEFINE_string(
    "output", "runs/instance_discrimination", "Folder of the preset."
)


def main(argv):
    """Train, measure, save."""
    keras.utils.set_random_seed(0)
    (x, y), (x_test, y_test) = kc.data.load_sample()
    x, y = x[: _IMAGES.value], y[: _IMAGES.value]

    # One view of each image, and its number: the row of the bank that is its own.
    recipe = kc.recipes.INSTANCE_DISCRIMINATION_IMAGENET
    views = kc.data.views_from_arrays(
        x, augmentation=recipe.policy(28), batch_size=128, seed=0, with_ids=True
    )
    encoder = kc.encoders.resnet(depth=10, width=16, input_shape=(28, 28, 1))
    # As a softmax, of later code: with thousands of images, not a million, the noise of
    # the paper's NCE form outweighs the image itself, and the loss jumps.
    model = recipe.model(encoder, num_examples=len(x), num_negatives=1024, nce=False)
    model.fit(views, epochs=_EPOCHS.value, verbose=2)

    # Features are what the encoder gives, before the projector: only it is kept.
    features, test_features = (
        kc.evaluation.extract_features(encoder, images) for images in (x, x_test)
    )
    accuracy = kc.evaluation.knn_accuracy(features, y, test_features, y_test, k=20)
    print(f"kNN accuracy {accuracy:.1%}")
    preset = kc.save_to_preset(
        encoder, _OUTPUT.value, {"method": "InstanceDiscrimination"}, overwrite=True
    )
    print(f"kc.from_preset({str(preset)!r}) loads the encoder")


if __name__ == "__main__":
    app.run(main)

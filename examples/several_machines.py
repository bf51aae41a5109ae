"""SimCLR on several machines: one command for all, and TF_CONFIG says who is who.

    export TF_CONFIG='{"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]},
                       "task": {"type": "worker", "index": 0}}'   # 1 on the second one
    python examples/several_machines.py --output=/shared/run

Negatives and batch norm are those of the global batch: two workers give the weights of
one machine with the whole batch. After a kill, the same commands go on from the file.
"""

import pathlib

import keras
import tensorflow as tf
from absl import app, flags

import keras_contrastive as kc
from keras_contrastive import distribute

_EPOCHS = flags.DEFINE_integer("epochs", 10, "Length of the run.")
_IMAGES = flags.DEFINE_integer("images", 10_000, "Training images used.")
_BATCH = flags.DEFINE_integer("batch_size", 128, "Images of a step, on all machines.")
_OUTPUT = flags.DEFINE_string("output", "runs/machines", "Folder that all workers see.")


def main(argv):
    """Train together; the chief saves."""
    distribute.workers_of_tf_config()  # says what is wrong with TF_CONFIG
    strategy = tf.distribute.MultiWorkerMirroredStrategy()  # before anything else
    keras.utils.set_random_seed(0)  # the same first weights on all workers
    (x, _), _ = kc.data.load_sample()
    recipe = kc.recipes.SIMCLR_SMALL
    views = kc.data.views_from_arrays(
        x[: _IMAGES.value],
        augmentation=recipe.policy(28, strength=0.5, blur=0.0),
        batch_size=_BATCH.value,
        seed=0,
    )
    with strategy.scope():
        encoder = kc.encoders.resnet(depth=10, width=16, input_shape=(28, 28, 1))
        model = recipe.model(encoder)
    folder = pathlib.Path(_OUTPUT.value)
    checkpoint = kc.callbacks.Checkpoint(folder / "run.weights.h5")
    verbose = 2 if distribute.is_chief(strategy) else 0
    model.fit(views, epochs=_EPOCHS.value, verbose=verbose, callbacks=[checkpoint])
    if distribute.is_chief(strategy):
        preset = kc.save_to_preset(
            encoder, folder / "preset", {"method": "SimCLR"}, overwrite=True
        )
        print(f"kc.from_preset({str(preset)!r}) loads the encoder")


if __name__ == "__main__":
    app.run(main)

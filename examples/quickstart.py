"""From images without labels to a useful encoder, in about five minutes on two cores.

    python examples/quickstart.py            # 2 cores, no GPU: about 5 minutes
    python examples/quickstart.py --epochs=2 --supervised_seconds=5     # a quick look

Pre-trains SimCLR on 10,000 bundled Fashion-MNIST images without looking at a label,
then asks how many labels it takes to use the result, against raw pixels, the same
network untrained, and the same network trained on the labels alone. Writes
runs/quickstart/ with the encoder, a SavedModel for serving, metrics, figures, and one
page to look at, report.html.
"""

import itertools
import pathlib
import sys
import time

import keras
from absl import app, flags, logging

import keras_contrastive as kc
from keras_contrastive.files import write_figure, write_json, write_model

_EPOCHS = flags.DEFINE_integer(
    "epochs", None, "Epochs of pre-training; by default what fits the five minutes."
)
_IMAGES = flags.DEFINE_integer("images", 10_000, "Training images used.")
_BATCH = flags.DEFINE_integer("batch_size", 128, "Images per step.", lower_bound=2)
_WIDTH = flags.DEFINE_integer("width", 16, "Channels of the encoder's first stage.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of weights, views and label draws.")
_SECONDS = flags.DEFINE_float(
    "supervised_seconds", 60, "Time for the supervised networks, all together."
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "New folder; the default is the next free runs/quickstart[-n]."
)
LABELS = (100, 1_000, 10_000)
CROP = 20  # pixels


def main(argv):
    """Pre-train, compare, draw, export."""
    start = time.time()
    logging.set_verbosity(logging.WARNING)
    output = new_folder(_OUTPUT.value)
    keras.utils.set_random_seed(_SEED.value)
    (x_train, y_train), (x_test, y_test) = kc.data.load_sample()
    x_train, y_train = x_train[: _IMAGES.value], y_train[: _IMAGES.value]

    # 1. Pre-train. The labels are not used, only shown by the kNN callback. Crops of 20
    # pixels cost half of 28, and show garments as large as whole images do.
    fast = has_bfloat16()
    keras.config.set_dtype_policy("mixed_bfloat16" if fast else "float32")
    epochs = _EPOCHS.value or (24 if fast else 16)
    encoder = new_encoder((None, None, 1))
    initial_weights = encoder.get_weights()
    views = kc.data.views_from_arrays(
        x_train,
        augmentation=new_policy(CROP),
        batch_size=_BATCH.value,
        seed=_SEED.value,
    )
    model = kc.SimCLR(encoder, temperature=0.2)
    model.compile(
        kc.optimizers.CoupledSGD(
            kc.optimizers.WarmupCosine(0.3, warmup_epochs=1), weight_decay=5e-4
        )
    )
    held_out = len(x_train) // 5
    knn = kc.callbacks.KNNEvaluation(
        (x_train[held_out:], y_train[held_out:]),
        (x_train[:held_out], y_train[:held_out]),
        every=max(1, epochs // 5),
        k=20,
    )
    print(
        f"Pre-training a ResNet of {encoder.count_params():,} parameters with SimCLR "
        f"on {len(x_train):,} images for {epochs} epochs, {policy_name()}."
    )
    interrupted = False
    try:
        model.fit(views, epochs=epochs, callbacks=[knn])
    except KeyboardInterrupt:
        interrupted = True
    # From here on float32, and whole images.
    keras.config.set_dtype_policy("float32")
    trained, encoder = encoder, new_encoder(x_train.shape[1:])
    encoder.set_weights(trained.get_weights())
    untrained = new_encoder(x_train.shape[1:])
    untrained.set_weights(initial_weights)
    write_model(output / "encoder.keras", encoder)
    if interrupted:
        sys.exit(f"\nInterrupted. What was trained so far is {output}/encoder.keras")
    pretrain_seconds = time.time() - start

    # 2. What is it worth? The same labels for every row.
    rows = {
        "raw pixels": (flat(x_train), flat(x_test)),
        "untrained encoder": features(untrained, x_train, x_test),
        "pre-trained encoder": features(encoder, x_train, x_test),
    }
    table = {name: {} for name in (*rows, "supervised network")}
    for count in (n for n in LABELS if n <= len(x_train)):
        chosen = kc.evaluation.class_balanced_subset(y_train, count, _SEED.value)
        labels = y_train[chosen]
        for name, (train, test) in rows.items():
            table[name][count] = score(train[chosen], labels, test, y_test)
        network = train_supervised(
            x_train[chosen], labels, seconds=_SECONDS.value / len(LABELS)
        )
        train, test = features(network, x_train[chosen], x_test)
        table["supervised network"][count] = score(train, labels, test, y_test)

    print_table(table)

    # 3. Keep it: numbers, pictures, the servable model.
    history = {**model.history.history, **knn.history}
    metrics = {
        "table": table,
        "history": history,
        "seed": _SEED.value,
        "epochs": epochs,
        "pretrain_seconds": pretrain_seconds,
    }
    write_json(output / "metrics.json", metrics)
    write_figures(output, history, rows, (x_train, y_train), (x_test, y_test))
    searched, found = rows["pre-trained encoder"]
    kc.report.write_report(
        output / "report.html",
        searched,
        x_train,
        y_train,
        test=(found, x_test, y_test),
        class_names=kc.data.sample_class_names,
        history=history,
        about=about(model, encoder, epochs, pretrain_seconds),
        policy=new_policy(CROP),
        max_points=1000,
    )
    saved_model = kc.export.to_saved_model(encoder, output / "saved_model")
    conclude(table, output, saved_model, time.time() - start)


def new_folder(path):
    """Return a new output folder, or stop before any work is done."""
    if path is None:
        names = itertools.chain([""], (f"-{i}" for i in itertools.count(2)))
        folders = (pathlib.Path("runs") / f"quickstart{name}" for name in names)
        path = next(folder for folder in folders if not folder.exists())
    path = pathlib.Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()):
            sys.exit(f"{path} holds another run. Give a new folder with --output=...")
        (path / ".writable").touch()
        (path / ".writable").unlink()
    except OSError as error:
        sys.exit(f"Cannot write to {path}: {error.strerror}. Give --output=FOLDER.")
    return path


def has_bfloat16():
    """Whether the CPU multiplies bfloat16 in hardware: training is then 1.4x faster."""
    cpu = pathlib.Path("/proc/cpuinfo")
    return cpu.exists() and "avx512_bf16" in cpu.read_text()


def policy_name():
    """Return the name of the precision in use."""
    return keras.config.dtype_policy().name


def new_encoder(input_shape):
    """Return the small ResNet that every row of the table shares."""
    return kc.encoders.resnet(depth=10, width=_WIDTH.value, input_shape=input_shape)


def new_policy(size):
    """Return SimCLR's policy for small images, with crops of at least a fifth."""
    return kc.augmentations.simclr(size, blur=0.0, area=(0.2, 1.0))


def flat(images):
    """Return pixels as features, in [0, 1]."""
    return images.reshape(len(images), -1).astype("float32") / 255.0


def features(encoder, *batches):
    """Return the encoder's features of each array of images."""
    return tuple(kc.evaluation.extract_features(encoder, images) for images in batches)


def score(train, labels, test, test_labels):
    """Return kNN and linear accuracy in percent."""
    k = min(200, max(1, len(train) // 50))
    knn = kc.evaluation.knn_accuracy(train, labels, test, test_labels, k=k)
    linear = kc.evaluation.linear_probe(train, labels, test, test_labels)
    return {"knn": 100 * knn, "linear": 100 * linear}


def train_supervised(images, labels, seconds):
    """Train the same network on labels alone, for that many seconds."""
    keras.utils.set_random_seed(_SEED.value)
    encoder = new_encoder(images.shape[1:])
    classifier = kc.evaluation.build_classifier(encoder, num_classes=10)
    classifier.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )

    class StopInTime(keras.callbacks.Callback):
        end = time.time() + seconds

        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = time.time() > self.end

    # A multiple of 16, which is what CPUs are fast at.
    batch_size = min(128, max(16, len(images) // 8 // 16 * 16))
    classifier.fit(
        images.astype("float32"),
        labels,
        batch_size,
        epochs=200,
        verbose=0,
        callbacks=[StopInTime()],
    )
    return classifier.get_layer(encoder.name)


def write_figures(output, history, rows, train, test):
    """Write the four figures of the run."""
    (x_train, y_train), (x_test, y_test) = train, test
    policy = new_policy(CROP)
    shown = x_train[:8].astype("float32")
    figures = {"views": kc.report.plot_views(shown, policy(shown))}
    _, before = rows["untrained encoder"]
    searched, after = rows["pre-trained encoder"]
    figures["neighbors"] = kc.report.plot_neighbors(
        x_test, after, x_train, searched, labels=(y_test, y_train)
    )
    shown = slice(0, 1000)
    figures["embedding"] = kc.report.plot_embedding_map(
        {"before": before[shown], "after": after[shown]},
        y_test[shown],
        kc.data.sample_class_names,
    )
    figures["curves"] = kc.report.plot_curves(history)
    for name, figure in figures.items():
        write_figure(output / f"{name}.png", figure)


def about(model, encoder, epochs, seconds):
    """Return what the report says of the run."""
    return {
        "method": f"{type(model).__name__}, without labels",
        "encoder": f"ResNet-10, {encoder.count_params():,} parameters",
        "data": "the bundled sample of Fashion-MNIST",
        "training": f"{epochs} epochs in {seconds:.0f} s, batches of {_BATCH.value}",
        "seed": _SEED.value,
        "command": " ".join(["python", *sys.argv]),
    }


def print_table(table):
    """Print kNN and linear accuracy of every row."""
    print(
        f"\n{'accuracy in %, 2,000 test images':34}"
        + "kNN with labels".center(24)
        + "linear with labels".center(24)
    )
    counts = list(table["raw pixels"])
    print(" " * 34 + "".join(f"{n:>8,}" for n in counts + counts))
    for name, scores in table.items():
        cells = [scores[n][kind] for kind in ("knn", "linear") for n in counts]
        print(f"{name:34}" + "".join(f"{cell:8.1f}" for cell in cells))


def conclude(table, output, saved_model, seconds):
    """Say what was learned and what to do next."""
    ours, pixels = table["pre-trained encoder"], table["raw pixels"]
    gains = ", ".join(
        f"{ours[n]['linear'] - pixels[n]['linear']:+.1f} with {n:,}" for n in ours
    )
    served = saved_model.parent.resolve()
    print(f"""
Learned without a label: a linear classifier on the encoder's features beats one on raw
pixels by {gains} labels (points of accuracy).

Open {output}/report.html in a browser: neighbours, a map, confusions, clusters.
{output}/ also holds encoder.keras, metrics.json and figures (views.png, neighbors.png,
embedding.png, curves.png); {saved_model} is ready for TensorFlow Serving.
Next:
  your own images   kc.data.views_from_directory("photos/", augmentation=...)
  another method    kc.BYOL, kc.SCE and kc.SupCon take the same encoder and data
  serving           tensorflow_model_server --model_base_path={served}
({seconds / 60:.1f} minutes)""")


if __name__ == "__main__":
    app.run(main)

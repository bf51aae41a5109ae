"""Pre-train an encoder with any method, as long as it takes: the zoo's one command.

    python examples/pretrain.py --recipe=byol_small --dataset=fashion_mnist
    python examples/pretrain.py --recipe=moco_v2_imagenet --dataset=photos/ --size=96 \
        --depth=18 --model=queue_size=4096 --policy=blur=0.1
    python examples/pretrain.py --recipe=dino_small --encoder=vit --patch=4 --width=128

Interrupted at any moment, it goes on when started again with the same flags; with more
--epochs it is extended, and a run that has diverged goes on from its last good epoch
with a lower --learning_rate. Writes to the output folder run.json (the flags),
checkpoint.weights.h5, history.csv (one row an epoch), encoder.keras, and a preset, the
folder that `kc.from_preset` loads. At the end
kNN and linear accuracy are measured: of a folder on its own labelled images, a fifth of
each class folder held out. A folder that holds `train` and `test` is trained on the one
and tested on the other.
`--recipe=supervised` is the baseline that learns from the labels: same network, with
SimCLR's views.
"""

import ast
import csv
import io
import json
import os
import pathlib
import platform
import re
import shlex
import statistics
import subprocess
import sys
import time

import keras
import tensorflow as tf
from absl import app, flags, logging
from keras import ops

import keras_contrastive as kc
from keras_contrastive.files import write_bytes, write_json, write_model

RECIPES = {name.lower(): getattr(kc.recipes, name) for name in kc.recipes.__all__}
del RECIPES["recipe"]  # the class
_RECIPE = flags.DEFINE_enum(
    "recipe",
    "simclr_small",
    [*RECIPES, "supervised"],
    "Method, views and optimizer with all constants; print(kc.recipes.BYOL_SMALL).",
)
_MODEL = flags.DEFINE_multi_string(
    "model", [], "Of the method, in place of the recipe's: temperature=0.2, ..."
)
_POLICY = flags.DEFINE_multi_string(
    "policy",
    [],
    'Of the views, in place of the recipe\'s: blur=0, "area=(0.2, 1)", ...',
)
_DATASET = flags.DEFINE_string(
    "dataset", "sample", "`sample`, a folder, or a name of TensorFlow Datasets."
)
_SPLIT = flags.DEFINE_string("split", "train", "Of TensorFlow Datasets.")
_SIZE = flags.DEFINE_integer("size", None, "Pixels of the encoder's input; a folder's.")
_CROP = flags.DEFINE_integer("crop", None, "Pixels of the views; by default the size.")
_CACHE = flags.DEFINE_bool("cache", False, "Keep the decoded images in memory.")
_ENCODER = flags.DEFINE_enum(
    "encoder",
    None,
    ["resnet", "vit", "patches", "color", "amdim"],
    "A ResNet; a vision transformer; a ResNet of overlapping patches, for CPC; two of "
    "lightness and colour, for CMC; AMDIM's own. By default what the method needs.",
)
_DEPTH = flags.DEFINE_integer(
    "depth", 10, "Layers of the ResNet; blocks of a ViT; units in AMDIM's blocks."
)
_WIDTH = flags.DEFINE_integer(
    "width",
    16,
    "Channels of its first stage; size of a ViT's tokens, 64 for each head.",
)
_PATCH = flags.DEFINE_integer("patch", 8, "Side of the patches.", lower_bound=2)
_EPOCHS = flags.DEFINE_integer("epochs", 100, "Length of the run.", lower_bound=1)
_BATCH = flags.DEFINE_integer("batch_size", 256, "Global batch size.", lower_bound=2)
_RATE = flags.DEFINE_float(
    "learning_rate", None, "Peak for 256 images with SGD; by default the recipe."
)
_DECAY = flags.DEFINE_float("weight_decay", 5e-4, "With --learning_rate.")
_CLASSES = flags.DEFINE_integer("num_classes", None, "Shows an online probe.")
_GPUS = flags.DEFINE_bool("all_gpus", False, "MirroredStrategy over all GPUs.")
_PRECISION = flags.DEFINE_enum(
    "precision", "float32", ["float32", "mixed_bfloat16", "mixed_float16"], "Policy."
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of weights and views.")
_OUTPUT = flags.DEFINE_string("output", None, "Folder; default runs/NAME.")
_LICENCE = flags.DEFINE_string("licence", "not stated", "Of the weights.")
_NOTE = flags.DEFINE_string("note", None, "What the preset's card shall say, too.")
_MEASURE = flags.DEFINE_list(
    "measure", None, "Folders or data sets to measure on; by default the images' own."
)

# What `run.json` need not agree in when a run goes on.
NOT_THE_RUN = ("output", "measure", "licence", "note")
# What may change on the way, as long as both are given: a recipe has its own optimizer.
ON_THE_WAY = ("epochs", "learning_rate", "weight_decay")


def main(argv):
    """Train, measure, save as a preset."""
    logging.set_verbosity(logging.WARNING)
    data = pathlib.Path(_DATASET.value).name
    short = re.sub("_(small|imagenet)$", "", _RECIPE.value)
    name = f"{short}_{network()}{_DEPTH.value}_{data}"
    output = pathlib.Path(_OUTPUT.value or f"runs/{name}")
    keras.utils.set_random_seed(_SEED.value)
    keras.config.set_dtype_policy(_PRECISION.value)

    shape = image_shape()
    strategy = tf.distribute.MirroredStrategy() if _GPUS.value else None
    with strategy.scope() if strategy else tf.distribute.get_strategy().scope():
        model = new_model(shape)
    views = new_views(
        new_policy(shape), batch_size=_BATCH.value, with_ids=method().needs.ids
    )
    run = start_or_go_on(output)  # the flags are good now
    history = History(output / "history.csv")
    checkpoint = kc.callbacks.Checkpoint(output / "checkpoint.weights.h5")
    callbacks = [history, checkpoint, *between_epochs(model, shape)]
    try:
        model.fit(views, epochs=_EPOCHS.value, verbose=2, callbacks=callbacks)
    except FloatingPointError as error:
        anew = "give another --output to start anew."
        if _RATE.value:
            sys.exit(f"{error} Lower --learning_rate to go on from there, or {anew}")
        sys.exit(f"{error} With --learning_rate it is another run: {anew}")

    keras.config.set_dtype_policy("float32")
    encoder = new_encoder(shape, shape)
    encoder.set_weights(model.encoder.get_weights())
    write_model(output / "encoder.keras", encoder)
    preset = kc.save_to_preset(
        encoder,
        output / name,
        metadata={
            "method": type(model).__name__,
            "architecture": architecture(),
            "data": f"{_DATASET.value}, {_SPLIT.value}",
            "epochs": _EPOCHS.value,
            "batch_size": _BATCH.value,
            "seed": _SEED.value,
            "augmentation": str(new_policy(shape)),
            "command": run["command"],
            "commit": run["commit"],
            "hardware": hardware(),
            "minutes": history.minutes(),
            "licence": _LICENCE.value,
            **({"note": _NOTE.value} if _NOTE.value else {}),
        },
        weights_dtype="float16",
        overwrite=True,
    )
    # What is measured is what is stored, rounded weights and all.
    encoder = kc.from_preset(preset)
    for data in measured_on():
        name_of = getattr(data, "name", data)  # of a folder, the last part
        try:
            numbers = kc.zoo.measure(encoder, data)
        except (LookupError, ValueError) as error:
            print(f"{name_of}: no accuracy. {error}")
            continue
        kc.zoo.add_metrics(preset, {name_of: numbers})
        print(f"{name_of}: kNN {numbers['knn']:.1%}, linear {numbers['linear']:.1%}")
    print(f"{preset} is a preset: kc.from_preset({str(preset)!r})")


class Supervised(kc.ContrastiveModel):
    """The baseline: cross-entropy of a classifier on every view's features."""

    needs = kc.Needs(labels=True)

    def default_loss(self):
        """Cross-entropy."""
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def default_projector(self, feature_dim):
        """The classifier."""
        return keras.layers.Dense(_CLASSES.value, dtype="float32")

    def forward(self, batch, training):
        """Logits of both views."""
        features, (logits_1, logits_2) = self.online(batch.views, training)
        return {"features": features, "anchor": logits_1, "positive": logits_2}

    def contrastive_loss(self, outputs, batch):
        """The mean over both views."""
        logits = ops.concatenate([outputs["anchor"], outputs["positive"]])
        return self.loss(ops.tile(batch.labels, [2]), logits)


def start_or_go_on(output):
    """Record the flags, or see that they are those of the run that is there."""
    flags_now = {f.name: f.value for f in flags.FLAGS.get_flags_for_module(__name__)}
    record = output / "run.json"
    command = shlex.join(["python", *sys.argv])
    run = {"command": command, "commit": commit(), "flags": flags_now}
    if record.exists():
        before = json.loads(record.read_text())
        old, new = before["flags"], flags_now
        changed, other = [], []
        for name in dict.fromkeys((*new, *old)):
            values = old.get(name), new.get(name)
            if name in NOT_THE_RUN or values[0] == values[1]:
                continue
            may_change = name in ON_THE_WAY and None not in values
            (changed if may_change else other).append(
                f"{name}: {values[0]} -> {values[1]}"
            )
        if new["epochs"] < old["epochs"]:
            other.append(f"epochs: {old['epochs']} -> {new['epochs']}")
        if other:
            sys.exit(
                f"{output} holds a run with other flags ({'; '.join(other)}). Give "
                "its flags to go on with it, or another --output."
            )
        if not changed:
            return before
        print(f"{output} holds a run with other flags: {'; '.join(changed)}.")
        run["command"] = f"{before['command']}, then {command}"
    try:
        output.mkdir(parents=True, exist_ok=True)
        write_json(record, run)
    except OSError as error:
        sys.exit(f"Cannot write to {output}: {error.strerror}. Give --output=FOLDER.")
    return run


def folder():
    """Return the folder to train on, or None where the data set is no folder."""
    path = pathlib.Path(_DATASET.value)
    if _DATASET.value == "sample" or not path.is_dir():
        return None
    has_test = (path / "train").is_dir() and (path / "test").is_dir()
    return path / "train" if has_test else path


def measured_on():
    """Return the names and folders to measure on."""
    names = [_DATASET.value] if _MEASURE.value is None else _MEASURE.value
    folders = {x: pathlib.Path(x) for x in names if x}
    found = [p if x != "sample" and p.is_dir() else x for x, p in folders.items()]
    if folder() in found and method().needs.labels:
        print(
            f"{folder()}: no accuracy. --recipe={_RECIPE.value} has learned all of its "
            "labels; give other images by --measure=FOLDER."
        )
        found.remove(folder())
    return found


def image_shape():
    """Return the encoder's input shape, from the data or from --size."""
    if _DATASET.value == "sample":
        shape = (28, 28, 1)
    elif folder():
        shape = (None, None, 3)
    else:
        # A data set that does not exist is refused here, with names that are near.
        raw = kc.data.views_from_tfds(
            _DATASET.value, _SPLIT.value, augmentation=None, batch_size=1
        )
        shape = tuple(raw.element_spec[0][0].shape[1:])
    if _SIZE.value:
        shape = (_SIZE.value, _SIZE.value, shape[-1])
    if None in shape:
        sys.exit("The images have no one size. Give --size=PIXELS of the encoder.")
    return shape


def network():
    """Return the name of the network."""
    needed = {"CPC": "patches", "CMC": "color", "AMDIM": "amdim"}
    return _ENCODER.value or needed.get(method().__name__, "resnet")


def new_encoder(shape, image_shape):
    """Return the network for images of `shape`, cut out of those of `image_shape`."""
    depth, width, patch = _DEPTH.value, _WIDTH.value, _PATCH.value

    def resnet(shape, **arguments):
        return kc.encoders.resnet(depth, width, input_shape=shape, **arguments)

    def vit():
        grid = tuple(side // patch for side in image_shape[:2])
        heads = max(1, width // 64)
        return kc.encoders.vit(patch, width, depth, heads, input_shape=shape, grid=grid)

    def patches():  # whose batch norm would tell which of them share an image
        norm = keras.layers.LayerNormalization
        of_patch = resnet((patch, patch, shape[-1]), norm=norm)
        return kc.encoders.of_patches(of_patch, patch // 2, shape)

    networks = {
        "resnet": lambda: resnet(shape),
        "vit": vit,
        "patches": patches,
        "color": lambda: kc.encoders.lightness_and_color(resnet, shape),
        "amdim": lambda: kc.encoders.amdim(width, depth, 8 * width, shape),
    }
    return networks[network()]()


def architecture():
    """Return the network in words."""
    depth, width, patch = _DEPTH.value, _WIDTH.value, _PATCH.value
    resnet = f"ResNet-{depth}, width {width}, small stem"
    words = {
        "resnet": resnet,
        "vit": f"ViT, {depth} blocks of {width}, patch {patch}",
        "patches": f"{resnet}, layer norm, of patches of {patch}, half overlapping",
        "color": f"two of {resnet}, for lightness and colour",
        "amdim": f"AMDIM's, width {width}, {depth} units in a block",
    }
    return words[network()]


def method():
    """Return the class that is trained."""
    recipe = RECIPES.get(_RECIPE.value)
    return Supervised if recipe is None else getattr(kc, recipe.method)


def changes(flag):
    """Return the arguments of a flag such as --model=temperature=0.2 --model=..."""
    pairs = [text.partition("=") for text in flag.value]
    try:
        return {name: ast.literal_eval(value) for name, _, value in pairs}
    except (SyntaxError, ValueError):
        sys.exit(
            f"--{flag.name}={flag.value[-1]} is not NAME=VALUE with a Python value."
        )


def new_policy(shape):
    """Return the recipe's views; for the baseline SimCLR's."""
    recipe = RECIPES.get(_RECIPE.value, kc.recipes.SIMCLR_SMALL)
    return recipe.policy(_CROP.value or shape[0], **changes(_POLICY))


def new_views(policy, **options):
    """Return the dataset."""
    options = {"augmentation": policy, "seed": _SEED.value, **options}
    if _DATASET.value == "sample":
        return kc.data.views_from_arrays(*kc.data.load_sample()[0], **options)
    options["cache_decoded"] = _CACHE.value
    if folder():
        return kc.data.views_from_directory(folder(), **options)
    return kc.data.views_from_tfds(_DATASET.value, _SPLIT.value, **options)


def between_epochs(model, shape):
    """Return what fills clusterings, such as PCL's, after a tenth of the run."""
    if not any(isinstance(layer, kc.layers.Clustering) for layer in model.layers):
        return []
    size = {"image_size": _CROP.value or shape[0]}
    if _DATASET.value == "sample":
        images = kc.data.images_from_arrays(kc.data.load_sample()[0][0], **size)
    elif folder():
        images = kc.data.images_from_directory(folder(), labels=False, **size)
    else:
        images = kc.data.images_from_tfds(_DATASET.value, _SPLIT.value, **size)
    first = -(-_EPOCHS.value // 10)
    return [kc.callbacks.ClusterFeatures(images, first_epoch=first, restarts=1)]


def new_model(shape):
    """Return the method, compiled."""
    # It is trained on crops, and used on whole images.
    crop = _CROP.value or shape[0]
    sizes = {crop.size for crop, *_ in new_policy(shape).branches}
    side = None if len(sizes) > 1 or not method().needs.fitting_views else crop
    encoder = new_encoder((side, side, shape[-1]), shape)
    if method() is Supervised:
        if not _CLASSES.value:
            sys.exit("--recipe=supervised trains a classifier. Give --num_classes=N.")
        model = Supervised(encoder)
        model.compile(kc.recipes.SUPCON_SMALL.optimizer())
    else:
        arguments = {"num_classes": _CLASSES.value, **changes(_MODEL)}
        if method().needs.ids:
            one_by_one = new_views(new_policy(shape), batch_size=1)
            arguments["num_examples"] = len(one_by_one)
        model = RECIPES[_RECIPE.value].model(encoder, **arguments)
    if _RATE.value:
        schedule = kc.optimizers.WarmupCosine(_RATE.value, warmup_epochs=1)
        optimizer = kc.optimizers.CoupledSGD(schedule, weight_decay=_DECAY.value)
        model.compile(optimizer, model.loss, momentum_update=model.momentum_update)
    return model


class History(keras.callbacks.Callback):
    """Keeps each epoch's metrics and seconds in a CSV file.

    It is written anew every epoch: after a kill it holds epochs that the checkpoint
    does not, and which come again.
    """

    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_epoch_begin(self, epoch, logs=None):
        """Start the clock."""
        self.start = time.time()

    def on_epoch_end(self, epoch, logs=None):
        """Write the rows of the epochs up to this one."""
        row = {"epoch": epoch + 1, "seconds": time.time() - self.start, **logs}
        rows = [r for r in self.rows() if int(r["epoch"]) <= epoch] + [row]
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, dict.fromkeys(name for r in rows for name in r))
        writer.writeheader()
        writer.writerows(rows)
        write_bytes(self.path, text.getvalue().encode())

    def rows(self):
        """Return what is in the file, but for rows that are torn."""
        if not self.path.exists():
            return []
        with self.path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        whole = [r for r in rows if None not in r and None not in r.values()]
        return [r for r in whole if r["epoch"].isdigit()]

    def minutes(self):
        """Return the length of the run: its median epoch times the epochs."""
        seconds = [float(row["seconds"]) for row in self.rows()]
        if not seconds:
            return None
        return round(statistics.median(seconds) * _EPOCHS.value / 60, 1)


def commit():
    """Return the commit of the code, if it is a checkout."""
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=pathlib.Path(__file__).parent,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip() or f"version {kc.__version__}"


def hardware():
    """Return the GPUs, or the CPU, in words."""
    gpus = tf.config.list_physical_devices("GPU")
    names = [tf.config.experimental.get_device_details(g)["device_name"] for g in gpus]
    if names:
        return ", ".join(names)
    info = pathlib.Path("/proc/cpuinfo")
    lines = info.read_text().split("\n") if info.exists() else []
    models = [line for line in lines if line.startswith("model name")]
    model = models[0].split(":")[1].strip() if models else platform.processor()
    count = len(os.sched_getaffinity(0))
    return f"{count} core{'s' * (count > 1)} of {model}"


if __name__ == "__main__":
    app.run(main)

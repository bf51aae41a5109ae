r"""keras-contrastive pretrain [DATA] --recipe=NAME: train an encoder without labels.

    keras-contrastive pretrain photos/ --size=96 --epochs=100
    keras-contrastive pretrain photos/ --size=96 --recipe=moco_v2_imagenet \
        --depth=18 --model=queue_size=4096 --policy=blur=0.1
    keras-contrastive pretrain --recipe=dino --encoder=vit --patch=4 --width=128

DATA is `sample` (the bundled images), a folder of images, a folder with images.npy and
perhaps labels.npy, or a name of TensorFlow Datasets. Images may have any number of
channels, and 16 bits: of a sensor of 12, give --value_range=0,4095.

Interrupted at any moment, it goes on from its last whole epoch when started again with
the same flags; with more --epochs it is extended, and a run that has diverged goes on
from its last good epoch with a lower --learning_rate. Writes to the output folder
run.json (the flags), checkpoint.weights.h5, history.csv (one row an epoch),
encoder.keras, with --labelled best.keras, and a preset, the folder that
`kc.from_preset` loads.

At the end kNN and linear accuracy are measured: of a folder on its own labelled images,
a fifth of each class folder held out. A folder that holds `train` and `test` is trained
on the one and tested on the other. `--recipe=supervised` is the baseline that learns
from the labels: same network, with SimCLR's views.
"""

import ast
import dataclasses
import pathlib
import re
import shlex
import sys

import keras
import numpy as np
import tensorflow as tf
from absl import flags
from keras import ops

import keras_contrastive as kc
from keras_contrastive.cli.image_source import open_source
from keras_contrastive.cli.main import UsageError, near
from keras_contrastive.cli.networks import (
    NETWORKS,
    architecture,
    define_range,
    new_encoder,
    range_of,
)
from keras_contrastive.cli.run_folder import History, hardware, start_or_go_on
from keras_contrastive.files import write_model
from keras_contrastive.micro_batches import check_divides
from keras_contrastive.zoo.measure import folder_parts

FLAGS = flags.FlagValues()
RECIPES = {name.lower(): getattr(kc.recipes, name) for name in kc.recipes.__all__}
del RECIPES["recipe"]  # the class

_ours = {"flag_values": FLAGS}
_RECIPE = flags.DEFINE_string(
    "recipe",
    "simclr_small",
    "Method, views and optimizer with all constants, `print(kc.recipes.BYOL_SMALL)`; "
    "of a method alone, such as `byol`, those for small images.",
    **_ours,
)
_MODEL = flags.DEFINE_multi_string(
    "model",
    [],
    "Of the method, in place of the recipe's: temperature=0.2, ...",
    **_ours,
)
_HEAD = flags.DEFINE_multi_string(
    "head",
    [],
    "Of the projector, in place of the recipe's: units=256, ...",
    **_ours,
)
_POLICY = flags.DEFINE_multi_string(
    "policy",
    [],
    'Of the views, in place of the recipe\'s: blur=0, "area=(0.2, 1)", ...',
    **_ours,
)
_DATASET = flags.DEFINE_string("dataset", "sample", "The same as DATA.", **_ours)
_SPLIT = flags.DEFINE_string("split", "train", "Of TensorFlow Datasets.", **_ours)
_SIZE = flags.DEFINE_integer(
    "size", None, "Pixels of the encoder's input; a folder's.", **_ours
)
_CROP = flags.DEFINE_integer(
    "crop", None, "Pixels of the views; by default the size.", **_ours
)
_RANGE = define_range(FLAGS)
_CACHE = flags.DEFINE_bool(
    "cache", False, "Keep the decoded images in memory.", **_ours
)
_ENCODER = flags.DEFINE_string(
    "encoder",
    None,
    f"{', '.join(NETWORKS)}; a preset, to train it further; a model of "
    "keras.applications; or keras_hub: and a preset of keras-hub, its name or folder. "
    "By default what the method needs.",
    **_ours,
)
_DEPTH = flags.DEFINE_integer(
    "depth",
    10,
    "Layers of the ResNet; blocks of a ViT; units in AMDIM's blocks.",
    **_ours,
)
_WIDTH = flags.DEFINE_integer(
    "width",
    16,
    "Channels of its first stage; size of a ViT's tokens, 64 for each head.",
    **_ours,
)
_PATCH = flags.DEFINE_integer(
    "patch", 8, "Side of the patches of a ViT or of CPC.", lower_bound=2, **_ours
)
_EPOCHS = flags.DEFINE_integer(
    "epochs", 100, "Length of the run.", lower_bound=1, **_ours
)
_BATCH = flags.DEFINE_integer(
    "batch_size", 256, "Global batch size.", lower_bound=2, **_ours
)
_MICRO = flags.DEFINE_integer(
    "micro_batch_size",
    None,
    "Images that pass the network at a time: the same gradient in less memory.",
    lower_bound=1,
    **_ours,
)
_BASE_RATE = flags.DEFINE_float(
    "base_learning_rate",
    None,
    "Of the recipe's own optimizer, in place of the recipe's.",
    **_ours,
)
_RATE = flags.DEFINE_float(
    "learning_rate",
    None,
    "Peak for 256 images with SGD, in place of the recipe's optimizer.",
    **_ours,
)
_DECAY = flags.DEFINE_float("weight_decay", 5e-4, "With --learning_rate.", **_ours)
_CLASSES = flags.DEFINE_integer("num_classes", None, "Shows an online probe.", **_ours)
_GPUS = flags.DEFINE_bool("all_gpus", False, "MirroredStrategy over all GPUs.", **_ours)
_PRECISION = flags.DEFINE_enum(
    "precision",
    "float32",
    ["float32", "mixed_bfloat16", "mixed_float16"],
    "Policy.",
    **_ours,
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of weights and views.", **_ours)
_OUTPUT = flags.DEFINE_string("output", None, "Folder; default runs/NAME.", **_ours)
_TENSORBOARD = flags.DEFINE_bool("tensorboard", False, "Write its logs, too.", **_ours)
_LICENCE = flags.DEFINE_string("licence", "not stated", "Of the weights.", **_ours)
_NOTE = flags.DEFINE_string(
    "note", None, "What the preset's card shall say, too.", **_ours
)
_LABELLED = flags.DEFINE_string(
    "labelled",
    None,
    "Folder with one folder of images for each class: kNN is measured on them while "
    "the encoder trains, a fifth held out, and the best epoch's is kept, too.",
    **_ours,
)
_MEASURE = flags.DEFINE_list(
    "measure",
    None,
    "Folders or data sets to measure on; by default the images' own.",
    **_ours,
)


def run(arguments: list[str]) -> None:
    """Train, measure, save as a preset."""
    if len(arguments) > 1:
        raise UsageError(f"Expected one DATA. Received: {' '.join(arguments)}")
    if arguments:
        FLAGS.dataset = arguments[0]
    FLAGS.recipe = recipe_name()
    keras.utils.set_random_seed(_SEED.value)
    keras.config.set_dtype_policy(_PRECISION.value)
    try:
        train()
    finally:
        keras.config.set_dtype_policy("float32")


def train() -> None:
    """Do it with the flags as they are."""
    output = pathlib.Path(_OUTPUT.value or f"runs/{run_name()}")
    source = open_source(_DATASET.value, _SPLIT.value, range_of(_RANGE))
    shape = image_shape(source)
    strategy = tf.distribute.MirroredStrategy() if _GPUS.value else None
    with strategy.scope() if strategy else tf.distribute.get_strategy().scope():
        model = new_model(source, shape)
    views = source.views(
        new_policy(shape),
        _CACHE.value,
        batch_size=_BATCH.value,
        with_ids=method().needs.ids,
        seed=_SEED.value,
    )
    # The flags are good now.
    defaults = {name: FLAGS[name].default for name in FLAGS}
    record = start_or_go_on(output, command(), FLAGS.flag_values_dict(), defaults)
    history = History(output / "history.csv", len(views) * _BATCH.value)
    checkpoint = kc.callbacks.Checkpoint(output / "checkpoint.weights.h5")
    callbacks = [history, checkpoint, *between_epochs(model, source, shape)]
    if _LABELLED.value:
        callbacks += [knn(model), kc.callbacks.BestEncoder(output / "best.keras")]
    if _TENSORBOARD.value:
        callbacks.append(keras.callbacks.TensorBoard(output / "tensorboard"))
    bar = 1 if sys.stdout.isatty() else 2
    try:
        model.fit(views, epochs=_EPOCHS.value, verbose=bar, callbacks=callbacks)
    except KeyboardInterrupt:
        print(f"\nInterrupted. {checkpoint.standing()} The same command goes on.")
        raise
    except FloatingPointError as error:
        anew = "give another --output to start anew."
        if _RATE.value:
            advice = f"Lower --learning_rate to go on from there, or {anew}"
        else:
            advice = f"With --learning_rate it is another run: {anew}"
        raise FloatingPointError(f"{error} {advice}") from None
    keras.config.set_dtype_policy("float32")
    encoder = encoder_for(shape, shape)
    encoder.set_weights(model.encoder.get_weights())
    write_model(output / "encoder.keras", encoder)
    minutes = history.minutes(_EPOCHS.value)
    preset = save_preset(encoder, output / run_name(), record, minutes)
    measure(preset)
    print(f"{preset} is a preset: kc.from_preset({str(preset)!r})")


def save_preset(encoder, path, record, minutes) -> pathlib.Path:
    """Write the encoder with all that is known of its training."""
    policy = new_policy(encoder.input_shape[1:])
    return kc.save_to_preset(
        encoder,
        path,
        metadata={
            "method": method().__name__,
            "architecture": architecture(
                network(), _DEPTH.value, _WIDTH.value, _PATCH.value
            ),
            "data": f"{_DATASET.value}, {_SPLIT.value}",
            "epochs": _EPOCHS.value,
            "batch_size": _BATCH.value,
            "seed": _SEED.value,
            "augmentation": str(policy),
            "command": record["command"],
            "commit": record["commit"],
            "hardware": hardware(),
            "minutes": minutes,
            "licence": _LICENCE.value,
            **({"note": _NOTE.value} if _NOTE.value else {}),
            **({"value_range": range_of(_RANGE)} if _RANGE.value else {}),
        },
        weights_dtype="float16",
        overwrite=True,
    )


def measure(preset) -> None:
    """Measure what is stored, rounded weights and all, and write it into the preset."""
    encoder = kc.from_preset(preset)
    for data in measured_on():
        name_of = getattr(data, "name", data)  # of a folder, the last part
        try:
            numbers = kc.zoo.measure(encoder, data, value_range=range_of(_RANGE))
        except (LookupError, ValueError) as error:
            print(f"{name_of}: no accuracy. {error}")
            continue
        kc.zoo.add_metrics(preset, {name_of: numbers})
        print(f"{name_of}: kNN {numbers['knn']:.1%}, linear {numbers['linear']:.1%}")


def measured_on() -> list:
    """Return the names and folders to measure on."""
    names = [_DATASET.value] if _MEASURE.value is None else _MEASURE.value
    folders = {x: pathlib.Path(x) for x in names if x}
    found = [p if x != "sample" and p.is_dir() else x for x, p in folders.items()]
    own = folder_parts(pathlib.Path(_DATASET.value))[0]
    if own in found and method().needs.labels:
        print(
            f"{own}: no accuracy. --recipe={_RECIPE.value} has learned all of its "
            "labels; give other images by --measure=FOLDER."
        )
        found.remove(own)
    return found


def command() -> str:
    """Return the command line with all flags that are not the default."""
    given = [FLAGS[name] for name in FLAGS if not FLAGS[name].using_default_value]
    words = [word for flag in given for word in flag.serialize().split("\n")]
    return shlex.join(["keras-contrastive", "pretrain", *words])


def run_name() -> str:
    """Return what the run and its preset are called."""
    data = pathlib.Path(_DATASET.value).name
    short = re.sub("_(small|imagenet)$", "", _RECIPE.value)
    net = pathlib.Path(network()).name
    depth = _DEPTH.value if network() in NETWORKS else ""
    return f"{short}_{net}{depth}_{data}"


def recipe_name() -> str:
    """Return the whole name of the recipe that is asked for."""
    known = {*RECIPES, "supervised"}
    for name in (_RECIPE.value.lower(), f"{_RECIPE.value.lower()}_small"):
        if name in known:
            return name
    raise UsageError(f"--recipe: no {_RECIPE.value!r}. {near(_RECIPE.value, known)}")


def method() -> type[kc.ContrastiveModel]:
    """Return the class that is trained."""
    recipe = RECIPES.get(_RECIPE.value)
    return Supervised if recipe is None else getattr(kc, recipe.method)


def network() -> str:
    """Return the name of the network."""
    needed = {"CPC": "patches", "CMC": "color", "AMDIM": "amdim"}
    return _ENCODER.value or needed.get(method().__name__, "resnet")


def encoder_for(shape, grid_of) -> keras.Model:
    """Return the network for images of `shape`, cut out of those of `grid_of`."""
    numbers = {"depth": _DEPTH.value, "width": _WIDTH.value, "patch": _PATCH.value}
    return new_encoder(network(), shape, grid_of=grid_of, **numbers)


def image_shape(source) -> tuple[int, int, int]:
    """Return the encoder's input shape, from the data or from --size."""
    shape = source.shape
    if _SIZE.value:
        shape = (_SIZE.value, _SIZE.value, shape[-1])
    if None in shape:
        raise UsageError(
            "The images have no one size. Give --size=PIXELS of the encoder."
        )
    return shape


def changes(flag) -> dict:
    """Return the arguments of a flag such as --model=temperature=0.2 --model=..."""
    pairs = [text.partition("=") for text in flag.value]
    try:
        return {name: ast.literal_eval(value) for name, _, value in pairs}
    except (SyntaxError, ValueError):
        raise UsageError(
            f"--{flag.name}={flag.value[-1]} is not NAME=VALUE with a Python value."
        ) from None


def new_policy(shape):
    """Return the recipe's views; for the baseline SimCLR's."""
    recipe = RECIPES.get(_RECIPE.value, kc.recipes.SIMCLR_SMALL)
    return recipe.policy(_CROP.value or shape[0], **changes(_POLICY))


def between_epochs(model, source, shape) -> list:
    """Return what fills clusterings, such as PCL's, after a tenth of the run."""
    if not any(isinstance(layer, kc.layers.Clustering) for layer in model.layers):
        return []
    images = source.in_order(_CROP.value or shape[0])
    first = -(-_EPOCHS.value // 10)
    return [kc.callbacks.ClusterFeatures(images, first_epoch=first, restarts=1)]


def knn(model) -> kc.callbacks.KNNEvaluation:
    """Return what measures kNN on labelled images, about twenty times in the run."""
    side = _CROP.value or model.encoder.input_shape[1]
    images = kc.data.images_from_directory(
        *(_LABELLED.value,),
        image_size=side,
        channels=model.encoder.input_shape[-1],
        on_error="skip",
        value_range=range_of(_RANGE),
    )
    if len(images.class_names or ()) < 2:
        raise UsageError(
            "--labelled must be a folder with one folder of images for each class, two "
            f"at least. Received: {_LABELLED.value} with {images.class_names}"
        )
    x, y = (np.concatenate(part) for part in zip(*images, strict=True))
    train, test = kc.evaluation.split_by_class(y)
    parts = (x[train], y[train]), (x[test], y[test])
    every = max(1, _EPOCHS.value // 20)
    return kc.callbacks.KNNEvaluation(*parts, every=every, k=20)


def new_model(source, shape) -> keras.Model:
    """Return the method, compiled."""
    # It is trained on crops, and used on whole images.
    crop = _CROP.value or shape[0]
    sizes = {first.size for first, *_ in new_policy(shape).branches}
    side = None if len(sizes) > 1 or not method().needs.fitting_views else crop
    encoder = encoder_for((side, side, shape[-1]), shape)
    if method() is Supervised:
        if not _CLASSES.value:
            raise UsageError(
                "--recipe=supervised trains a classifier. Give --num_classes=N."
            )
        model = Supervised(encoder)
        model.compile(kc.recipes.SUPCON_SMALL.optimizer())
    else:
        own = {"num_examples": len(source)} if method().needs.ids else {}
        arguments = {"num_classes": _CLASSES.value, **own, **changes(_MODEL)}
        recipe = RECIPES[_RECIPE.value]
        recipe = dataclasses.replace(
            recipe,
            projector={**recipe.projector, **changes(_HEAD)},
            base_learning_rate=_BASE_RATE.value or recipe.base_learning_rate,
        )
        model = recipe.model(encoder, **arguments)
    optimizer = model.optimizer
    if _RATE.value:
        schedule = kc.optimizers.WarmupCosine(_RATE.value, warmup_epochs=1)
        optimizer = kc.optimizers.CoupledSGD(schedule, weight_decay=_DECAY.value)
    if _RATE.value or _MICRO.value:
        replicas = model.distribute_strategy.num_replicas_in_sync
        check_divides(_MICRO.value, _BATCH.value, replicas)
        model.compile(
            optimizer,
            model.loss,
            momentum_update=model.momentum_update,
            micro_batch_size=_MICRO.value,
        )
    return model


class Supervised(kc.ContrastiveModel):
    """The baseline: cross-entropy of a classifier on every view's features."""

    needs = kc.Needs(labels=True)

    def default_loss(self):
        """Return cross-entropy."""
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def default_projector(self, feature_dim):
        """Return the classifier."""
        return keras.layers.Dense(_CLASSES.value, dtype="float32")

    def forward(self, batch, training):
        """Logits of both views."""
        features, (logits_1, logits_2) = self.online(batch.views, training)
        return {"features": features, "anchor": logits_1, "positive": logits_2}

    def contrastive_loss(self, outputs, batch):
        """Return the mean over both views."""
        logits = ops.concatenate([outputs["anchor"], outputs["positive"]])
        return self.loss(ops.tile(batch.labels, [2]), logits)

"""What every method learns: one network, one data set, one number of images seen.

    TFDS_DATA_DIR=... python benchmarks/methods.py           # hours; it can be stopped
    python benchmarks/methods.py --only=simclr,byol --threads=1
    python benchmarks/methods.py --report --write=README.md,docs/choose-a-method.md

A row is a run of `examples/pretrain.py` with the method's recipe for small images and
its own views, without blur and with crops of a fifth of the image at least; what else
a row needs, such as the networks of CPC, CMC and AMDIM, is in `ROWS`. Started again,
it goes on. What is finished stands in `--json_file`, and is not run again. CPU minutes
are those of all cores, with the evaluation, so that rows may run beside other work.
"""

import inspect
import json
import os
import pathlib
import subprocess
import sys

import keras
from absl import app, flags

import keras_contrastive as kc
from keras_contrastive.cli.networks import new_encoder
from keras_contrastive.files import write_bytes, write_figure, write_json
from keras_contrastive.zoo.card import with_table

_ROOT = pathlib.Path(__file__).parents[1]
_ONLY = flags.DEFINE_list("only", None, "Rows to run; by default all.")
_DATASET = flags.DEFINE_string("dataset", "cifar10_jpeg", "Of TensorFlow Datasets.")
_EPOCHS = flags.DEFINE_integer("epochs", 15, "Passes over the images.", lower_bound=1)
_CROP = flags.DEFINE_integer("crop", 20, "Pixels of the views.")
_THREADS = flags.DEFINE_integer("threads", None, "Cores for a row; by default all.")
_PRECISION = flags.DEFINE_string("precision", "mixed_bfloat16", "Policy of Keras.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of weights and views.")
_RUNS = flags.DEFINE_string("runs", "runs/methods", "Folder of the runs.")
_JSON = flags.DEFINE_string(
    "json_file", str(_ROOT / "benchmarks/results/methods.json"), "The results."
)
_REPORT = flags.DEFINE_bool("report", False, "Run nothing: print table, draw chart.")
_WRITE = flags.DEFINE_list("write", [], "Files to put the table into.")

BEGIN = "<!-- methods: written by `python benchmarks/methods.py --report` -->"
END = "<!-- end of methods -->"
# The recipe's 3,000 prototypes need a queue, which begins after 50 epochs.
SWAV = ["--model=num_prototypes=512", "--model=queue_size=0", "--model=freeze_epochs=1"]
# Beside the recipes for small images: what else a row needs.
ROWS = {
    "supervised": ["--recipe=supervised", "--num_classes=10"],
    "instance_discrimination": [
        "--recipe=instance_discrimination_imagenet",
        "--model=nce=False",  # NCE does not learn in runs as short as these
    ],
    "swav": ["--recipe=swav_small", *SWAV],
    # A small view of 5 to 14 %, the paper's, is 8 pixels of these images: too little.
    "swav_multi_crop": [
        "--recipe=swav_small",
        *SWAV,
        *("--policy=local_views=2", "--policy=local_size=14", "--model=local_views=2"),
        "--policy=local_area=(0.2, 0.5)",
    ],
    "dino_vit": [
        "--recipe=dino_small",
        *("--encoder=vit", "--patch=4", "--depth=4", "--width=64"),
    ],
    "amdim": ["--recipe=amdim_small", "--depth=3", "--crop=32"],
    # The authors' 2,048 units at every place cost 15 times as much; their rate is for
    # 1,000 epochs.
    "dim": ["--recipe=dim_small", "--head=units=256", "--base_learning_rate=1e-3"],
    "vicreg": ["--recipe=vicreg_small", "--learning_rate=0.05"],
    # The recipe's 4,096 directions are for a GPU: a core spends its time on sorting.
    "visreg": ["--recipe=visreg_small", "--model=num_slices=256"],
    "cmc": [
        "--recipe=cmc_small",
        "--model=num_examples=None",  # a bank is renewed once an epoch: too slow here
        "--learning_rate=0.12",
    ],
}
# Each network of the rows before training: which, and its depth, width and patch.
UNTRAINED = {
    "untrained": ("resnet", 10, 16, None),
    "untrained_vit": ("vit", 4, 64, 4),
    "untrained_amdim": ("amdim", 3, 16, None),
    "untrained_patches": ("patches", 10, 16, 8),
    "untrained_color": ("color", 10, 16, None),
}


def main(argv):
    """Run what is not there yet, print, draw."""
    path = pathlib.Path(_JSON.value)
    results = json.loads(path.read_text()) if path.exists() else {}
    if not _REPORT.value:
        everything = {"raw_pixels": None, **dict.fromkeys(UNTRAINED), **rows()}
        unknown = set(_ONLY.value or ()) - {*everything}
        if unknown:
            sys.exit(f"--only: no rows {sorted(unknown)}. Choose of {[*everything]}")
        for name in _ONLY.value or everything:
            if name in results:
                continue
            more = everything[name]
            result = baseline(name) if more is None else run(name, more)
            # Others may have written meanwhile.
            results = json.loads(path.read_text()) if path.exists() else {}
            results[name] = result
            write_json(path, results)
    if not results:
        sys.exit(f"There are no results yet in {path}.")
    print(table(results))
    chart(results, path.with_suffix(".png"))
    for page in map(pathlib.Path, _WRITE.value):
        before = page.read_text(encoding="utf-8")
        try:
            text = with_table(before, table(results), BEGIN, END)
        except ValueError as error:
            sys.exit(f"{page}: {error}")
        write_bytes(page, text.encode())


def rows():
    """Return the flags of each method that the package has, by name."""
    recipes = [name.lower() for name in kc.recipes.__all__ if name.endswith("_SMALL")]
    found = {name.removesuffix("_small"): [f"--recipe={name}"] for name in recipes}
    found.update(ROWS)
    return {name: [*more, *views(more[0])] for name, more in found.items()}


def views(recipe_flag):
    """Return what is changed in a recipe's views: area of the crops, no blur."""
    name = recipe_flag.partition("=")[2].upper()
    recipe = getattr(kc.recipes, name, kc.recipes.SIMCLR_SMALL)
    policy = getattr(kc.augmentations, recipe.augmentation)
    changes = {"area": (0.2, 1.0), "blur": 0.0}
    known = inspect.signature(policy).parameters
    if "blur" in known and isinstance(known["blur"].default, tuple):
        changes["blur"] = (0.0,) * len(known["blur"].default)
    return [f"--policy={k}={v}" for k, v in changes.items() if k in known]


def run(name, more):
    """Train, or go on with it; return accuracies, minutes and memory."""
    command = [
        "examples/pretrain.py",
        f"--crop={_CROP.value}",
        *more,  # a row's own crop comes last, and counts
        f"--dataset={_DATASET.value}",
        f"--epochs={_EPOCHS.value}",
        f"--precision={_PRECISION.value}",
        f"--seed={_SEED.value}",
        "--cache",
    ]
    output = pathlib.Path(_RUNS.value).absolute() / name
    print(f"{name}: {output}/log.txt", flush=True)
    whole = not output.exists()  # a run in pieces has no time of its own
    output.mkdir(parents=True, exist_ok=True)
    with (output / "log.txt").open("a") as log:
        child = subprocess.Popen(
            [sys.executable, *command, f"--output={output}"],
            cwd=_ROOT,
            stdout=log,
            stderr=log,
            preexec_fn=_take_cores,
        )
        _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"{name} failed; see {output}/log.txt. The same command goes on.")
    (preset,) = output.glob("*/metadata.json")
    metadata = json.loads(preset.read_text())
    measured = json.loads(preset.with_name("metrics.json").read_text())
    time = {"cpu_minutes": round((usage.ru_utime + usage.ru_stime) / 60, 1)}
    return {
        **{key: measured[_DATASET.value][key] for key in ("knn", "linear")},
        **(time if whole else {}),
        "memory_gib": round(usage.ru_maxrss / 2**20, 2),
        **{key: metadata[key] for key in ("method", "commit", "hardware")},
        "command": "python " + " ".join(command),
    }


def _take_cores():
    if _THREADS.value:
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[: _THREADS.value])


def baseline(name):
    """Return the accuracies of pixels, or of a network before training."""
    keras.utils.set_random_seed(_SEED.value)
    if name == "raw_pixels":
        images = keras.Input((32, 32, 3))
        scaled = keras.layers.Rescaling(1 / 255)(images)
        encoder = keras.Model(images, keras.layers.Flatten()(scaled))
    else:
        network, depth, width, patch = UNTRAINED[name]
        encoder = new_encoder(
            network, (32, 32, 3), depth=depth, width=width, patch=patch
        )
    measured = kc.zoo.measure(encoder, _DATASET.value)
    return {key: measured[key] for key in ("knn", "linear")}


def ranked(results):
    """Return names and results, the best kNN accuracy first."""
    return sorted(results.items(), key=lambda item: -item[1]["knn"])


def table(results):
    """Return the results as Markdown."""
    lines = [
        "| | kNN | linear | CPU minutes | peak memory, GiB |",
        "|---|---|---|---|---|",
    ]
    columns = ("cpu_minutes", "memory_gib")
    for name, row in ranked(results):
        rest = [f"{row[key]:.1f}" if key in row else "" for key in columns]
        numbers = [f"{100 * row[key]:.1f}" for key in ("knn", "linear")]
        lines.append("| " + " | ".join([name, *numbers, *rest]) + " |")
    return "\n".join(lines)


def chart(results, path):
    """Draw kNN and linear accuracy of each row, with the untrained network's kNN."""
    from matplotlib.figure import Figure

    order = ranked(results)
    figure = Figure(figsize=(6.5, 1.2 + 0.32 * len(order)), layout="constrained")
    panel = figure.subplots()
    for key, color, shift in (("linear", "#8a95a0", 0.2), ("knn", "#c0392b", -0.2)):
        values = [100 * row[key] for _, row in order]
        places = [place + shift for place in range(len(order))]
        label = {"knn": "kNN", "linear": "linear"}[key]
        panel.barh(places, values, height=0.38, color=color, label=label)
        for place, value in zip(places, values, strict=True):
            panel.text(value + 0.4, place, f"{value:.1f}", va="center", fontsize=8)
    if "untrained" in results:
        untrained = 100 * results["untrained"]["knn"]
        panel.axvline(untrained, color="black", lw=0.8, ls=":", label="untrained, kNN")
    panel.margins(x=0.08)  # room for the numbers
    panel.set_yticks(range(len(order)), [name for name, _ in order])
    panel.invert_yaxis()
    panel.set_xlabel(f"accuracy in %, {_EPOCHS.value} epochs of {_DATASET.value}")
    panel.legend(loc="lower right", fontsize=8)
    panel.spines[["top", "right"]].set_visible(False)
    write_figure(path, figure, dpi=150)


if __name__ == "__main__":
    app.run(main)

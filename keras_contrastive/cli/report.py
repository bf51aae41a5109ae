"""keras-contrastive report ENCODER [DATA]: one HTML file on what was learned.

    keras-contrastive report runs/simclr_resnet10_photos photos/

ENCODER is a preset, the folder of a run, or a .keras file. DATA is as for `pretrain`,
and by default what the run was trained on; without labels the page shows neighbours,
clusters, a map and measures of collapse all the same. Of a folder that holds `train`
and `test`, and of `sample`, the test images give the numbers. The page is
ENCODER/report.html, or --output; it opens from disk, and asks no server for anything.
With --exports=models/photos, a folder of `keras-contrastive export`, it compares those
files with the encoder, and measures them: a few seconds each.
"""

import csv
import pathlib

from absl import flags

from keras_contrastive import zoo
from keras_contrastive.cli.image_source import labelled_arrays
from keras_contrastive.cli.main import UsageError
from keras_contrastive.cli.networks import define_range, load_encoder, range_of
from keras_contrastive.cli.run_folder import flags_of
from keras_contrastive.export.verify import is_artefact, verify
from keras_contrastive.report import write_report

FLAGS = flags.FlagValues()
_OUTPUT = flags.DEFINE_string("output", None, "HTML file to write.", flag_values=FLAGS)
_IMAGES = flags.DEFINE_integer(
    "images", 5000, "Images shown, at most.", lower_bound=10, flag_values=FLAGS
)
_EXPORTS = flags.DEFINE_list(
    "exports", [], "Exported files, or folders of them.", flag_values=FLAGS
)
_RANGE = define_range(FLAGS)
_COMPARED = 1000  # images, of which the test is one of kNN, too


def run(arguments: list[str]) -> None:
    """Write the page, and print where it is."""
    if len(arguments) not in (1, 2):
        raise UsageError("Expected ENCODER and perhaps DATA.")
    encoder, place = load_encoder(arguments[0]), pathlib.Path(arguments[0])
    trained = flags_of(place)
    data = (arguments[1:] or [trained.get("dataset", "sample")])[0]
    value_range = range_of(_RANGE, arguments[0])
    train, test = labelled_arrays(
        data, encoder.input_shape[1:], _IMAGES.value, value_range
    )
    output = _OUTPUT.value or (
        place / "report.html" if place.is_dir() else "report.html"
    )
    page = write_report(
        output,
        encoder,
        train.images,
        train.labels,
        test=test and (None, test.images, test.labels),
        class_names=train.class_names,
        file_paths=train.file_paths,
        history=history_of(place),
        about=about(place, data),
        exports=[
            verify(path, encoder, *compared_on(test or train))
            for path in exported_files(_EXPORTS.value)
        ],
        title=place.name,
    )
    print(page)


def exported_files(paths) -> list[pathlib.Path]:
    """Return the artefacts at some paths, and directly in folders among them."""
    found = []
    for path in map(pathlib.Path, paths):
        if not path.exists():
            raise UsageError(f"--exports: there is no {str(path)!r}")
        inside = [path, *sorted(path.iterdir())] if path.is_dir() else [path]
        here = [x for x in inside if is_artefact(x)]
        if not here:
            raise UsageError(f"--exports: {str(path)!r} holds no exported file")
        found += here[:1] if here[0] == path else here
    return found


def compared_on(part):
    """Return some images, and their labels if all of them have one."""
    images, labels = part.images[:_COMPARED], part.labels
    if labels is None or min(labels[:_COMPARED]) < 0:
        return images, None
    return images, labels[:_COMPARED]


def history_of(place) -> dict | None:
    """Return the columns of a run's history.csv."""
    if not (place / "history.csv").exists():
        return None
    with (place / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name not in ("epoch", "seconds")]
    return {name: [float(row[name]) for row in rows if row[name]] for name in names}


def about(place, data) -> dict:
    """Return what is known of the encoder, in words."""
    presets = [path.parent for path in place.glob("*/metadata.json")]
    known = zoo.describe(presets[0]) if presets else {}
    names = [
        "method",
        "architecture",
        "data",
        "epochs",
        "batch_size",
        "seed",
        "command",
        "commit",
        "hardware",
        "minutes",
        "licence",
    ]
    words = {name: str(known[name]) for name in names if known.get(name) is not None}
    return {**words, "shown": str(data)}
